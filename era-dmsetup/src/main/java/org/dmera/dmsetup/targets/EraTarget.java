// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.EraStats;
import org.dmera.core.metadata.EraWorker;
import org.dmera.core.metadata.MarkedBlocks;
import org.dmera.core.metadata.MetadataFailedException;
import org.dmera.core.metadata.RefusedException;
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
 * <p>Longer than a class should be, because writes, new eras and suspends depend on one another's order at every step, and
 * that is followed best in one place.
 */
public final class EraTarget implements Target, ChangeTracking {
    /** Blocks asked for at once when eras are looked up; a slice of this size takes the worker a millisecond or so. */
    private static final int SLICE_BLOCKS = 1 << 16;
    /**
     * Status is promised within 100 ms, whatever the devices do. So it waits this long for the worker, and then tells the
     * figures that are known: its own when only their commit is missing, else the last ones.
     */
    private static final long STATUS_PATIENCE_MILLIS = 50;

    private static final String TAKE_SNAPSHOT = "take_metadata_snap";
    private static final String DROP_SNAPSHOT = "drop_metadata_snap";

    private final Backing metadataBacking;
    private final Backing origin;
    private final BlockDevice metadataDevice;
    private final long blockSizeSectors;
    private final long blockSizeBytes;
    private final long lengthBytes;
    private final Lineages lineages;
    private final Consumer<String> log;
    private final Runnable onClose;
    private final EraMetadataThread thread;
    private final InFlightWrites inFlight = new InFlightWrites();

    /** Written by the metadata thread; null while the metadata could not be opened again after a failure. */
    private volatile EraWorker worker;

    private volatile int currentEra;
    private volatile Object lineage;
    private volatile String lastStatus = "Error";
    private volatile boolean active;
    private volatile Throwable failure;
    /** The last call for a status. */
    private volatile Submitted pendingStatus;
    /** Why acknowledged writes are not on the origin, or null; for as long as this table is used. */
    private volatile IOException originLoss;
    /** The views that there are, null for none; another one for each change. Written under {@link #viewsLock}. */
    private volatile CopyBeforeWrite copies;

    private final Object viewsLock = new Object();

