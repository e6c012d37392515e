// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.dmera.core.metadata.EraWorker;

/**
 * The ranges of blocks that wait for marks, in the order of arrival: taken in batches, each of which is marked in one commit.
 * Guarded by whoever owns it; answers are given without a lock.
 */
final class MarkQueue {
    /** Blocks that are marked in one commit, about; a longer range is marked in several. */
    static final int MAX_BATCH_BLOCKS = 1 << 20;

    /** A range of blocks that must be marked before it may be written. */
    private record Waiting(int first, int last, Target.Prepared then) {
        int count() {
            return last - first + 1;
        }
    }

    private final Consumer<Throwable> onFailure;
    private List<Waiting> waiting = new ArrayList<>();

    /** {@code onFailure} hears of marks that could not be made, and of answers that could not be given. */
    MarkQueue(Consumer<Throwable> onFailure) {
        this.onFailure = onFailure;
    }

    boolean isEmpty() {
        return waiting.isEmpty();
    }

    void add(int first, int last, Target.Prepared then) {
        waiting.add(new Waiting(first, last, then));
    }

    /** Takes as many as fit into one commit; null when none waits. */
    Batch take() {
        if (waiting.isEmpty()) {
            return null;
        }
        int taken = 0;
        int blocks = 0;
        while (taken < waiting.size() && blocks < MAX_BATCH_BLOCKS) {
            blocks += waiting.get(taken++).count();
        }
        Batch batch = new Batch(new ArrayList<>(waiting.subList(0, taken)), blocks);
        waiting = new ArrayList<>(waiting.subList(taken, waiting.size()));
        return batch;
    }

    /** Takes all; what is returned tells them why they can't be marked. */
    Consumer<IOException> takeAll() {
        List<Waiting> all = waiting;
        waiting = new ArrayList<>();
        return why -> all.forEach(each -> answer(each, why));
    }

    /** One that fails to take its answer keeps nobody else from theirs. */
    private void answer(Waiting write, IOException failure) {
        try {
            write.then.prepared(failure);
        } catch (RuntimeException | Error e) {
            onFailure.accept(e);
        }
    }

    /** All that waits for marks, block by block in the order of arrival. */
    final class Batch implements EraWorker.Writes {
        private final List<Waiting> writes;
        private final int[] blocks;

        private Batch(List<Waiting> writes, int count) {
            this.writes = writes;
            blocks = new int[count];
            int at = 0;
            for (Waiting w : writes) {
                for (int block = w.first; block <= w.last; block++) {
                    blocks[at++] = block;
                }
            }
        }

        /** The blocks, in the order of arrival. */
        int[] blocks() {
            return blocks;
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
            for (Waiting w : writes) {
                answer(w, null);
            }
        }

        @Override
        public void failed(Throwable why) {
            onFailure.accept(why);
            String reason = why instanceof IOException ? why.getMessage() : why.toString();
            IOException failure = new IOException("the write can't be recorded: " + reason, why);
            for (Waiting w : writes) {
                answer(w, failure);
            }
        }
    }
}
