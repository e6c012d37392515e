// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Random workloads, each fully told by its seed: block size, length, and a mix of writes of all kinds, checkpoints, snapshots
 * held and dropped, suspension, resizing, crashes, with images of the metadata taken all along.
 */
final class WorkloadGenerator {
    /** What the workload may do. */
    private enum Profile {
        /** Anything: requests race with digestion, power is cut in the midst of writes. */
        FREE,
        /** Anything that the metadata device sees as writes: it is never put back to an earlier state. */
        FORWARD,
        /** One request at a time, each of one block, and rest after each: so that the bytes are the same every time. */
        SETTLED
    }

    private record Shape(List<Integer> blockSizes, int originSectors, int metadataKib) {}

    private static final List<Integer> BLOCK_SIZES = List.of(8, 8, 16, 24, 64, 128, 256);
    private static final Shape SMALL = new Shape(BLOCK_SIZES, 1 << 16, 4096);
    /** An era array of more blocks than one node of its tree can name. */
    private static final Shape WIDE = new Shape(List.of(8), 5 << 21, 16384);

    private static final int SECTORS_PER_PAGE = 8;
    private static final int LARGEST_RUN = 40;

    private final Random random;
    private final Workload workload;
    private final int blockSizeSectors;
    private final Profile profile;
    private final int originSectors;
    private int labels;

    private WorkloadGenerator(String name, long seed, Profile profile, Shape shape) {
        this.random = random(seed);
        this.profile = profile;
        this.originSectors = shape.originSectors();
        blockSizeSectors =
                shape.blockSizes().get(random.nextInt(shape.blockSizes().size()));
        workload = new Workload(name, shape.metadataKib(), originSectors, new EraRecord(blockSizeSectors));
    }

    private WorkloadGenerator(Workload workload, long seed) {
        this.random = random(seed);
        this.profile = Profile.SETTLED;
        this.workload = workload;
        this.originSectors = Math.toIntExact(workload.originSectors());
        this.blockSizeSectors = workload.record().blockSizeSectors();
    }

    /** Anything goes: requests race with digestion, power is cut in the midst of writes. */
    static Workload free(String name, long seed, int steps) {
        return new WorkloadGenerator(name, seed, Profile.FREE, SMALL).generate(steps);
    }

    /** As {@link #free}, on an origin of more than a million blocks. */
    static Workload wide(String name, long seed, int steps) {
        return new WorkloadGenerator(name, seed, Profile.FREE, WIDE).generate(steps);
    }

    /** For a metadata device whose writes are recorded: it only ever goes on. */
    static Workload forward(String name, long seed, int steps) {
        return new WorkloadGenerator(name, seed, Profile.FORWARD, SMALL).generate(steps);
    }

    /** A sequence that gives the same bytes on every run. */
    static Workload settled(String name, long seed, int steps) {
        return new WorkloadGenerator(name, seed, Profile.SETTLED, SMALL).generate(steps);
    }

    /** As {@link #settled}, but with a snapshot held and marks in the current era when it breaks off. */
    static Workload interrupted(String name, long seed, int steps) {
        WorkloadGenerator generator = new WorkloadGenerator(name, seed, Profile.SETTLED, SMALL);
        generator.workload.add(new Operation.Create(generator.someLength()));
        generator.more(steps);
        if (generator.workload.record().held() == null) {
            generator.workload.add(new Operation.TakeSnapshot());
        }
        generator.workload.add(new Operation.Io(generator.requests(5)));
        return generator.workload;
    }

    /** The table goes live on metadata that is there already, and then the same mix as {@link #settled}. */
    static void continueWith(Workload workload, long seed, int steps) {
        WorkloadGenerator generator = new WorkloadGenerator(workload, seed);
        workload.add(new Operation.Create(workload.record().lengthSectors()));
        generator.rest();
        workload.add(new Operation.Image("first"));
        workload.add(new Operation.Status("first"));
        generator.rest();
        generator.more(steps);
        generator.end();
    }

    private static Random random(long seed) {
        // The first numbers of neighbouring seeds are alike otherwise.
        return new Random(seed * 0x9E3779B97F4A7C15L);
    }

    private Workload generate(int steps) {
        workload.add(new Operation.Create(someLength()));
        rest();
        more(steps);
        end();
        return workload;
    }

    private void end() {
        finishDigestion();
        workload.add(new Operation.Status(label()));
        workload.add(new Operation.Image("live"));
        workload.add(new Operation.Remove());
        workload.add(new Operation.Image("removed"));
    }

    private void more(int steps) {
        for (int i = 0; i < steps; i++) {
            step();
            rest();
        }
    }

    private void step() {
        int dice = random.nextInt(100);
        if (dice < 48) {
            workload.add(new Operation.Io(requests(1 + random.nextInt(settled() ? 4 : 12))));
        } else if (dice < 60) {
            workload.add(new Operation.Checkpoint());
        } else if (dice < 70) {
            workload.add(
                    workload.record().held() == null ? new Operation.TakeSnapshot() : new Operation.DropSnapshot());
        } else if (dice < 78) {
            workload.add(new Operation.Status(label()));
        } else if (dice < 82) {
            finishDigestion();
            workload.add(new Operation.SuspendResume());
        } else if (dice < 86) {
            finishDigestion();
            resize();
        } else if (dice < 89) {
            finishDigestion();
            workload.add(new Operation.Remove());
            workload.add(new Operation.Create(workload.record().lengthSectors()));
        } else if (dice < 93) {
            crash();
        } else {
            workload.add(new Operation.Image(label()));
        }
    }

