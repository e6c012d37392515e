// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.management.ManagementFactory;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.core.linux.ProcessSettings;
import org.junit.jupiter.api.Test;

/** When memory that nobody needs is given back, and that it is. */
class IdleMemoryTest {
    private final AtomicInteger releases = new AtomicInteger();
    private final AtomicInteger trims = new AtomicInteger();
    private final IdleMemory idle = new IdleMemory(releases::incrementAndGet, trims::incrementAndGet);
    private long cpuNanos;

    private void look(long nanos) {
        cpuNanos += nanos;
        idle.look(cpuNanos);
    }

    @Test
    void memoryIsGivenBackOnceAfterAPauseThatFollowsWork() {
        look(IdleMemory.WORTH_NANOS);
        for (int i = 1; i < IdleMemory.IDLE_LOOKS; i++) {
            look(0);
        }
        assertEquals(0, releases.get());
        look(IdleMemory.IDLE_NANOS - 1);
        assertEquals(1, releases.get());
        assertEquals(0, trims.get(), "what was collected is freed a little later");
        for (int i = 0; i < 100; i++) {
            look(1000);
        }
        assertEquals(1, releases.get(), "nothing has been done since");
        assertEquals(1, trims.get());
        look(IdleMemory.WORTH_NANOS);
        for (int i = 0; i < IdleMemory.IDLE_LOOKS; i++) {
            assertEquals(1, releases.get());
            look(0);
        }
        assertEquals(2, releases.get());
    }

    @Test
    void nothingIsGivenBackWhileThereIsSomethingToDo() {
        for (int i = 0; i < 100; i++) {
            look(i % IdleMemory.IDLE_LOOKS == 0 ? IdleMemory.IDLE_NANOS : 0);
        }
        assertEquals(0, releases.get());
    }

    @Test
    void theHeapIsCollectedAndItsLimitsAreThoseOfBefore() {
        List<String> options = List.of("MinHeapFreeRatio", "MaxHeapFreeRatio");
        HotSpotDiagnosticMXBean machine = ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
        List<String> before = options.stream()
                .map(option -> machine.getVMOption(option).getValue())
                .toList();
        WeakReference<byte[]> garbage = new WeakReference<>(new byte[1 << 20]);
        IdleMemory.collect(new Served(64 << 20));
        ProcessSettings.returnFreeMemory();
        assertNull(garbage.get());
        assertEquals(
                before,
                options.stream()
                        .map(option -> machine.getVMOption(option).getValue())
                        .toList());
    }

    @Test
    void idleBuffersAreLetGoAndThoseInUseStay() {
        Served served = new Served(64 << 20);
        served.releaseIdle();
        BufferPool pool = served.memory().pool();
        ByteBuffer kept = pool.take(4096);
        ByteBuffer given = pool.take(4096);
        pool.give(given);
        assertTrue(pool.idleBytes() > 0);
        assertSame(given, pool.take(4096), "it is kept for the next");
        pool.give(given);
        served.releaseIdle();
        assertEquals(0, pool.idleBytes());
        ByteBuffer fresh = pool.take(4096);
        assertNotSame(given, fresh);
        pool.give(kept);
        assertEquals(4096, pool.idleBytes());
    }
}
