// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Path;
import java.util.List;
import org.dmera.core.EraPoint;
import org.dmera.core.EraToken;
import org.dmera.core.file.FileReplacement;
import org.dmera.core.file.Folders;
import org.dmera.core.linux.Errno;
import org.dmera.core.metadata.RefusedException;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.tools.backup.Base;
import org.dmera.tools.backup.CopyPlan;
import org.dmera.tools.backup.StreamText;
import org.dmera.tools.backup.copy.CopyEngine;
import org.dmera.tools.backup.copy.MetadataView;
import org.dmera.tools.backup.copy.OriginReader;
import org.dmera.tools.backup.copy.OriginSource;
import org.dmera.tools.backup.copy.StreamOutput;
import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.io.Overwriting;

/**
 * One backup of one device.
 *
 * <p>The order is what makes it right: (1) checkpoint: from now on writes get era C, which will be the next increment's
 * base; (2) wait until the writes of earlier eras have arrived; (3) the origin snapshot, if there is a hook; (4) the
 * metadata snapshot; (5) list, copy; (6) drop both; (7) note C. Whatever is written between 1 and 4 is in this copy or,
 * because its era is at least C, in the next one; if step 2 can't be done, the base stays at the era before, and what
 * was written since then is copied twice.
 *
 * <p>With a view of the device ({@link Views}) 1 to 3 are one step: C begins with the view, which is read instead of the
 * origin. The list may have blocks that were written after that; their data are as of the view all the same.
 *
 * <p>The state says durably that a snapshot may be held before it is taken, so the run after a killed one drops it.
 */
final class Backup implements Closeable {
    /** The device is being backed up, or somebody holds the metadata snapshot: try again later. */
    static final class BusyException extends IOException {
        private static final long serialVersionUID = 1L;

        BusyException(String message) {
            super(message);
        }
    }

    /** Receives what is going on. */
    interface Log {
        void say(String line) throws IOException;
    }

    /** Views of devices as of one moment, to read instead of their origins. */
    interface Views {
        /** Begins the view of {@code device}; returns the era that began with it. */
        long begin(EraDevice device) throws IOException;

        /** Opens the view. */
        OriginSource open(EraDevice device) throws IOException;

        /** Everything was read; throws when the view has been lost, so that it may have been wrong. */
        void requireWhole(EraDevice device) throws IOException;
    }

    /**
     * @param folder for the streams
     * @param stateFile what is remembered between backups
     * @param full whether a full copy was asked for
     * @param fullEvery a full copy after so many increments, 0 for never
     * @param maxChangedPercent a full copy where an increment would hold more of the origin, 100 for never
     * @param identity instead of the metadata device's own, or null
     */
    record Options(
            Path folder,
            Path stateFile,
            boolean full,
            long fullEvery,
            long maxChangedPercent,
            String identity,
            CopyEngine.Options copy,
            boolean quiet) {}

    private final EraDevice device;
    private final OriginHook hook;
    private final Options options;
    private final Log log;
    private final PointFile pointFile;
    private Views views;
    private BackupState state;
    /** Whoever copies now, and may be interrupted; guarded by this. */
    private Thread copier;
    /** A signal came; guarded by this. */
    private boolean stopped;

    /** {@code hook} null: the origin itself is read. */
    Backup(EraDevice device, OriginHook hook, Options options, Log log) throws IOException {
        this.device = device;
        this.hook = hook;
        this.options = options;
        this.log = log;
        this.pointFile = new PointFile(options.stateFile);
        this.state = BackupState.read(options.stateFile);
    }

    /** Reads a view instead of the origin; without a hook. */
    Backup through(Views through) {
        views = through;
        return this;
    }

    /** Does it all; returns the stream's path. After {@link #stop} it fails as interrupted, whatever that has made fail. */
    Path run() throws IOException {
        try {
            return cycle();
        } catch (IOException e) {
            throw isStopped() ? interrupted(e) : e;
        }
    }

    private Path cycle() throws IOException {
        clean("an earlier backup was interrupted");
        deleteLeftOvers();
        requireNoneHeld();
        long newEra = views == null ? beginEra() : views.begin(device);
        Path originPath = takeOriginSnapshot();
        takeMetadataSnapshot();
        beginCopy();
        Path stream;
        try (MetadataView metadata = new MetadataView(device.metadata(), true);
                OriginSource origin = views == null ? OriginReader.open(originPath) : views.open(device)) {
            stream = copy(metadata, origin, newEra);
        }
        clean(null);
        return stream;
    }