    private volatile OwedAnswers answers = stillOwed -> {};
    /**
     * Held by a message and by a suspend: a checkpoint marks writes again after its era has begun, and can't when the
     * target is suspended in between.
     */
    private final ReentrantLock verbs = new ReentrantLock();
    /**
     * One reader of eras at a time, a slice each in turn: however many ask, they take no more than one processor's time from
     * writes that wait for marks.
     */
    private final Semaphore readers = new Semaphore(1, true);

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
        this.lineages = lineages;
        this.log = log;
        this.onClose = onClose;
        this.metadataDevice = new BackingBlockDevice(metadataBacking);
        this.thread = new EraMetadataThread("era-" + metadataBacking.display(), this::beforeMarks, this::failed);
        try {
            thread.run(() -> {
                open();
                return null;
            });
        } catch (IOException | RuntimeException | Error e) {
            thread.close(() -> null);
            throw e;
        }
    }

    private void open() throws IOException {
        EraMetadata metadata = EraMetadata.openOrFormat(metadataDevice, blockSizeSectors);
        lineage = lineages.opened(metadataBacking.identity(), metadataDevice);
        worker = new EraWorker(metadata);
        failure = null;
        remember(metadata);
    }

    /** Keeps the figures for those who ask while the worker can't answer. */
    private void remember(EraMetadata metadata) throws IOException {
        EraStats stats = metadata.stats();
        currentEra = (int) stats.currentEra();
        lastStatus = stats.statusLine();
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
    public void read(long offsetBytes, ByteBuffer dst) throws IOException {
        origin.read(offsetBytes, dst);
    }

    @Override
    public long sendTo(SocketChannel socket, long offsetBytes, long length) {
        return origin.sendTo(socket, offsetBytes, length);
    }

    @Override
    public void write(long offsetBytes, ByteBuffer src, int flags) throws IOException {
        if (!src.hasRemaining()) {
            return;
        }
        int slot = enter(offsetBytes, src.remaining());
        try {
            copyBefore(offsetBytes, src.remaining());
            origin.write(offsetBytes, src, flags);
            requireNoLossIf(flags);
        } finally {
            inFlight.exit(slot);
        }
    }

    @Override
    public void flush() throws IOException {
        requireNoLoss("flush");
        try {
            origin.flush();
        } catch (IOException e) {
            lost(e);
            throw e;
        }
        // Another one may have been told of it.
        requireNoLoss("flush");
    }

    /**
     * Makes every write that has returned durable on the origin: those of the era that has ended are there, for whoever
     * looks past the page cache, when the era's end is told.
     */
    @Override
    public void sync() throws IOException {
        requireNoLoss("sync");
        try {
            origin.sync();
        } catch (IOException e) {
            lost(e);
            throw e;
        }
    }

    private void requireNoLoss(String what) throws IOException {
        IOException loss = originLoss;
        if (loss != null) {
            throw new IOException(what + " after a loss: " + loss.getMessage(), loss);
        }
    }

    /** {@link #FUA} means a flush of what is written, and that fails as every other. */
    private void requireNoLossIf(int flags) throws IOException {
        if ((flags & FUA) != 0) {
            requireNoLoss("FUA");
        }
    }

    private void lost(IOException why) {
        if (originLoss == null) {
            originLoss = why;
            log.accept("era: origin " + origin.display() + ": " + why.getMessage()
                    + "; no flush and no new era until the table is loaded again");
        }
    }

    @Override
    public void discard(long offsetBytes, long length, int flags) throws IOException {
        if (length == 0) {
            return;
        }
        int slot = enter(offsetBytes, length);
        try {
            copyBefore(offsetBytes, length);
            origin.discard(offsetBytes, length, flags);
            requireNoLossIf(flags);
        } finally {
            inFlight.exit(slot);
        }
    }

    @Override
    public void writeZeroes(long offsetBytes, long length, int flags) throws IOException {
        if (length == 0) {
            return;
        }
        int slot = enter(offsetBytes, length);
        try {
            copyBefore(offsetBytes, length);
            origin.writeZeroes(offsetBytes, length, flags);
            requireNoLossIf(flags);
        } finally {
            inFlight.exit(slot);
        }
    }

    @Override
    public long allocation(long offsetBytes, long length) throws IOException {
        return origin.allocation(offsetBytes, length);
    }

    /** Takes a slot for a range all of whose blocks are marked; waits for the marks when they are missing. */
    private int enter(long offsetBytes, long length) throws IOException {
        long first = offsetBytes / blockSizeBytes;
        long last = (offsetBytes + length - 1) / blockSizeBytes;
        while (true) {
            int slot = inFlight.enter(first, last);
            if (isMarked(first, last)) {
                return slot;
            }
            inFlight.exit(slot);
            Client waiting = Client.pause();
            try {
                await(mark(first, last));
            } finally {
                Client.goOn(waiting);
            }
            Client.requireHere(waiting);
        }
    }

    /** What the range holds goes to the views that there are, before it is written. */
    private void copyBefore(long offsetBytes, long length) throws IOException {
        CopyBeforeWrite views = copies;
        if (views != null) {
            views.before(offsetBytes, length);
        }
    }

    private boolean isMarked(long first, long last) {
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

    private static <T> T await(CompletableFuture<T> future) throws IOException {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return future.get();
                } catch (InterruptedException e) {
                    interrupted = true;
                } catch (ExecutionException e) {
                    throw e.getCause() instanceof IOException io ? io : new IOException(e.getCause());
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    @Override
    public boolean mustWait(long offsetBytes, long length) {
        if (length <= 0) {
            return false;
        }
        CopyBeforeWrite views = copies;
        return !isMarked(offsetBytes / blockSizeBytes, (offsetBytes + length - 1) / blockSizeBytes)
                || views != null && views.mustCopy(offsetBytes, length);
    }

    @Override
    public void prepare(long offsetBytes, long length, Prepared then) {
        if (length == 0) {
            then.prepared(null);
            return;
        }
        int first = (int) (offsetBytes / blockSizeBytes);
        int last = (int) ((offsetBytes + length - 1) / blockSizeBytes);
        if (copies != null && isMarked(first, last)) {
            // What it waits for is a copy, which it makes itself.
            then.prepared(null);
            return;
        }
        thread.mark(first, last, then);
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
        answers = owed;
        origin.answersOwed(owed);
    }

    @Override
    public void resume() throws IOException {
        try {
            resumeMetadata();
        } catch (IOException e) {
            ErrnoException withErrno = new ErrnoException("resume: " + e.getMessage(), errno(e));
            withErrno.initCause(e);
            throw withErrno;
        }
    }

    private void resumeMetadata() throws IOException {
        thread.run(() -> {
            if (worker == null || failure != null || !isCurrentOnDevice(worker.metadata())) {
                // Another table ran on this metadata since it was loaded, or it failed: what is in memory is stale.
                worker = null;
                loseViews("the metadata were opened again");
                metadataBacking.forgetLoss();
                open();
            }
            worker.beforeResume(nrBlocks());
            thread.start(worker);
            return null;
        });
        active = true;
        try {
            call(EraMetadata::rollover);
            markAgain();
            syncBeforeIo();
        } catch (IOException | RefusedException e) {
            active = false;
            thread.run(() -> {
                thread.stop();
                return null;
            });
            throw e instanceof IOException io ? io : new IOException(e);
        }
    }

    /** What was lost before does not keep the device from being used: it is told as a later loss is. */
    private void syncBeforeIo() {
        try {
            sync();
        } catch (IOException e) {
            assert originLoss != null;
        }
    }

    private static boolean isCurrentOnDevice(EraMetadata metadata) throws IOException {
        try {
            return metadata.isCurrentOnDevice();
        } catch (MetadataFailedException e) {
            return false;
        }
    }

    @Override
    public void suspend() throws IOException {
        verbs.lock();
        try {
            suspendAlone();
        } finally {
            verbs.unlock();
        }
    }

    private void suspendAlone() {
        if (!active) {
            return;
        }
        active = false;
        // Nothing is on its way any more. What was done under these marks is answered under them, if the clients let
        // us.
        answers.settle((offsetBytes, length) -> {});
        IOException failed = null;
        try {
            call(metadata -> {
                if (metadata.hasCurrentWriteset()) {
                    metadata.archive();
                }
            });
        } catch (IOException | RefusedException e) {
            failed = new IOException(e.getMessage(), e);
        }
        try {
            thread.run(() -> {
                thread.stop();
                if (failure == null) {
                    worker.afterSuspend();
                    lineages.left(metadataBacking.identity(), metadataDevice, lineage);
                    remember(worker.metadata());
                }
                return null;
            });
        } catch (IOException e) {
            failed = e;
        }
        if (failed != null) {
            // The device is suspended all the same: what was acknowledged is marked, and that is on the device.
            failed(failed);
        }
    }

    private void failed(Throwable why) {
        if (failure == null) {
            failure = why;
            log.accept("era: " + metadataBacking.display() + ": " + FailureText.of(why));
        }
        lastStatus = "Error";
    }

    /** Why the status is {@code Error}, or null. */
    public String failure() {
        Throwable f = failure != null ? failure : originLoss;
        return f == null ? null : FailureText.of(f);
    }

    /** Another table takes its place: what is written by that one is not copied. */
    @Override
    public void replaced() {
        loseViews("another table is in use");
    }

    @Override
    public void close() throws IOException {
        loseViews("the table that it is of was closed");
        suspend();
        try {
            thread.close(() -> {
                worker = null;
                return null;
            });
        } finally {
            try {
                metadataBacking.close();
            } finally {
                try {
                    origin.close();
                } finally {
                    onClose.run();
                }
            }
        }
    }

    // ---- calls

    /** What a message does with the metadata, on its thread. */
    private interface Verb {
        void apply(EraMetadata metadata) throws IOException, RefusedException;
    }

    /** A verb on its way through the worker. */
    private final class Submitted implements EraWorker.Call {
        private final Verb verb;
        private final CompletableFuture<String> answer = new CompletableFuture<>();
        private volatile EraStats stats;

        Submitted(Verb verb) {
            this.verb = verb;
        }

        @Override
        public void run(EraMetadata metadata) throws IOException, RefusedException {
            verb.apply(metadata);
            EraStats now = metadata.stats();
            currentEra = (int) now.currentEra();
            stats = now;
        }

        @Override
        public void done(Throwable why) {
            try {
                if (why == null) {
                    lastStatus = stats.statusLine();
                } else if (!(why instanceof RefusedException) && !(why instanceof EraMetadataThread.NotRunning)) {
                    failed(why);
                }
            } finally {
                if (why == null) {
                    answer.complete(lastStatus);
                } else {
                    answer.completeExceptionally(why);
                }
            }
        }

        /** The status line, as far as it is known now. */
        String knownStatus() {
            EraStats known = stats;
            return known == null ? lastStatus : known.statusLine();
        }
    }

    private Submitted submit(Verb verb) {
        Submitted submitted = new Submitted(verb);
        thread.call(submitted);
        return submitted;
    }

    /** Has a verb done and committed. */
    private void call(Verb verb) throws IOException, RefusedException {
        boolean interrupted = false;
        CompletableFuture<String> answer = submit(verb).answer;
        try {
            while (true) {
                try {
                    answer.get();
                    return;
                } catch (InterruptedException e) {
                    interrupted = true;
                } catch (ExecutionException e) {
                    if (e.getCause() instanceof RefusedException refused) {
                        throw refused;
                    }
                    throw e.getCause() instanceof IOException io ? io : new IOException(e.getCause());
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    @Override
    public String message(List<String> words) throws IOException {
        if (words.size() != 1) {
            throw invalid("incorrect number of message arguments");
        }
        String word = words.get(0).toLowerCase(Locale.ROOT);
        Verb verb = switch (word) {
            case "checkpoint" -> EraMetadata::rollover;
            case TAKE_SNAPSHOT -> EraMetadata::takeSnapshot;
            case DROP_SNAPSHOT -> EraMetadata::dropSnapshot;
            default -> throw invalid("unsupported message '" + words.get(0) + "'");
        };
        if (!active) {
            throw suspended();
        }
        verbs.lock();
        try {
            messageAlone(word, verb);
        } finally {
            verbs.unlock();
        }
        return null;
    }

    private void messageAlone(String word, Verb verb) throws IOException {
        if (!active) {
            throw suspended();
        }
        if (!word.equals(DROP_SNAPSHOT)) {
            requireNoLoss("a new era");
        }
        int before = currentEra;
        try {
            call(verb);
        } catch (RefusedException e) {
            throw invalid(e.getMessage());
        } catch (EraMetadataThread.NotRunning e) {
            throw suspended();
        }
        if (currentEra != before) {
            markAgain();
            syncEndedEra(word.equals(TAKE_SNAPSHOT));
        }
    }

    private void syncEndedEra(boolean tookSnapshot) throws IOException {
        try {
            sync();
        } catch (IOException e) {
            if (tookSnapshot) {
                // Whoever is told that it failed won't drop it.
                dropTaken(e);
            }
            throw e;
        }
    }

    private void dropTaken(IOException cause) {
        try {
            call(EraMetadata::dropSnapshot);
        } catch (IOException | RefusedException e) {
            cause.addSuppressed(e);
        }
    }

    private static ErrnoException suspended() {
        return new ErrnoException("message to a suspended era target", Errno.EBUSY.number());
    }

    private static ErrnoException invalid(String reason) {
        return new ErrnoException("era: " + reason, Errno.EINVAL.number());
    }

    /**
     * Marks, in the era that has just begun, the blocks of the writes that may still land by the marks of the last one, and
     * of those that have landed and will be answered in this era.
     */
    private void markAgain() throws IOException {
        List<CompletableFuture<Void>> pending = new ArrayList<>();
        inFlight.forEach((first, last) -> {
            if (!isMarked(first, last)) {
                pending.add(mark(first, last));
            }
        });
        answers.settle((offsetBytes, length) -> {
            long first = offsetBytes / blockSizeBytes;
            long last = (offsetBytes + length - 1) / blockSizeBytes;
            if (!isMarked(first, last)) {
                pending.add(mark(first, last));
            }
        });
        for (CompletableFuture<Void> marked : pending) {
            await(marked);
        }
    }

    /** Has blocks marked, together with all others that wait. */
    private CompletableFuture<Void> mark(long first, long last) {
        CompletableFuture<Void> marked = new CompletableFuture<>();
        thread.mark((int) first, (int) last, failed -> {
            if (failed == null) {
                marked.complete(null);
            } else {
                marked.completeExceptionally(failed);
            }
        });
        return marked;
    }

    @Override
    public String status() {
        if (originLoss != null) {
            return "Error";
        }
        if (!active) {
            return lastStatus;
        }
        boolean interrupted = false;
        Submitted call = statusCall();
        try {
            return call.answer.get(STATUS_PATIENCE_MILLIS, TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            return lastStatus;
        } catch (TimeoutException e) {
            return call.knownStatus();
        } catch (InterruptedException e) {
            interrupted = true;
            return lastStatus;
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** The figures of the last call that the worker has answered: what {@link #status} says when it need not wait long. */
    public String answeredStatus() {
        return lastStatus;
    }

    /**
     * A call for the figures: the one that is on its way, or a new one, so that they don't pile up while the metadata device
     * does not answer. Its figures are no older than a message that was answered: all calls of a pass are answered together,
     * and one of a later pass is answered after them.
     */
    private Submitted statusCall() {
        Submitted pending = pendingStatus;
        if (pending == null || pending.answer.isDone()) {
            pending = submit(metadata -> {});
            pendingStatus = pending;
        }
        return pending;
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

    /**
     * Makes ready for a view, which {@link #freeze} begins, or its close takes back.
     *
     * @param file for its copies; closed with the view, or when this throws
     */
    public FrozenView prepareView(CowFile file) throws IOException {
        try {
            CopyBeforeWrite views = copies;
            if (views != null && views.views().length >= CopyBeforeWrite.MAX_VIEWS) {
                throw new ErrnoException(
                        "a device has " + CopyBeforeWrite.MAX_VIEWS + " views at most", Errno.EBUSY.number());
            }
            return new FrozenView(this, origin, file, lengthBytes, nrBlocks());
        } catch (IOException | RuntimeException | Error e) {
            file.close();
            throw e;
        }
    }

    /**
     * Begins a new era, and {@code view} with it: what has been written by now is in the view, and what is written later is
     * in the new era. The caller has the device held: no request is under way. {@link #settleEra} must follow when it goes
     * on.
     *
     * @throws ErrnoException EBUSY when suspended, or what a checkpoint fails with; there is no view then
     */
    public void freeze(FrozenView view) throws IOException {
        verbs.lock();
        try {
            if (!active) {
                throw suspended();
            }
            requireNoLoss("a new era");
            try {
                call(EraMetadata::rollover);
            } catch (RefusedException e) {
                throw invalid(e.getMessage());
            } catch (EraMetadataThread.NotRunning e) {
                throw suspended();
            }
            view.begin(currentEra);
            synchronized (viewsLock) {
                copies = copies == null ? CopyBeforeWrite.of(origin, view) : copies.with(view);
            }
        } finally {
            verbs.unlock();
        }
    }

    /**
     * The rest of what the beginning of an era means, which needs no writer to wait: what was written before and is answered
     * only now counts in the new era too, and what was acknowledged before is on stable storage.
     */
    public void settleEra() throws IOException {
        verbs.lock();
        try {
            if (active) {
                markAgain();
                sync();
            }
        } finally {
            verbs.unlock();
        }
    }

    /** On the metadata thread. */
    private void beforeMarks(int[] blocks) {
        CopyBeforeWrite views = copies;
        EraWorker w = worker;
        if (views != null && w != null) {
            views.beforeMarks(w.metadata(), blocks);
        }
    }

    /** A view has lost something that it was to keep: no further copies are made for it. */
    void viewLost(FrozenView view, String state, IOException why) {
        remove(view);
        log.accept("era: " + origin.display() + ": the view of era " + Integer.toUnsignedString(view.newEra())
                + " is lost (" + state + "): " + why.getMessage());
    }

    /** A view ends; returns when nothing is copied for it any more. */
    void endView(FrozenView view) {
        CopyBeforeWrite views = remove(view);
        if (views != null) {
            views.awaitCopies();
        }
    }

    /** Takes a view away; returns those that there were. */
    private CopyBeforeWrite remove(FrozenView view) {
        synchronized (viewsLock) {
            CopyBeforeWrite views = copies;
            copies = views == null ? null : views.without(view);
            return views;
        }
    }

    private void loseViews(String reason) {
        CopyBeforeWrite views = copies;
        if (views != null) {
            for (FrozenView view : views.views()) {
                view.lose(FrozenView.INVALID, new IOException(reason));
                view.awaitNoReaders();
            }
        }
    }

    // ---- what changed

    /** Whether its metadata are at rest: nothing to mark, to answer, or to digest. */
    public boolean isIdle() {
        return thread.isIdle();
    }

    /** How many calls wait for the metadata. */
    int waitingCalls() {
        return thread.waitingCalls();
    }

    /** How many blocks are marked in the current era. */
    public long markedBlocks() {
        EraWorker w = worker;
        return w == null ? 0 : w.marked().count();
    }

    @Override
    public long blockSizeBytes() {
        return blockSizeBytes;
    }

    @Override
    public int currentEra() {
        return currentEra;
    }

    @Override
    public Object lineage() {
        return lineage;
    }

    @Override
    public void lastWritten(long offsetBytes, long length, EraRuns visitor) throws IOException {
        lastWritten(null, offsetBytes, length, visitor);
    }

    /** The same, as it was at the moment of {@code view}; null for now. */
    void lastWritten(FrozenView view, long offsetBytes, long length, EraRuns visitor) throws IOException {
        long end = offsetBytes + length;
        long block = offsetBytes / blockSizeBytes;
        if (view != null) {
            // It has its map in slices.
            block -= block % FrozenView.SLICE_BLOCKS;
        }
        long lastBlock = (end - 1) / blockSizeBytes;
        int[] eras = new int[(int) Math.min(SLICE_BLOCKS, lastBlock - block + 1)];
        long at = offsetBytes;
        while (at < end) {
            long first = block;
            int count = (int) Math.min(eras.length, lastBlock - block + 1);
            readers.acquireUninterruptibly();
            try {
                readEras(view, first, count, eras);
                at = visit(first, count, eras, at, end, visitor);
            } finally {
                readers.release();
            }
            if (at < 0) {
                return;
            }
            block += count;
        }
    }

    private void readEras(FrozenView view, long first, int count, int[] eras) throws IOException {
        thread.run(() -> {
            EraWorker w = worker;
            if (w == null) {
                throw new IOException("the metadata could not be opened: " + failure());
            }
            if (view == null) {
                w.metadata().readEras(first, count, eras, 0);
            } else {
                view.readLive(w.metadata(), first, count, eras);
            }
            return null;
        });
        if (view != null) {
            view.readKept(first, count, eras);
        }
    }

    /** Visits a slice as runs from byte {@code from} on; returns where they end, or −1 when the visitor has had enough. */
    private long visit(long first, int count, int[] eras, long from, long end, EraRuns visitor) throws IOException {
        long at = from;
        for (int i = (int) (from / blockSizeBytes - first); i < count; ) {
            int era = eras[i];
            int same = i;
            while (same < count && eras[same] == era) {
                same++;
            }
            long runEnd = Math.min(end, (first + same) * blockSizeBytes);
            if (!visitor.run(runEnd - at, era)) {
                return -1;
            }
            at = runEnd;
            i = same;
        }
        return at;
    }
}
