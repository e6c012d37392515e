// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.control.EraStatus;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.EraTargetFactory;
import org.dmera.dmsetup.targets.MemoryBacking;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;
import org.dmera.dmsetup.targets.TargetFactory;
import org.dmera.dmsetup.targets.TargetRegistry;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * An origin with a page cache: what is written lies there until it is flushed, and a snapshot of the storage beneath, or a
 * power cut, does not see it. What an era that has ended knows of is beneath when the end is told.
 */
@Timeout(300)
class SyncedEraTest {
    private static final int BLOCK = 4096;
    private static final int BLOCKS = 256;

    /** Storage beneath a page cache. */
    private static final class CachedBacking implements Backing {
        final byte[] cache = new byte[BLOCKS * BLOCK];
        final byte[] beneath = new byte[BLOCKS * BLOCK];
        volatile boolean failing;

        @Override
        public String display() {
            return "origin";
        }

        @Override
        public long device() {
            return -1;
        }

        @Override
        public long sizeBytes() {
            return cache.length;
        }

        @Override
        public synchronized void submit(
                Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags)
                throws IOException {
            switch (operation) {
                case READ -> data.put(cache, (int) offsetBytes, data.remaining());
                case WRITE -> data.get(cache, (int) offsetBytes, data.remaining());
                case WRITE_ZEROES -> Arrays.fill(cache, (int) offsetBytes, (int) (offsetBytes + lengthBytes), (byte) 0);
                case FLUSH -> flush();
                case DISCARD -> {}
            }
            if ((flags & Target.FUA) != 0) {
                flush();
            }
        }

        @Override
        public synchronized void flush() throws IOException {
            if (failing) {
                // As the system does: once, and what was lost counts as written.
                failing = false;
                throw new IOException("write-back failed");
            }
            System.arraycopy(cache, 0, beneath, 0, cache.length);
        }

        @Override
        public long allocation(long offsetBytes, long lengthBytes) {
            return lengthBytes;
        }

        @Override
        public void close() {}
    }

    private final CachedBacking origin = new CachedBacking();
    private final MemoryBacking metadata = new MemoryBacking("meta", 8 << 20);
    private DeviceRegistry registry;
    private MappedDevice device;

    @BeforeEach
    void start() throws IOException {
        List<TargetFactory> types = new ArrayList<>(TargetRegistry.simple());
        types.add(new EraTargetFactory(line -> {}));
        registry = new DeviceRegistry(
                types,
                (mapped, readOnly, found) -> opener(mapped),
                task -> new Thread(task).start(),
                DeviceStore.NONE,
                EngineLog.silent());
        device = registry.create("vol", "", OptionalInt.empty());
        load();
        device.resume();
    }

    @AfterEach
    void stop() {
        ShutdownSteps steps = new ShutdownSteps(EngineLog.silent());
        registry.suspendAll(steps);
        registry.closeAll(steps);
    }

    private TargetFactory.BackingOpener opener(MappedDevice owner) {
        return new TargetFactory.BackingOpener() {
            @Override
            public Backing open(String name) {
                return name.equals("meta") ? metadata : origin;
            }

            @Override
            public Object owner() {
                return owner;
            }
        };
    }

    private void load() throws IOException {
        device.load(List.of(new TargetSpec(0, BLOCKS * 8L, "era", "meta origin 8")), false);
    }

    private void write(int block, int value) throws IOException {
        ByteBuffer data = ByteBuffer.allocate(BLOCK);
        data.array()[0] = (byte) value;
        device.io().write((long) block * BLOCK, data, 0);
    }

    private int beneath(int block) {
        synchronized (origin) {
            return origin.beneath[block * BLOCK];
        }
    }

    private String status() throws IOException {
        return device.lines(false, false).get(0).params();
    }

    private static final String[] VERBS = {"checkpoint", "take_metadata_snap", "suspend"};

    private void end(String verb) throws IOException {
        if (verb.equals("suspend")) {
            device.suspend();
        } else {
            device.message(0, List.of(verb));
        }
    }

    private void tidy(String verb) throws IOException {
        if (verb.equals("suspend")) {
            device.resume();
        } else if (verb.equals("take_metadata_snap")) {
            device.message(0, List.of("drop_metadata_snap"));
        }
    }