    private long beginEra() throws IOException {
        long before = device.currentEra();
        long checkpoint = device.checkpoint();
        if (device.awaitEarlierWrites()) {
            return checkpoint;
        }
        log.say(device.name() + ": was never seen without a write in flight, so the next increment copies again what is"
                + " written from era " + before + " on");
        return before;
    }

    private Path takeOriginSnapshot() throws IOException {
        if (hook == null) {
            return device.origin();
        }
        remember(state.withOriginSnapshot(BackupState.ASKED));
        Path snapshot = hook.create();
        remember(state.withOriginSnapshot(snapshot.toString()));
        return snapshot;
    }

    private void requireNoneHeld() throws IOException {
        HeldSnapshot held = HeldSnapshot.of(device);
        if (held == null) {
            return;
        }
        String what = device.name() + ": a metadata snapshot is held at block " + held.block();
        if (held.era() <= state.era()) {
            // To wait for whoever took it would never end.
            throw new IOException(
                    what + ", of era " + held.era() + ", before the last backup's: the metadata went back to a"
                            + " time when it was held; if nobody uses it, drop it (drop_metadata_snap)");
        }
        throw new BusyException(
                what + ", and not by this backup: whoever took it must drop it first (drop_metadata_snap)");
    }

    private void takeMetadataSnapshot() throws IOException {
        remember(state.withMetadataSnapshot(HeldSnapshot.asked(device.currentEra())));
        try {
            device.takeSnapshot();
        } catch (IOException e) {
            if (isRefusal(e)) {
                // Then none was taken, and one that is held is somebody else's.
                remember(state.withMetadataSnapshot(BackupState.NONE));
                requireNoneHeld();
            }
            throw e;
        }
        HeldSnapshot held;
        try {
            held = HeldSnapshot.of(device);
        } catch (IOException e) {
            // As from metadata that lies elsewhere than was said. It is ours; later nobody can tell it from others'.
            Failures.after(e, () -> {
                device.dropSnapshot();
                remember(state.withMetadataSnapshot(BackupState.NONE));
            });
            throw e;
        }
        if (held == null) {
            throw new IOException(device.name() + ": somebody dropped the metadata snapshot that was just taken");
        }
        remember(state.withMetadataSnapshot(held.text()));
    }

    private static boolean isRefusal(IOException e) {
        Throwable why = e.getCause() == null ? e : e.getCause();
        return why instanceof DmException answer
                ? answer.is(Errno.EINVAL) || answer.is(Errno.EBUSY)
                : why instanceof RefusedException;
    }

    /** What killed runs left in the folder; what another program is writing stays. */
    private void deleteLeftOvers() throws IOException {
        for (Path partial : StreamNames.partial(options.folder, StreamNames.device(device.name()))) {
            try {
                FileReplacement.deleteLeftOver(partial);
            } catch (FileReplacement.BusyException e) {
                log.say(e.getMessage());
            }
        }
        pointFile.deleteOthers(state);
    }

    private Path copy(MetadataView metadata, OriginSource origin, long newEra) throws IOException {
        String identity = MetadataView.identity(options.identity, device.metadata());
        String name = StreamNames.device(device.name());
        List<StreamNames.Named> streams = StreamNames.all(options.folder, name);
        Succession succession = new Succession(options, state, pointFile, streams, log);
        String why = succession.whyFull(metadata, identity, device.sizeBytes());
        Base base = why == null ? succession.base() : Base.NOTHING;
        long sizeBytes = Math.min(metadata.trackedBytes(origin.path(), origin.sizeBytes()), device.sizeBytes());
        int flags = hook == null && views == null ? 0 : StreamHeader.POINT_IN_TIME;
        EraPoint point = EraPoint.of(
                metadata.device(), metadata.roots(), metadata.roots().currentEra());
        EraToken token = point.token(newEra, point.era());
        CopyPlan plan = CopyPlan.of(metadata, sizeBytes, base, identity, newEra, flags, token);
        double percent = 100.0 * plan.totalBytes() / Math.max(1, sizeBytes);
        if (why == null && options.maxChangedPercent < 100 && percent > options.maxChangedPercent) {
            why = "more than " + options.maxChangedPercent + " % of the origin changed";
            plan = CopyPlan.of(metadata, sizeBytes, Base.NOTHING, identity, newEra, flags, token);
        }
        Folders.make(options.folder);
        long number = Math.max(state.number(), StreamNames.nextNumber(streams));
        Path stream = options.folder.resolve(StreamNames.of(name, number, why != null));
        Overwriting.refuse(
                stream.toString(),
                List.of(device.metadata().toString(), origin.path().toString()));
        StreamNames.requireFree(stream);
        StreamFooter footer;
        try (StreamOutput out = new StreamOutput(stream)) {
            footer = plan.run(origin, out, options.copy, options.quiet);
            if (views != null) {
                views.requireWhole(device);
            }
            endCopy();
            StreamNames.requireFree(stream);
            out.commit();
        }
        String history = pointFile.write(point, number + 1);
        remember(new BackupState(
                identity,
                newEra,
                sizeBytes,
                metadata.blockSizeBytes(),
                number + 1,
                why == null ? state.increments() + 1 : 0,
                history,
                state.metadataSnapshot(),
                state.originSnapshot()));
        pointFile.deleteOthers(state);
        log.say(stream + ": " + StreamText.of(plan.header(), footer)
                + (why == null ? "" : " (full, because " + why + ")"));
        return stream;
    }

