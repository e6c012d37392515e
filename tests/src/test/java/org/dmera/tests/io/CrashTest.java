// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.device.MappedDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * kill -9 of the engine at random moments under load, with checkpoints and snapshots going on: after the restart every
 * acknowledged write is on the origin, and its block is marked in the era of the write or a later one.
 */
class CrashTest {
    /** {@code -Dera.crash.rounds=N}: as many. */
    private static final int ROUNDS = Integer.getInteger("era.crash.rounds", Host.NIGHTLY ? 500 : 12);

    private static final int WRITERS = 2;
    private static final int BLOCKS_EACH = 2048;
    private static final int BLOCK = TestEngine.BLOCK_BYTES;

    @TempDir
    private Path folder;

    /** An era that has begun: what the last checkpoint told. */
    private volatile long knownEra;

    @Test
    @Timeout(3600)
    void noAcknowledgedWriteIsLostOrUnmarkedAfterKill9() throws Exception {
        long seed = Long.getLong("era.seed", System.nanoTime());
        Random random = new Random(seed);
        try (TestEngine engine = new TestEngine(folder)) {
            engine.createEra("vol", WRITERS * BLOCKS_EACH * BLOCK >> 20);
        }
        long stamp = 0;
        long acknowledged = 0;
        for (int round = 0; round < ROUNDS; round++) {
            CrashedEngine engine = new CrashedEngine(folder);
            List<StampWriter> writers = new ArrayList<>();
            List<Thread> threads = new ArrayList<>();
            try (DmClient control = DmClient.open(folder.resolve("control").toString(), line -> {})) {
                knownEra = control.eraStatus(DeviceId.ofName("vol")).currentEra();
                for (int w = 0; w < WRITERS; w++) {
                    StampWriter writer = new StampWriter(
                            folder.resolve("nbd"),
                            "vol",
                            w * BLOCKS_EACH,
                            BLOCKS_EACH,
                            random.nextLong(),
                            stamp + w * 1_000_000_000L,
                            () -> knownEra);
                    writers.add(writer);
                    threads.add(new Thread(writer));
                }
                stamp += WRITERS * 1_000_000_000L;
                Thread messages = new Thread(() -> sendMessages(control));
                threads.add(messages);
                threads.forEach(Thread::start);
                long goal = random.nextInt(3000);
                long deadline = System.nanoTime() + 5_000_000_000L;
                while (writers.get(0).count() < goal && System.nanoTime() < deadline) {
                    LockSupport.parkNanos(100_000);
                }
                LockSupport.parkNanos(random.nextInt(3_000_000));
                engine.kill();
                for (Thread thread : threads) {
                    thread.join();
                }
            }
            for (StampWriter writer : writers) {
                acknowledged += writer.count();
            }
            verify(writers, "round " + round + ", -Dera.seed=" + seed);
        }
        // On a slow disk with a busy machine they are few.
        assertTrue(acknowledged > ROUNDS * 10L, acknowledged + " writes were acknowledged in " + ROUNDS + " rounds");
    }

    private void sendMessages(DmClient control) {
        DeviceId vol = DeviceId.ofName("vol");
        try {
            for (int i = 0; ; i++) {
                if (i % 3 == 1) {
                    control.message(vol, 0, "take_metadata_snap");
                    control.message(vol, 0, "drop_metadata_snap");
                }
                knownEra = control.checkpoint(vol);
            }
        } catch (IOException e) {
            // The engine is gone.
            return;
        }
    }

    private void verify(List<StampWriter> writers, String where) throws IOException {
        try (TestEngine engine = new TestEngine(folder)) {
            MappedDevice device = engine.engine.registry().byName("vol");
            long[] eras = TestEngine.eras(device);
            ByteBuffer data = ByteBuffer.allocate(BLOCK);
            for (int w = 0; w < writers.size(); w++) {
                StampWriter writer = writers.get(w);
                for (int i = 0; i < BLOCKS_EACH; i++) {
                    int block = w * BLOCKS_EACH + i;
                    if (writer.issued(i) == 0) {
                        continue;
                    }
                    device.io().read((long) block * BLOCK, data.clear());
                    long found = StampWriter.stampOf(data);
                    String what = where + ": block " + block + " holds " + found + ", acknowledged " + writer.acked(i)
                            + ", sent " + writer.issued(i) + ", era " + eras[block] + ", written in "
                            + writer.ackedEra(i);
                    assertTrue(found >= writer.acked(i) && found <= writer.issued(i) || writer.acked(i) == 0, what);
                    assertTrue(writer.acked(i) == 0 || eras[block] >= writer.ackedEra(i), what);
                    // A write that was not acknowledged but is there must be marked too.
                    assertTrue(found != writer.issued(i) || eras[block] > 0, what);
                }
            }
        }
    }
}
