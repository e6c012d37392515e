// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.List;
import java.util.function.Consumer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.metadata.EraWorker;
import org.dmera.core.persistent.NoSpaceException;

/**
 * {@code era METADATA ORIGIN BLOCK_SIZE}: the origin, and a record of when each of its blocks was last written.
 *
 * <p><b>A write to a block that is marked in the current era</b> goes straight to the origin: it takes a slot, looks at a
 * bit, writes, and gives the slot back. <b>Any other write</b> waits until its marks are on the metadata device and
 * flushed, together with all others that are waiting, and only then touches the origin. So at no moment, not even at a
 * power cut, does the origin hold a change that the metadata does not know of.
 *
 * <p><b>A new era</b> begins with an empty set of marks, published while I/O goes on. A write that the old marks let go may
 * still be on its way then; it would land after the era began, known to the old era alone, and a backup of what was written
 * "since the new era" would miss it. So whoever begins an era looks for such writes afterwards and has their blocks
 * marked again, in the new era, before the message is answered. And those that have landed but are not answered yet are
 * answered first, or marked again as well when their clients don't take the answers, so that each write counts in the era
 * in which it was acknowledged, or a later one. Then the origin is synced: what was acknowledged in the era that has ended is
 * beneath the page cache when the message is answered, for a snapshot of the storage itself, or a power cut.
 *
 * <p><b>Failure.</b> When the metadata device fails or is full, nothing can be marked any more: writes that need a mark fail
 * with EIO, all others go on, and the status is {@code Error}. The device keeps the last committed state; a resume after a
 * suspend opens it again. When the origin loses acknowledged writes, which a failed sync tells once, every later flush and
 * every new era fails, and the status is {@code Error}, for as long as this table is in use.
 *
 * <p><b>Views</b> of what the device held at a moment ({@link FrozenView}) begin with an era while no write is under way.
 * After that each write, its blocks marked, first has what it overwrites kept for them ({@link CopyBeforeWrite}).
 *
 * <p>Which writes may go is in {@link MarkedWrites}, the beginnings and ends of eras in {@link EraBoundaries}, what an origin
 * may lose in {@link SyncedOrigin}; the metadata belongs to {@link EraMetadataThread}.
 */
public final class EraTarget implements Target, ChangeTracking {
    private final Backing metadataBacking;
    private final Backing origin;
    private final long blockSizeSectors;
    private final long blockSizeBytes;
    private final long lengthBytes;
    private final Runnable onClose;
    private final EraMetadataState metadata;
    private final EraMetadataThread thread;
    private final EraCalls calls;
    private final EraReader eras;
    private final MarkedWrites writes;
    private final SyncedOrigin synced;
    private final CopyBeforeWrite views;
    private final EraBoundaries boundaries;

    /** Opens the metadata, formatting it when it is blank; closes nothing when this throws. */
    EraTarget(
            Backing metadataBacking,
            Backing origin,
            long blockSizeSectors,
            long lengthSectors,
            Lineages lineages,
            Consumer<String> log,
            Runnable onClose)
            throws IOException {
        this.metadataBacking = metadataBacking;
        this.origin = origin;
        this.blockSizeSectors = blockSizeSectors;
        this.blockSizeBytes = blockSizeSectors * TableWords.SECTOR_BYTES;
        this.lengthBytes = lengthSectors * TableWords.SECTOR_BYTES;
        this.onClose = onClose;
        this.metadata = new EraMetadataState(metadataBacking, blockSizeSectors, lineages, log);
        this.views = new CopyBeforeWrite(origin, lengthBytes, log);
        this.synced = new SyncedOrigin(origin, log);
        this.thread = new EraMetadataThread(
                "era-" + metadataBacking.display(),
                blocks -> views.beforeMarks(metadata.worker(), blocks),
                metadata::failed);
        this.calls = new EraCalls(metadata, thread);
        this.eras = new EraReader(metadata, thread, blockSizeBytes);
        this.writes = new MarkedWrites(metadata, thread, blockSizeBytes);
        this.boundaries = new EraBoundaries(metadata, thread, calls, writes, synced, views);
        Failures.takingBack(
                () -> thread.close(() -> null),
                () -> thread.run(() -> {
                    metadata.open();
                    return null;
                }));
    }

    private long nrBlocks() {
        return (lengthBytes + blockSizeBytes - 1) / blockSizeBytes;
    }

    @Override
    public String type() {
        return "era";
    }

    // ---- I/O

    @Override
    public void submit(Operation operation, long offsetBytes, long length, ByteBuffer data, int flags)
            throws IOException {
        if (operation.isChange()) {
            change(operation, offsetBytes, length, data, flags);
        } else if (operation == Operation.FLUSH) {
            synced.flush();
        } else {
            origin.submit(operation, offsetBytes, length, data, flags);
        }
    }

    private void change(Operation operation, long offsetBytes, long length, ByteBuffer data, int flags)
            throws IOException {
        if (length == 0) {
            return;
        }
        int slot = writes.enter(offsetBytes, length);
        try {
            views.before(offsetBytes, length);
            origin.submit(operation, offsetBytes, length, data, flags);
            synced.requireNoLossIf(flags);
        } finally {
            writes.exit(slot);
        }
    }

    @Override
    public long sendTo(SocketChannel socket, long offsetBytes, long length) {
        return origin.sendTo(socket, offsetBytes, length);
    }

    /**
     * Makes every write that has returned durable on the origin: those of the era that has ended are there, for whoever
     * looks past the page cache, when the era's end is told.
     */
    @Override
    public void sync() throws IOException {
        synced.sync();
    }

    @Override
    public IOException loss() {
        return synced.loss();
    }

    @Override
    public long allocation(long offsetBytes, long length) throws IOException {
        return origin.allocation(offsetBytes, length);
    }