    /**
     * Drops what is held, each whatever becomes of the other: an origin snapshot that stays makes writes slow, and fills up.
     * {@code why} is reported when there was something.
     */
    private void clean(String why) throws IOException {
        Failures failures = new Failures();
        failures.run(() -> dropMetadataSnapshot(why));
        failures.run(() -> removeOriginSnapshot(why));
        failures.throwFirst();
    }

    private void dropMetadataSnapshot(String why) throws IOException {
        String noted = state.metadataSnapshot();
        if (noted.equals(BackupState.NONE)) {
            return;
        }
        HeldSnapshot held = HeldSnapshot.of(device);
        if (held != null && held.isNotedAs(noted)) {
            device.dropSnapshot();
            if (why != null) {
                log.say(device.name() + ": dropped the metadata snapshot at block " + held.block() + ": " + why);
            }
        } else if (held != null && held.mayBeNotedAs(noted)) {
            // It is noted still, so each run says so until it is gone: waiting for somebody would never end.
            throw new IOException(device.name() + ": a metadata snapshot is held at block " + held.block() + ", of era "
                    + held.era() + ": it may be that of a backup which was killed as it took one, or somebody else's;"
                    + " if nobody uses it, drop it (drop_metadata_snap)");
        } else if (held != null) {
            log.say(device.name() + ": the metadata snapshot at block " + held.block() + " of era " + held.era()
                    + " is not the one that this backup took, and stays");
        }
        remember(state.withMetadataSnapshot(BackupState.NONE));
    }

    private void removeOriginSnapshot(String why) throws IOException {
        String originSnapshot = state.originSnapshot();
        if (originSnapshot.equals(BackupState.NONE)) {
            return;
        }
        if (hook == null) {
            throw new IOException("an interrupted backup may have left an origin snapshot"
                    + (originSnapshot.equals(BackupState.ASKED) ? "" : " at " + originSnapshot)
                    + ": run it again with the same --origin-snapshot-cmd, which removes it");
        }
        hook.remove(originSnapshot.equals(BackupState.ASKED) ? "" : originSnapshot);
        if (why != null) {
            log.say(device.name() + ": removed the origin snapshot " + originSnapshot + ": " + why);
        }
        remember(state.withOriginSnapshot(BackupState.NONE));
    }

    private void remember(BackupState next) throws IOException {
        next.write(options.stateFile);
        state = next;
    }

    /** From here on {@link #stop} interrupts this thread. */
    private synchronized void beginCopy() throws IOException {
        if (stopped) {
            throw interrupted(null);
        }
        copier = Thread.currentThread();
    }

    /** From here on this thread is not interrupted: what is left to do must be done. */
    private synchronized void endCopy() {
        copier = null;
        // An interrupt that came too late would close the next channel that is used.
        Thread.interrupted();
    }

    private synchronized boolean isStopped() {
        return stopped;
    }

    /** {@code cause}: null for none. */
    static IOException interrupted(IOException cause) {
        IOException interrupted = new InterruptedIOException("interrupted");
        interrupted.initCause(cause);
        return interrupted;
    }

    /** Ends the copy of another thread, which then drops the snapshots and fails; what is short is let finish. */
    synchronized void stop() {
        stopped = true;
        if (copier != null) {
            copier.interrupt();
        }
    }

    /** Drops what a failed or interrupted backup holds. */
    @Override
    public void close() throws IOException {
        endCopy();
        clean(null);
    }
}
