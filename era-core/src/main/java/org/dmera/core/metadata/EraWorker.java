// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import java.io.IOException;
import java.util.List;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.persistent.DiskBitset;

/**
 * The order in which an era target's worker does its work, without the thread: whoever drives it calls {@link #pass}
 * each time the worker is woken, and again when a pass says so.
 *
 * <p>The order decides which blocks a transaction shadows, so it shows in the bytes; it is the kernel's. In one pass:
 *
 * <ol>
 *   <li>if a writeset was archived since the last look, begin digestion, unless it is under way;
 *   <li>one digestion step, if it is under way; when more is left, the worker wakes itself again;
 *   <li>the deferred writes: mark them all, then one commit if any was new;
 *   <li>the waiting calls, newest first, then one commit for all of them, whether or not they changed anything.
 * </ol>
 *
 * <p>So a checkpoint archives and commits, but digestion begins only with the next wake-up, and what its steps change is
 * committed by whatever commits next. Only after a commit are in-core bits set and writes let go.
 *
 * <p>All but {@link #marked()} belongs to the thread that owns the metadata.
 */
public final class EraWorker {
    /** Where work comes from. Each is asked in its stage of a pass, not before. */
    public interface Work {
        /** Takes the deferred writes; null when there are none. */
        Writes takeWrites();

        /** Takes the waiting calls, newest first. */
        List<? extends Call> takeCalls();
    }

    /** Deferred writes. */
    public interface Writes {
        int count();

        /** The origin block that write {@code index} touches; they are in order of arrival. */
        int block(int index);

        /** They may go to the origin: their marks are durable. */
        void marked();

        /** They must fail (EIO): their marks are not durable. */
        void failed(Throwable why);
    }

    /** A call that waits for the worker: a message, a status, an archive, a rollover. */
    public interface Call {
        /** Works in the open transaction; a {@link RefusedException} is an answer, not a failure. */
        void run(EraMetadata metadata) throws IOException, RefusedException;

        /** It is done and committed, or was refused, or failed: {@code why} is null, the refusal, or the failure. */
        void done(Throwable why);
    }

    /** Of a node of a btree of values of 8 bytes that is full by half. */
    private static final int FEWEST_CHILDREN = 126;
    /** While there is room for so many more writesets, and for digestion, eras may begin as they come. */
    private static final int ERAS_OF_ROOM = 3;
    /** What a step of digestion and its commit may take: a block for each of its bits, and the trees above. */
    private static final int DIGEST_BLOCKS = 160;
    /** What a commit takes besides. */
    private static final int LEAST_BLOCKS = 16;

    /** What the end of an era and the steps of digestion take at the least, one commit after the other. */
    private static final int SPARE_BLOCKS = 8;

    private static final MarkedBlocks NONE = new MarkedBlocks(0);

    private final EraMetadata metadata;
    private final Digest digest;
    private long writesetOfMarked;
    private volatile MarkedBlocks marked = NONE;
    private boolean resumedBefore;

    public EraWorker(EraMetadata metadata) {
        this.metadata = metadata;
        this.digest = new Digest(metadata);
        this.writesetOfMarked = metadata.writesetsBegun();
        metadata.setRoomMaker(this::makeRoomForNextEra);
    }

    /** The metadata, for its owner. */
    public EraMetadata metadata() {
        return metadata;
    }

    /** The blocks marked durably in the current era. A new era brings a new one; any thread may ask. */
    public MarkedBlocks marked() {
        return marked;
    }

    /** Whether there are digestion steps to take. */
    public boolean isDigesting() {
        return digest.underWay();
    }

    /**
     * What a resume does before the worker's passes begin: the first one of a table resizes to its length if that
     * differs and commits in any case; later ones do nothing. A rollover through the worker
     * follows each time.
     */
    public void beforeResume(long nrBlocks) throws IOException {
        if (resumedBefore) {
            return;
        }
        if (metadata.nrBlocks() != nrBlocks) {
            if (!metadata.wasFormatted()) {
                metadata.makeOpenedDurable();
            }
            metadata.resize(nrBlocks);
        }
        metadata.commit();
        resumedBefore = true;
    }

    /**
     * What a suspend does after the worker has archived the current writeset and stopped: a second commit, which saves
     * what digestion steps have changed since.
     */
    public void afterSuspend() throws IOException {
        metadata.commit();
    }

    /** One pass; returns whether the worker wakes itself for another. Never throws for failures of the metadata. */
    public boolean pass(Work work) {
        if (metadata.takeArchivedSinceLook()) {
            digest.begin();
        }
        boolean again = digestStep();
        makeRoom();
        Writes writes = work.takeWrites();
        if (writes != null && writes.count() > 0) {
            markWrites(writes);
        }
        List<? extends Call> calls = work.takeCalls();
        if (!calls.isEmpty()) {
            runCalls(calls);
        }
        return again;
    }

    private boolean digestStep() {
        try {
            return digest.step();
        } catch (IOException e) {
            // The metadata remembers the failure, and every write and call after this hears of it.
            return false;
        }
    }

