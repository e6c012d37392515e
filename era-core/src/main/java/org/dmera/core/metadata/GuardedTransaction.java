// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import java.io.IOException;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.persistent.TransactionManager;

/**
 * The open transaction of a metadata device, guarded: one thread owns it, and after a change that has failed half-way nothing
 * is changed any more, for what is in memory may be anything.
 */
abstract class GuardedTransaction {
    final TransactionManager tm;
    private final BlockDevice device;
    private final Thread owner = Thread.currentThread();
    private Throwable failure;

    GuardedTransaction(BlockDevice device, TransactionManager tm) {
        this.device = device;
        this.tm = tm;
    }

    /** Transactions committed since this was opened. */
    public long commits() {
        requireOwner();
        return tm.commits();
    }

    /** Blocks of 4 KiB written to the device since this was opened. */
    public long blocksWritten() {
        requireOwner();
        return tm.blocksWritten();
    }

    /** Why every change is refused, or null when none has failed. */
    public Throwable failure() {
        requireOwner();
        return failure;
    }

    /**
     * Whether the superblock on the device is still the one that this read or last wrote: false when somebody else has
     * committed since.
     */
    public boolean isCurrentOnDevice() throws IOException {
        requireUsable();
        return SuperblockOnDevice.equals(device, tm.superblock());
    }

    /** Gives up the memory of what can be read again when it is asked for. Changes nothing, also of the open transaction. */
    public void releaseMemory() {
        tm.releaseMemory();
    }

    TransactionManager transactionManager() {
        return tm;
    }

    /** A change of the open transaction. */
    interface Change {
        void make() throws IOException;
    }

    /** Makes a change; if it fails, no other will be made. */
    void change(Change change) throws IOException {
        requireUsable();
        try {
            tm.trim();
            change.make();
        } catch (Throwable t) {
            fail(t);
            throw t;
        }
    }

    /** Nothing in memory can be relied on from now on. */
    final void fail(Throwable why) {
        if (why instanceof DamagedMetadataException damage) {
            damage.on(device.name());
        }
        failure = why;
    }

    final void requireUsable() throws MetadataFailedException {
        requireOwner();
        if (failure != null) {
            throw new MetadataFailedException(failure);
        }
    }

    final void requireOwner() {
        if (Thread.currentThread() != owner) {
            throw new IllegalStateException("era metadata belongs to thread " + owner.getName() + " and was called by "
                    + Thread.currentThread().getName());
        }
    }
}
