// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.io.IOException;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.EraStats;
import org.dmera.core.metadata.EraWorker;
import org.dmera.core.metadata.RefusedException;

/**
 * An era target without data and without threads: one table slot live, one inactive, as device-mapper has them, over one
 * metadata device. After each operation the worker runs until it is idle, like the machine on which the fixtures were
 * recorded.
 */
public final class SettledTarget {
    private final BlockDevice device;
    private final long blockSizeSectors;
    private EraWorker live;
    private long liveNrBlocks;
    private boolean suspended = true;
    private EraWorker inactive;
    private long inactiveNrBlocks;

    public SettledTarget(BlockDevice device, long blockSizeSectors) {
        this.device = device;
        this.blockSizeSectors = blockSizeSectors;
    }

    /** The live table's worker. */
    public EraWorker worker() {
        return live;
    }

    /** Loads a table for an origin of {@code nrBlocks} into the inactive slot: opens the metadata, or formats it. */
    public void load(long nrBlocks) throws IOException {
        inactive = new EraWorker(EraMetadata.openOrFormat(device, blockSizeSectors));
        inactiveNrBlocks = nrBlocks;
    }

    public void suspend() throws IOException {
        if (!suspended) {
            boolean again = live.pass(new Once(archive()));
            if (again) {
                live.pass(new Once(null));
            }
            live.afterSuspend();
            suspended = true;
        }
    }

    public void resume() throws IOException {
        if (inactive != null) {
            if (live != null) {
                suspend();
            }
            live = inactive;
            liveNrBlocks = inactiveNrBlocks;
            inactive = null;
            suspended = true;
        }
        if (suspended) {
            live.beforeResume(liveNrBlocks);
            suspended = false;
            call(new Answer(EraMetadata::rollover));
        }
    }

    /** Suspends and forgets the tables, as a removal does. */
    public void remove() throws IOException {
        if (live != null) {
            suspend();
        }
        live = null;
        inactive = null;
    }

    public void checkpoint() throws IOException {
        call(new Answer(EraMetadata::rollover));
    }

    public void takeSnapshot() throws IOException {
        call(new Answer(EraMetadata::takeSnapshot));
    }

    public void dropSnapshot() throws IOException {
        call(new Answer(EraMetadata::dropSnapshot));
    }

    /** Takes the figures as the kernel's status does: through the worker, before the commit that follows. */
    public EraStats status() throws IOException {
        EraStats[] stats = new EraStats[1];
        call(new Answer(md -> stats[0] = md.stats()));
        return stats[0];
    }

    /** One write, settled, when the block is not marked yet; nothing otherwise. */
    public void write(int block) throws IOException {
        writeTogether(block);
    }

    /** Writes that arrive together; those to marked blocks go straight through. */
    public void writeTogether(int... blocks) throws IOException {
        int[] unmarked = java.util.Arrays.stream(blocks)
                .filter(b -> !live.marked().contains(b))
                .toArray();
        if (unmarked.length > 0) {
            Batch batch = new Batch(unmarked);
            Once work = new Once(null);
            work.writes = batch;
            settle(work);
            batch.rethrow();
        }
    }

    private void call(Answer answer) throws IOException {
        settle(new Once(answer));
        answer.rethrow();
    }

    private void settle(Once work) {
        while (live.pass(work)) {
            // The worker has woken itself.
        }
    }

    private static Answer archive() {
        return new Answer(EraMetadata::archive);
    }

    private interface Verb {
        void run(EraMetadata metadata) throws IOException, RefusedException;
    }

    private static final class Answer implements EraWorker.Call {
        private final Verb verb;
        private Throwable why;
        private boolean done;

        Answer(Verb verb) {
            this.verb = verb;
        }

        @Override
        public void run(EraMetadata metadata) throws IOException, RefusedException {
            verb.run(metadata);
        }

        @Override
        public void done(Throwable why) {
            this.why = why;
            done = true;
        }

        void rethrow() throws IOException {
            rethrowIfFailed(why, done);
        }
    }

    private static final class Batch implements EraWorker.Writes {
        private final int[] blocks;
        private Throwable why;
        private boolean done;

        Batch(int[] blocks) {
            this.blocks = blocks;
        }

        @Override
        public int count() {
            return blocks.length;
        }

        @Override
        public int block(int index) {
            return blocks[index];
        }

        @Override
        public void marked() {
            done = true;
        }

        @Override
        public void failed(Throwable why) {
            this.why = why;
            done = true;
        }

        void rethrow() throws IOException {
            rethrowIfFailed(why, done);
        }
    }

    private static void rethrowIfFailed(Throwable why, boolean done) throws IOException {
        if (!done) {
            throw new IllegalStateException("the worker never answered");
        }
        if (why instanceof RefusedException refused) {
            throw new IllegalStateException(refused);
        }
        if (why != null) {
            throw new IOException(why);
        }
    }

    /** Hands its work over once. */
    private static final class Once implements EraWorker.Work {
        private EraWorker.Writes writes;
        private EraWorker.Call call;

        Once(EraWorker.Call call) {
            this.call = call;
        }

        @Override
        public EraWorker.Writes takeWrites() {
            EraWorker.Writes taken = writes;
            writes = null;
            return taken;
        }

        @Override
        public List<EraWorker.Call> takeCalls() {
            List<EraWorker.Call> taken = call == null ? List.of() : List.of(call);
            call = null;
            return taken;
        }
    }
}