    /**
     * Digests what is archived while there is hardly space for a few more eras: eras that begin faster than digestion
     * follows would fill the device with writesets, and a full one can't even digest them. Far from that it does nothing,
     * and the bytes are the kernel's.
     */
    private void makeRoom() {
        try {
            long writeset = blocksOfWriteset();
            long total = metadata.transactionManager().spaceMap().nrBlocks();
            long enough = Math.min(ERAS_OF_ROOM * writeset + DIGEST_BLOCKS, total / 4);
            // One that waits is as it should be, unless the next can't begin before it is digested.
            int waiting = freeBlocks() < writeset + LEAST_BLOCKS ? 1 : 2;
            if (freeBlocks() < enough && hasArchived(waiting)) {
                digestUntil(enough);
            }
        } catch (IOException e) {
            // As of a step: the metadata remembers the failure.
            return;
        }
    }

    /**
     * Where there is no room for two writesets, the one of the era that ends makes way for the next. Elsewhere this does
     * nothing.
     */
    private void makeRoomForNextEra() throws IOException {
        long enough = blocksOfWriteset() + SPARE_BLOCKS;
        if (freeBlocks() < enough) {
            metadata.commit();
            digestUntil(enough);
        }
    }

    private void digestUntil(long enough) throws IOException {
        if (freeBlocks() < blocksToTranscribe()) {
            // It may be reading the bits that go.
            digest.abandon();
            metadata.squeezeOutSupersededWriteset();
            metadata.commit();
        }
        digest.begin();
        long after = freeBlocks();
        boolean more = true;
        while (more && freeBlocks() < enough) {
            boolean isTight = after < LEAST_BLOCKS;
            digest.sparing(isTight);
            more = digest.step();
            // A commit frees what was digested, and the blocks that steps have shadowed.
            if (digest.hasRemoved() || freeBlocks() < (isTight ? after : after - after / 2)) {
                metadata.commit();
                after = freeBlocks();
            }
        }
        digest.sparing(false);
        metadata.commit();
    }

    private void markWrites(Writes writes) {
        MarkedBlocks bits;
        try {
            beginNewMarks();
            bits = marked;
            boolean anyNew = false;
            for (int i = 0; i < writes.count(); i++) {
                int block = writes.block(i);
                if (!bits.contains(block)) {
                    metadata.mark(block);
                    anyNew = true;
                    if (freeBlocks() < SPARE_BLOCKS) {
                        // It gives back what the marks so far have shadowed.
                        metadata.commit();
                    }
                }
            }
            if (anyNew) {
                metadata.commit();
            }
        } catch (IOException | RuntimeException | Error e) {
            writes.failed(e);
            return;
        }
        for (int i = 0; i < writes.count(); i++) {
            bits.add(writes.block(i));
        }
        writes.marked();
    }

    /** Every call is answered, whatever happens, memory that is not to be had included. */
    private void runCalls(List<? extends Call> calls) {
        Throwable[] answers;
        Throwable failure = null;
        try {
            answers = new Throwable[calls.size()];
            for (int i = 0; i < answers.length; i++) {
                answers[i] = run(calls.get(i));
            }
            metadata.commit();
        } catch (IOException | RuntimeException | Error e) {
            answers = null;
            failure = e;
        }
        for (int i = 0; i < calls.size(); i++) {
            calls.get(i).done(failure != null ? failure : answers[i]);
        }
    }

    private Throwable run(Call call) {
        Throwable answer = null;
        try {
            call.run(metadata);
        } catch (IOException | RefusedException | RuntimeException | Error e) {
            answer = e;
        }
        try {
            beginNewMarks();
        } catch (RuntimeException | Error e) {
            answer = answer == null ? e : answer;
        }
        return answer;
    }

    /**
     * In a new era nothing is marked, whoever began it. When there is no memory for its marks nothing counts as marked, and
     * this is tried again before the next ones are wanted.
     */
    private void beginNewMarks() {
        if (metadata.writesetsBegun() != writesetOfMarked) {
            marked = NONE;
            marked = new MarkedBlocks(metadata.currentWritesetNrBits());
            writesetOfMarked = metadata.writesetsBegun();
        }
    }

    /** Blocks that can be allocated before the next commit. */
    private long freeBlocks() {
        return metadata.transactionManager().spaceMap().nrFree();
    }

    /** Blocks that it takes to transcribe a mark: the way to it in the era array, and the space map's bitmap and index. */
    private long blocksToTranscribe() {
        long ofTwoLevels = (long) FEWEST_CHILDREN * FEWEST_CHILDREN * ArrayBlock.ERAS_PER_BLOCK;
        return metadata.nrBlocks() <= ofTwoLevels ? 5 : 6;
    }

    /** Blocks that a new era's writeset takes, about: its words, and the tree above them. */
    private long blocksOfWriteset() {
        long leaves = DiskBitset.words(metadata.nrBlocks()) / ArrayBlock.WORDS_PER_BLOCK + 1;
        return leaves + leaves / FEWEST_CHILDREN + 1;
    }

    /** Whether {@code most} writesets or more are archived and not digested. */
    private boolean hasArchived(int most) throws IOException {
        int[] found = new int[1];
        metadata.writesets().forEach((era, nrBits, root) -> found[0]++);
        return found[0] >= most;
    }
}
