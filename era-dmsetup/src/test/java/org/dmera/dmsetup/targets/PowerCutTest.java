// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.testkit.RecordingBlockDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Power cuts under metadata and origin together. The worst that can happen is that what was written to the origin is there
 * at once, flushed or not, while of the metadata only what was flushed is certain. So: for every event on the metadata
 * device, and what a cut there may leave of it, each block of the origin on which a write had begun since the last checkpoint
 * must be marked in the era of that checkpoint or a later one.
 *
 * <p>Of the origin, too, only what was flushed is certain: its page cache is lost. No later era names what was written before a
 * checkpoint, so all that had landed when one was asked for must have been flushed when it is answered.
 */
class PowerCutTest {
    private static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");
    private static final int ORIGIN_BLOCKS = 2048;
    private static final int METADATA_BLOCKS = 256;
    private static final int BLOCK = BlockDevice.BLOCK_BYTES;
    private static final int WRITERS = 3;
    private static final int ERAS = NIGHTLY ? 40 : 8;
    /** What cuts have left, in all. */
    private static final int STATES = NIGHTLY ? 100_000 : 1000;

    /**
     * A write to the origin that had begun after {@code event} events on the metadata device, so that a cut there may find
     * it done; {@code order} is when it was done, among these and the next.
     */
    private record Landed(long order, int event, int block) {}

    /** A checkpoint was answered with {@code era} after {@code event} events on the metadata device. */
    private record Checkpoint(long order, int event, long era) {}

    private static final AtomicLong ORDER = new AtomicLong();
    /** What has landed on the origin up to then has been flushed there. */
    private static final AtomicLong FLUSHED = new AtomicLong();

    /** The recorded metadata device as a backing. */
    private static final class RecordedBacking implements Backing {
        private final RecordingBlockDevice device;

        RecordedBacking(RecordingBlockDevice device) {
            this.device = device;
        }

        @Override
        public String display() {
            return "recorded";
        }

        @Override
        public long device() {
            return -1;
        }

        @Override
        public long sizeBytes() {
            return device.sizeBlocks() * BLOCK;
        }

        @Override
        public void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags)
                throws IOException {
            switch (operation) {
                case READ -> device.read(offsetBytes / BLOCK, data);
                case WRITE -> device.write(offsetBytes / BLOCK, data);
                case FLUSH -> device.flush();
                default -> throw new UnsupportedOperationException();
            }
        }

        @Override
        public long allocation(long offsetBytes, long lengthBytes) {
            return lengthBytes;
        }