    /** Lets the worker come to rest; only where the bytes are to be the same every time. */
    private void rest() {
        if (settled()) {
            workload.add(new Operation.Settle(20));
        }
    }

    /**
     * How far a digestion that is under way gets before a suspension stops it is the scheduler's choice; where the bytes are to
     * be the same every time, it has ended before. A status wakes the worker.
     */
    private void finishDigestion() {
        if (settled()) {
            workload.add(new Operation.Status(label()));
            rest();
        }
    }

    /**
     * Blocks that come back after the origin shrank have era 0, if their old writesets were digested when it was short:
     * a writeset that is still archived when they come back brings its bits back with them. So digestion is run to its end
     * in between.
     */
    private void resize() {
        long length = someLength();
        boolean shrinks = length < workload.record().lengthSectors();
        workload.add(new Operation.Resize(length));
        rest();
        if (shrinks) {
            workload.add(new Operation.Status(label()));
            workload.add(new Operation.Settle(settled() ? 20 : 100));
            workload.add(new Operation.Status(label()));
        }
    }

    private void crash() {
        finishDigestion();
        String image = label();
        if (profile == Profile.FORWARD) {
            workload.add(new Operation.CutPower(image, someWrites()));
            return;
        }
        if (profile == Profile.SETTLED || random.nextBoolean()) {
            workload.add(new Operation.Image(image));
            workload.add(new Operation.CrashTo(image));
            workload.add(new Operation.Create(workload.record().lengthSectors()));
            return;
        }
        List<BlockIo> list = someWrites();
        workload.add(new Operation.CutPower(image, list));
        if (random.nextBoolean()) {
            workload.add(new Operation.CrashTo(image));
            workload.add(new Operation.Create(workload.record().lengthSectors()));
            // Which of them the crash has kept is not known beforehand; written again, they all have the new era.
            workload.add(new Operation.Io(list));
        }
    }

    private List<BlockIo> someWrites() {
        List<BlockIo> list = new ArrayList<>();
        int count = 20 + random.nextInt(60);
        for (int i = 0; i < count; i++) {
            list.add(BlockIo.write(someBlock()));
        }
        return list;
    }

    private boolean settled() {
        return profile == Profile.SETTLED;
    }

    private List<BlockIo> requests(int count) {
        List<BlockIo> list = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            if (settled()) {
                list.add(BlockIo.write(someBlock()));
                list.add(BlockIo.rest());
            } else {
                list.add(anyRequest());
            }
        }
        return list;
    }

    private BlockIo anyRequest() {
        int block = someBlock();
        int dice = random.nextInt(100);
        if (dice < 40) {
            return BlockIo.write(block);
        } else if (dice < 55) {
            return BlockIo.whole(BlockIo.Kind.WRITE, block, lastOfRun(block));
        } else if (dice < 65) {
            int sectors = 1 + random.nextInt(Math.min(blockSizeSectors, SECTORS_PER_PAGE));
            return BlockIo.part(firstBlockIfLast(block), random.nextInt(blockSizeSectors - sectors + 1), sectors);
        } else if (dice < 72) {
            return BlockIo.whole(BlockIo.Kind.FUA, block, block);
        } else if (dice < 79) {
            return BlockIo.whole(BlockIo.Kind.ZERO, block, lastOfRun(block));
        } else if (dice < 86) {
            block = firstBlockIfLast(block);
            return BlockIo.whole(BlockIo.Kind.DISCARD, block, Math.min(lastOfRun(block), lastWholeBlock()));
        } else if (dice < 96) {
            return BlockIo.whole(BlockIo.Kind.READ, block, lastOfRun(block));
        }
        return BlockIo.fsync();
    }

    /** Often near the last one, as file systems do it; sometimes the very last block, which may be a short one. */
    private int someBlock() {
        int blocks = workload.record().nrBlocks();
        int dice = random.nextInt(10);
        if (dice == 0) {
            return blocks - 1;
        }
        return dice < 4 ? random.nextInt(Math.min(blocks, 200)) : random.nextInt(blocks);
    }

    private int lastOfRun(int block) {
        return Math.min(workload.record().nrBlocks() - 1, block + random.nextInt(LARGEST_RUN));
    }

    private int lastWholeBlock() {
        return Math.toIntExact(workload.record().lengthSectors() / blockSizeSectors) - 1;
    }

    /** The last block may be short, so requests that must lie within a block go elsewhere. */
    private int firstBlockIfLast(int block) {
        return block > lastWholeBlock() ? 0 : block;
    }

    /** Of at least a few blocks, often not a multiple of the block size. */
    private long someLength() {
        int least = blockSizeSectors * 20;
        int length = least + random.nextInt(originSectors - least);
        return random.nextInt(4) == 0 ? length : length / blockSizeSectors * (long) blockSizeSectors;
    }

    private String label() {
        return "at" + ++labels;
    }
}