    @Override
    public boolean mustWait(long offsetBytes, long length) {
        if (length <= 0) {
            return false;
        }
        return !writes.isMarked(offsetBytes, length) || views.mustCopy(offsetBytes, length);
    }

    @Override
    public void prepare(long offsetBytes, long length, Prepared then) {
        if (length == 0 || views.any() && writes.isMarked(offsetBytes, length)) {
            // What it waits for, if anything, is a copy, which it makes itself.
            then.prepared(null);
        } else {
            writes.prepare(offsetBytes, length, then);
        }
    }

    // ---- life

    /** The errno that the kernel answers when metadata can't be formatted or resized: ENOSPC, or EIO for all else. */
    static int errno(IOException failure) {
        for (Throwable t = failure; t != null; t = t.getCause()) {
            if (t instanceof NoSpaceException) {
                return Errno.ENOSPC.number();
            }
            if (t instanceof ErrnoException e) {
                return e.errno();
            }
            if (t instanceof OutOfMemoryError) {
                return Errno.ENOMEM.number();
            }
        }
        return Errno.EIO.number();
    }

    @Override
    public void answersOwed(OwedAnswers owed) {
        boundaries.answersOwed(owed);
        origin.answersOwed(owed);
    }

    @Override
    public void resume() throws IOException {
        try {
            boundaries.resume(nrBlocks());
        } catch (IOException e) {
            ErrnoException withErrno = new ErrnoException("resume: " + e.getMessage(), errno(e));
            withErrno.initCause(e);
            throw withErrno;
        }
    }

    @Override
    public void suspend() {
        boundaries.suspend();
    }

    /** Why the status is {@code Error}, or null. */
    public String failure() {
        Throwable f = metadata.failure() != null ? metadata.failure() : synced.loss();
        return f == null ? null : FailureText.of(f);
    }

    /** Another table takes its place: what is written by that one is not copied. */
    @Override
    public void replaced() {
        views.loseAll("another table is in use");
    }

    /** What is read there now may be something else, and what was kept for views is not all that they lack. */
    @Override
    public void replacedBeneath() {
        views.lose("a device beneath has another table");
    }

    @Override
    public void close() throws IOException {
        Failures failures = new Failures();
        failures.run(() -> views.loseAll("the table that it is of was closed"));
        failures.run(this::suspend);
        failures.run(() -> thread.close(() -> {
            metadata.close();
            return null;
        }));
        failures.run(metadataBacking::close);
        failures.run(origin::close);
        failures.run(onClose::run);
        failures.throwFirst();
    }

    @Override
    public String message(List<String> words) throws IOException {
        boundaries.message(words);
        return null;
    }

    @Override
    public String status() {
        if (synced.loss() != null) {
            return "Error";
        }
        return boundaries.isActive() ? calls.status() : metadata.lastStatus();
    }

    /** The figures of the last call that the worker has answered: what {@link #status} says when it need not wait long. */
    public String answeredStatus() {
        return metadata.lastStatus();
    }

    @Override
    public String table() {
        return TableWords.of(metadataBacking) + " " + TableWords.of(origin) + " " + blockSizeSectors;
    }

    @Override
    public void storage(long offsetBytes, long length, StorageAreas areas) {
        areas.through(this, () -> origin.storage(offsetBytes, length, areas));
    }

    @Override
    public List<Backing> dependencies() {
        return List.of(metadataBacking, origin);
    }

    // ---- views

    /** How large the file of a view can become, at most: the data, and an era for each block, in whole slices. */
    public long viewBytes() {
        return lengthBytes + (nrBlocks() + 2L * FrozenView.SLICE_BLOCKS) * Integer.BYTES;
    }

    /**
     * Makes ready for a view, which {@link #freeze} begins, or its close takes back.
     *
     * @param file for its copies; closed with the view, or when this throws
     */
    public FrozenView prepareView(CowFile file) throws IOException {
        return Failures.takingBack(file::close, () -> {
            views.requireRoom();
            return new FrozenView(views, eras, origin, file, lengthBytes, nrBlocks());
        });
    }

    /**
     * Begins a new era, and {@code view} with it: what has been written by now is in the view, and what is written later is
     * in the new era. The caller has the device held: no request is under way. {@link #settleEra} must follow when it goes
     * on.
     *
     * @throws ErrnoException EBUSY when suspended, or what a checkpoint fails with; there is no view then
     */
    public void freeze(FrozenView view) throws IOException {
        boundaries.freeze(view);
    }

    /**
     * The rest of what the beginning of an era means, which needs no writer to wait: what was written before and is answered
     * only now counts in the new era too, and what was acknowledged before is on stable storage.
     */
    public void settleEra() throws IOException {
        boundaries.settleEra();
    }

    // ---- what changed

    /** Whether its metadata is at rest: nothing to mark, to answer, or to digest. */
    public boolean isIdle() {
        return thread.isIdle();
    }

    /** How many calls wait for the metadata. */
    int waitingCalls() {
        return thread.waitingCalls();
    }

    /** How many blocks are marked in the current era. */
    public long markedBlocks() {
        return metadata.markedBlocks();
    }

    @Override
    public long blockSizeBytes() {
        return blockSizeBytes;
    }

    @Override
    public int currentEra() {
        return metadata.currentEra();
    }

    @Override
    public Object lineage() {
        return metadata.lineage();
    }

    @Override
    public void releaseMemory() throws IOException {
        thread.run(() -> {
            EraWorker worker = metadata.worker();
            if (worker != null) {
                worker.metadata().releaseMemory();
            }
            return null;
        });
    }

    @Override
    public boolean lastWritten(long offsetBytes, long length, EraRuns visitor) throws IOException {
        return eras.lastWritten(null, offsetBytes, length, visitor);
    }
}
