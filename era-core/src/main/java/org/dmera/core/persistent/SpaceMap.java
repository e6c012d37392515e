// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;
import org.dmera.core.format.Superblock;

/**
 * Which metadata blocks are in use, and which may be allocated.
 *
 * <p><b>Two maps decide.</b> A block is allocated only when it is free now <em>and</em> was free at the last commit:
 * what the last superblock reaches must stay as it is until the next one is on the device. So blocks that a transaction
 * frees can be used again only after its commit.
 *
 * <p><b>Recursion.</b> Counting a reference shadows a bitmap, which allocates one block and drops another: more
 * counting. While a count is being changed, further changes are queued and made when it is done; look-ups add the queued
 * ones to what is stored.
 *
 * <p><b>Bootstrap.</b> The space map of a new device needs blocks before it can count them: they are allocated one
 * after another from block 1, and counted in one go at the end.
 *
 * <p>Blocks are allocated by a cursor which runs to the end of the device and starts over; like the kernel's it is not
 * stored, and starts at 0 when metadata is opened.
 */
public final class SpaceMap {
    private final ReferenceCounts now;
    private final ReferenceCounts atLastCommit;
    private final QueuedChanges queue = new QueuedChanges();
    private boolean bootstrapping;
    private long bootstrapLimit;
    private boolean changing;
    private long cursor;
    private long handedOutSinceCommit;

    SpaceMap(TransactionManager tm) {
        this.now = new ReferenceCounts(tm);
        this.atLastCommit = new ReferenceCounts(tm);
    }

    void bootstrap(long nrBlocks) throws IOException {
        bootstrapping = true;
        cursor = 1;
        bootstrapLimit = nrBlocks;
        now.create(nrBlocks);
        bootstrapping = false;
        now.add(0, cursor);
        applyQueue();
        commit();
    }

    void open(Superblock superblock) throws IOException {
        now.open(superblock);
        atLastCommit.copyFrom(now);
        cursor = 0;
    }

    /** Where the bitmap blocks are now, changes of this transaction included. */
    long[] bitmapBlocks() {
        return now.bitmapBlocks();
    }

    /** Blocks of the device that are managed. */
    public long nrBlocks() {
        return now.nrBlocks();
    }

    /** Blocks with a count, changes of this transaction included: the superblock's nr_allocated. */
    public long nrAllocated() {
        return now.nrAllocated();
    }

    /**
     * Blocks that the status line reports as free: those that were free at the last commit, less every one allocated
     * since. Blocks freed since count only after the commit.
     */
    public long nrFree() {
        return atLastCommit.nrBlocks() - atLastCommit.nrAllocated() - handedOutSinceCommit;
    }

    /** Sets the superblock's space map root. */
    public void storeRoot(Superblock superblock) {
        superblock.spaceMapRoot(now.nrBlocks(), now.nrAllocated(), now.indexRoot(), now.treeRoot());
    }

    /** A block gains a reference. */
    public void add(long block) throws IOException {
        add(block, block + 1);
    }

    /** Each block in [begin, end) gains a reference. */
    void add(long begin, long end) throws IOException {
        change(begin, end, true);
    }

    /** A block loses a reference; with the last one it is free from the next commit on. */
    public void drop(long block) throws IOException {
        change(block, block + 1, false);
    }

    /** References to a block, queued changes included. */
    public long count(long block) throws IOException {
        return now.count(block) + queue.balance(block);
    }

    /** Whether more than one thing refers to a block. Errs towards yes: a stored 3 counts, whatever is queued. */
    boolean isShared(long block) throws IOException {
        if (bootstrapping) {
            return false;
        }
        int queued = queue.balance(block);
        if (queued > 1) {
            return true;
        }
        int stored = now.stored(block);
        return stored == 3 || stored + queued > 1;
    }

    long newBlock() throws IOException {
        if (bootstrapping) {
            if (cursor >= bootstrapLimit) {
                throw new NoSpaceException(bootstrapLimit);
            }
            return cursor++;
        }
        long block = findFree(cursor);
        if (block < 0) {
            block = findFree(0);
        }
        if (block < 0) {
            throw new NoSpaceException(now.nrBlocks());
        }
        cursor = block + 1;
        add(block, block + 1);
        handedOutSinceCommit++;
        return block;
    }

    void commit() throws IOException {
        now.commit();
        atLastCommit.copyFrom(now);
        handedOutSinceCommit = 0;
    }

    private long findFree(long begin) throws IOException {
        long block = now.findFree(begin, now.nrBlocks());
        while (block >= 0 && (atLastCommit.stored(block) != 0 || queue.balance(block) > 0)) {
            block = now.findFree(block + 1, now.nrBlocks());
        }
        return block;
    }

    private void change(long begin, long end, boolean add) throws IOException {
        if (changing) {
            queue.push(begin, end, add);
            return;
        }
        changing = true;
        make(begin, end, add);
        applyQueue();
        changing = false;
    }

    private void applyQueue() throws IOException {
        while (!queue.isEmpty()) {
            make(queue.firstBegin(), queue.firstEnd(), queue.firstIsAdd());
            queue.pop();
        }
    }

    private void make(long begin, long end, boolean add) throws IOException {
        if (add) {
            now.add(begin, end);
        } else {
            now.drop(begin, end);
        }
    }
}
