// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.function.Consumer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.EraStats;
import org.dmera.core.metadata.EraWorker;
import org.dmera.core.metadata.MarkedBlocks;
import org.dmera.core.metadata.MetadataFailedException;

/**
 * One era target's metadata as it is open, and what is known of it without asking: figures for those who can't wait for the
 * thread that owns it. Opened, left and given up on that thread; looked at on any.
 */
final class EraMetadataState {
    private final Backing backing;
    private final BlockDevice device;
    private final long blockSizeSectors;
    private final Lineages lineages;
    private final Consumer<String> log;

    /** Null while the metadata could not be opened again after a failure. */
    private volatile EraWorker worker;

    private volatile int currentEra;
    private volatile Object lineage;
    private volatile String lastStatus = "Error";
    private volatile Throwable failure;

    EraMetadataState(Backing backing, long blockSizeSectors, Lineages lineages, Consumer<String> log) {
        this.backing = backing;
        this.device = new BackingBlockDevice(backing);
        this.blockSizeSectors = blockSizeSectors;
        this.lineages = lineages;
        this.log = log;
    }

    /** Opens them, formatting what is blank. */
    void open() throws IOException {
        EraMetadata metadata = EraMetadata.openOrFormat(device, blockSizeSectors);
        lineage = lineages.opened(backing.identity(), device);
        worker = new EraWorker(metadata);
        failure = null;
        remember(metadata);
    }

    private void remember(EraMetadata metadata) throws IOException {
        EraStats stats = metadata.stats();
        note(stats);
        lastStatus = stats.statusLine();
    }

    /** What is in memory is stale: another table ran on this metadata since it was opened, or it failed. */
    boolean isStale() throws IOException {
        return worker == null || failure != null || !isCurrentOnDevice(worker.metadata());
    }

    private static boolean isCurrentOnDevice(EraMetadata metadata) throws IOException {
        try {
            return metadata.isCurrentOnDevice();
        } catch (MetadataFailedException e) {
            return false;
        }
    }

    /** Has them hold {@code nrBlocks}. What is cut off has lost its eras when it comes back, so this is another record. */
    void beforeResume(long nrBlocks) throws IOException {
        if (nrBlocks < worker.metadata().nrBlocks()) {
            lineage = new Object();
        }
        worker.beforeResume(nrBlocks);
    }

    /** Gives up what is in memory, and opens them anew. */
    void reopen() throws IOException {
        worker = null;
        backing.forgetLoss();
        try {
            open();
        } catch (IOException | RuntimeException | Error e) {
            failed(e);
            throw e;
        }
    }

    /** The target is suspended, and what is on the device is whole. */
    void left() throws IOException {
        worker.afterSuspend();
        lineages.left(backing.identity(), device, lineage);
        remember(worker.metadata());
    }

    void close() {
        worker = null;
    }

    /**
     * No status but {@code Error} until it is opened again; the first failure is the one that counts. Throws nothing: many
     * wait to hear of it.
     */
    void failed(Throwable why) {
        lastStatus = "Error";
        if (failure == null) {
            failure = why;
            try {
                log.accept("era: " + backing.display() + ": " + FailureText.of(why));
            } catch (RuntimeException | Error e) {
                // No memory for the line, or no room where it goes: the status says it, and whoever waits is told.
                // To note this one would take memory, too.
                return;
            }
        }
    }

    /** Null, or why it failed. */
    Throwable failure() {
        return failure;
    }

    /** Null while they are not open. */
    EraWorker worker() {
        return worker;
    }

    /** The same; throws why they are not open. */
    EraWorker requireWorker() throws IOException {
        EraWorker w = worker;
        Throwable why = failure;
        if (w == null) {
            throw new IOException("the metadata could not be opened: "
                    + (why == null ? "the target is closed" : FailureText.of(why)));
        }
        return w;
    }

    /** How many blocks are marked in the current era. */
    long markedBlocks() {
        EraWorker w = worker;
        return w == null ? 0 : w.marked().count();
    }

    /**
     * Figures that are about to be committed. When the era has gone round, what is written now has lower eras than what was
     * written before: a record of its own, for who asks what was written since.
     */
    void note(EraStats stats) {
        int before = currentEra;
        currentEra = (int) stats.currentEra();
        if (Integer.compareUnsigned(currentEra, before) < 0) {
            // After the era, which is looked at after the lineage.
            lineage = new Object();
        }
    }

    /** Figures that were committed; returns the status line. */
    String committed(EraStats stats) {
        lastStatus = stats.statusLine();
        return lastStatus;
    }

    int currentEra() {
        return currentEra;
    }

    Object lineage() {
        return lineage;
    }

    /** The status line that was true last. */
    String lastStatus() {
        return lastStatus;
    }

    /** Whether all blocks from {@code first} to {@code last} are marked in the current era. */
    boolean isMarked(long first, long last) {
        EraWorker w = worker;
        if (w == null) {
            return false;
        }
        MarkedBlocks marked = w.marked();
        if (last >= marked.nrBlocks()) {
            return false;
        }
        for (long block = first; block <= last; block++) {
            if (!marked.contains(block)) {
                return false;
            }
        }
        return true;
    }
}