    @Test
    void whatWasAcknowledgedInAnEraLiesBeneathThePageCacheWhenItsEndIsTold() throws Exception {
        int block = 0;
        for (String verb : VERBS) {
            write(block, 7);
            assertEquals(0, beneath(block), "nothing but the end of an era syncs it");
            end(verb);
            assertEquals(7, beneath(block), verb);
            tidy(verb);
            block++;
        }
    }

    @Test
    void soDoesWhatWasAcknowledgedWhileTheEraWasEndingUnlessTheNextOneKnowsOfIt() throws Exception {
        AtomicBoolean stop = new AtomicBoolean();
        Thread writer = new Thread(() -> {
            Random random = new Random(1);
            try {
                for (int value = 1; !stop.get(); value = value % 100 + 1) {
                    write(random.nextInt(BLOCKS), value);
                }
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        writer.start();
        for (int round = 0; round < 60; round++) {
            String verb = VERBS[round % 2];
            end(verb);
            byte[] snapshot;
            byte[] written;
            synchronized (origin) {
                snapshot = origin.beneath.clone();
                written = origin.cache.clone();
            }
            long era = device.io().currentEra();
            for (int i = 0; i < BLOCKS; i++) {
                int[] last = new int[1];
                device.io().lastWritten((long) i * BLOCK, BLOCK, null, (length, found) -> {
                    last[0] = found;
                    return true;
                });
                assertTrue(
                        snapshot[i * BLOCK] == written[i * BLOCK] || last[0] >= era,
                        "block " + i + " is not beneath, and marked in era " + last[0] + " of " + era);
            }
            tidy(verb);
        }
        stop.set(true);
        writer.join();
    }

    @Test
    void whileAnotherTableGoesLiveNothingIsToldThatIsOlderThanWhatWasTold() throws Exception {
        load();
        end("checkpoint");
        end("checkpoint");
        long era = device.io().currentEra();
        Object lineage = device.io().lineage();
        List<String> told = new CopyOnWriteArrayList<>();
        metadata.hook = (operation, offset, length) -> {
            long ofStatus = EraStatus.parse(status()).currentEra();
            if (ofStatus < era || device.io().currentEra() < era || device.io().lineage() != lineage) {
                told.add(operation + ": " + ofStatus + ", " + device.io().currentEra());
            }
        };
        device.resume();
        metadata.hook = (operation, offset, length) -> {};
        assertEquals(List.of(), told);
        assertTrue(device.io().currentEra() > era);
    }

    @Test
    void aSuspendedDeviceIsSyncedPastItsGate() throws Exception {
        write(3, 9);
        device.suspend();
        assertEquals(9, beneath(3));
        device.sync();
        device.resume();
    }

    @Test
    void aLossIsToldByEachLaterFlushAndEachNewEraUntilTheTableIsLoadedAgain() throws Exception {
        for (String verb : VERBS) {
            write(1, 1);
            origin.failing = true;
            String before = status();
            assertThrows(IOException.class, () -> end(verb), verb);
            assertFalse(device.isSuspended());
            assertEquals("Error", status());
            assertTrue(before.endsWith("-"), before);
            for (int i = 0; i < 3; i++) {
                assertThrows(IOException.class, () -> device.io().flush());
                assertThrows(IOException.class, () -> device.io().write(0, ByteBuffer.allocate(BLOCK), Target.FUA));
                assertThrows(IOException.class, () -> end("checkpoint"));
                assertThrows(IOException.class, () -> end("take_metadata_snap"));
            }
            // Reads and plain writes go on.
            write(2, 2);
            load();
            device.resume();
            assertTrue(status().endsWith("-"), "no snapshot is left that nobody knows of: " + status());
            device.io().flush();
            end(verb);
            tidy(verb);
        }
    }

    @Test
    void aLossThatAFlushFindsIsToldToTheFlushesOfAllClients() throws Exception {
        write(1, 1);
        origin.failing = true;
        assertThrows(IOException.class, () -> device.io().flush());
        for (int i = 0; i < 8; i++) {
            assertThrows(IOException.class, () -> device.io().flush());
        }
        assertThrows(IOException.class, () -> device.io().submit(Operation.DISCARD, 0, BLOCK, null, Target.FUA));
        assertThrows(IOException.class, () -> device.io().submit(Operation.WRITE_ZEROES, 0, BLOCK, null, Target.FUA));
        assertThrows(IOException.class, () -> device.suspend());
        assertFalse(device.isSuspended());
        assertThrows(ErrnoException.class, () -> device.message(0, List.of("nonsense")));
    }
}
