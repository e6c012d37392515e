// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class BufferPoolTest {
    private static final int LONG = 256 << 10;

    @Test
    void allThatFitAreKeptThoughTheyAreOfOneSize() {
        BufferPool pool = new BufferPool(64 << 20);
        List<ByteBuffer> first = take(pool, LONG, 256);
        first.forEach(pool::give);
        Set<Object> kept = Collections.newSetFromMap(new IdentityHashMap<>());
        kept.addAll(first);

        for (ByteBuffer again : take(pool, LONG, 256)) {
            assertTrue(kept.remove(again), "a buffer that is not one of the first");
        }
        assertEquals(0, pool.idleBytes());
    }

    /** Where there is none, whoever gives a buffer back has answers to send. */
    @Test
    void toGiveOneBackTakesNoMemory() {
        BufferPool pool = new BufferPool(64 << 20);
        List<ByteBuffer> all = take(pool, 4096, 1000);
        all.addAll(take(pool, LONG, 50));
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        threads.getCurrentThreadAllocatedBytes();
        pool.give(pool.take(LONG));
        long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < all.size(); i++) {
            pool.give(all.get(i));
        }
        assertEquals(0, threads.getCurrentThreadAllocatedBytes() - before);
    }

    @Test
    void theSizeThatIsInUseHasTheRoomOfAnother() {
        BufferPool pool = new BufferPool(16 * LONG);
        take(pool, LONG, 16).forEach(pool::give);

        for (int round = 0; round < 2; round++) {
            ByteBuffer small = pool.take(4096);
            pool.give(small);
            assertSame(small, pool.take(4096), "kept though long ones had taken all of the room");
            pool.give(small);
        }
        assertEquals(15L * LONG + 4096, pool.idleBytes());
    }

    @Test
    void idleOnesAreNeverMoreThanMayBeKept() {
        BufferPool pool = new BufferPool(16 * LONG);
        List<ByteBuffer> all = take(pool, 4096, 100);
        all.addAll(take(pool, LONG, 30));
        all.addAll(take(pool, BufferPool.LARGEST_BYTES, 2));
        Collections.shuffle(all, new java.util.Random(7));
        for (ByteBuffer each : all) {
            pool.give(each);
            assertTrue(pool.idleBytes() <= 16L * LONG, () -> pool.idleBytes() + " bytes idle");
        }
        pool.releaseIdle();
        assertEquals(0, pool.idleBytes());
    }

    private static List<ByteBuffer> take(BufferPool pool, int bytes, int count) {
        List<ByteBuffer> taken = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            taken.add(pool.take(bytes));
        }
        return taken;
    }
}