        @Override
        public void close() {}
    }

    @Test
    @Timeout(1800)
    void whateverAPowerCutLeavesEveryChangedBlockIsMarked() throws Exception {
        long first = Long.getLong("era.seed", System.nanoTime());
        int states = 0;
        for (long seed = first; states < STATES; seed++) {
            states += statesOfOneRun(seed);
        }
        assertTrue(states >= STATES, states + " states");
    }

    private static int statesOfOneRun(long seed) throws Exception {
        RecordingBlockDevice metadata = new RecordingBlockDevice(new MemoryBlockDevice(METADATA_BLOCKS));
        MemoryBacking origin = new MemoryBacking("origin", ORIGIN_BLOCKS * BLOCK);
        ConcurrentLinkedQueue<Landed> landed = new ConcurrentLinkedQueue<>();
        ThreadLocal<Integer> begun = new ThreadLocal<>();
        origin.hook = (operation, offset, length) -> {
            if (operation.equals("flush")) {
                FLUSHED.accumulateAndGet(ORDER.get(), Math::max);
            }
            begun.set(metadata.eventCount());
            // Now and then a slow one, which lands long after it was let go.
            for (int i = 0; i < 20_000 && offset / BLOCK % 8 == 0; i++) {
                Thread.onSpinWait();
            }
        };
        origin.after = (operation, offset, length) -> {
            for (long at = offset; at < offset + length; at += BLOCK) {
                landed.add(new Landed(ORDER.incrementAndGet(), begun.get(), (int) (at / BLOCK)));
            }
        };
        List<Checkpoint> checkpoints = new ArrayList<>();
        Target target = new EraTargetFactory(line -> {})
                .load(
                        ORIGIN_BLOCKS * 8L,
                        List.of("m", "o", "8"),
                        name -> name.equals("m") ? new RecordedBacking(metadata) : origin);
        target.resume();
        checkpoints.add(new Checkpoint(ORDER.incrementAndGet(), metadata.eventCount(), 1));
        work(target, metadata, checkpoints, seed);
        target.close();

        return judge(metadata, new ArrayList<>(landed), checkpoints, new Random(seed), "-Dera.seed=" + seed);
    }

    private static void work(Target target, RecordingBlockDevice metadata, List<Checkpoint> checkpoints, long seed)
            throws Exception {
        boolean[] stop = new boolean[1];
        List<Thread> writers = new ArrayList<>();
        List<Throwable> failures = new ArrayList<>();
        for (int w = 0; w < WRITERS; w++) {
            Random random = new Random(seed + w);
            Thread writer = new Thread(() -> {
                try {
                    while (true) {
                        synchronized (stop) {
                            if (stop[0]) {
                                return;
                            }
                        }
                        // Most of them on few blocks, so that marked ones are written as well.
                        int block = random.nextInt(random.nextBoolean() ? 16 : ORIGIN_BLOCKS - 4);
                        if (random.nextInt(20) == 0) {
                            target.submit(Operation.DISCARD, (long) block * BLOCK, 3L * BLOCK, null, 0);
                        } else {
                            target.write((long) block * BLOCK, ByteBuffer.allocate(BLOCK), 0);
                        }
                    }
                } catch (IOException e) {
                    synchronized (stop) {
                        failures.add(e);
                    }
                }
            });
            writers.add(writer);
            writer.start();
        }
        for (int era = 2; era < 2 + ERAS; era++) {
            int events = metadata.eventCount() + 20;
            while (metadata.eventCount() < events && writers.stream().anyMatch(Thread::isAlive)) {
                Thread.onSpinWait();
            }
            long landed = ORDER.get();
            target.message(List.of(era % 3 == 0 ? "take_metadata_snap" : "checkpoint"));
            assertTrue(
                    FLUSHED.get() >= landed,
                    "era " + era + " has begun, and what had landed by " + landed + " is flushed up to " + FLUSHED
                            + ", -Dera.seed=" + seed);
            if (era % 3 == 0) {
                target.message(List.of("drop_metadata_snap"));
            }
            checkpoints.add(new Checkpoint(
                    ORDER.incrementAndGet(),
                    metadata.eventCount(),
                    Integer.toUnsignedLong(((ChangeTracking) target).currentEra())));
        }
        synchronized (stop) {
            stop[0] = true;
        }
        for (Thread writer : writers) {
            writer.join();
        }
        assertTrue(failures.isEmpty(), failures.toString());
    }

    /** Returns how many states were looked at. */
    private static int judge(
            RecordingBlockDevice metadata,
            List<Landed> landed,
            List<Checkpoint> checkpoints,
            Random random,
            String seed)
            throws IOException {
        int firstResume = checkpoints.get(0).event;
        RecordingBlockDevice.PowerCuts cuts = metadata.new PowerCuts();
        int judged = 0;
        int[] states = new int[1];
        while (cuts.advance()) {
            int event = cuts.position();
            if (event < firstResume) {
                continue;
            }
            Checkpoint last = checkpoints.get(0);
            for (Checkpoint c : checkpoints) {
                if (c.event <= event) {
                    last = c;
                }
            }
            Checkpoint since = last;
            boolean[] changed = new boolean[ORIGIN_BLOCKS];
            for (Landed l : landed) {
                if (l.order > since.order && l.event <= event) {
                    changed[l.block] = true;
                }
            }
            RecordingBlockDevice.PowerCuts.Survivor survivor = device -> {
                states[0]++;
                int[] eras = new int[ORIGIN_BLOCKS];
                EraMetadata opened = EraMetadata.open(device, 8, METADATA_BLOCKS);
                opened.readEras(0, ORIGIN_BLOCKS, eras, 0);
                for (int block = 0; block < ORIGIN_BLOCKS; block++) {
                    assertTrue(
                            !changed[block] || Integer.toUnsignedLong(eras[block]) >= since.era,
                            "block " + block + " changed in era " + since.era + " or later but has " + eras[block]
                                    + " after a cut at event " + event + ", " + seed);
                }
            };
            cuts.cutWithoutUnflushed(survivor);
            cuts.cutWithAllUnflushed(survivor);
            for (int i = 0; i < (NIGHTLY ? 8 : 2); i++) {
                cuts.cutAtRandom(random, survivor);
            }
            judged++;
        }
        assertTrue(judged > 100, judged + " events");
        return states[0];
    }
}
