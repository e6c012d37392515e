// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.List;
import java.util.Locale;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.RefusedException;

/**
 * Where one era of an era target ends and the next begins: a resume, a message, a view, a suspend. Each means the same: every
 * write that was acknowledged before it is marked in an era before it, or in the new one as well, and is on stable storage
 * beneath the page cache. So writes that the old marks let go are marked again once the new era is there, and then the origin
 * is synced; only after that is anybody told.
 *
 * <p>One at a time: a checkpoint marks writes again after its era has begun, and can't when the target is suspended in between.
 */
final class EraBoundaries {
    private static final String TAKE_SNAPSHOT = "take_metadata_snap";
    private static final String DROP_SNAPSHOT = "drop_metadata_snap";

    private final EraMetadataState metadata;
    private final EraMetadataThread thread;
    private final EraCalls calls;
    private final MarkedWrites writes;
    private final SyncedOrigin synced;
    private final CopyBeforeWrite views;

    private volatile boolean active;
    private volatile OwedAnswers answers = stillOwed -> {};

    EraBoundaries(
            EraMetadataState metadata,
            EraMetadataThread thread,
            EraCalls calls,
            MarkedWrites writes,
            SyncedOrigin synced,
            CopyBeforeWrite views) {
        this.metadata = metadata;
        this.thread = thread;
        this.calls = calls;
        this.writes = writes;
        this.synced = synced;
        this.views = views;
    }

    /** The answers that are owed to clients, of whose writes each boundary takes account. */
    void answersOwed(OwedAnswers owed) {
        answers = owed;
    }

    /** Whether an era is under way. */
    boolean isActive() {
        return active;
    }

    /**
     * Opens the metadata anew if what is in memory is stale, and begins an era.
     *
     * @param nrBlocks of the target, which its metadata is made to hold
     */
    void resume(long nrBlocks) throws IOException {
        thread.run(() -> {
            if (metadata.isStale()) {
                views.loseAll("the metadata was opened again");
                metadata.reopen();
            }
            metadata.beforeResume(nrBlocks);
            thread.start(metadata.worker());
            return null;
        });
        active = true;
        try {
            calls.call(EraMetadata::rollover);
            writes.markAgain(answers);
            syncBeforeIo();
        } catch (RefusedException e) {
            endAfter(e);
            throw new IOException(e);
        } catch (IOException | RuntimeException | Error e) {
            // An error, too: the next table of this metadata must be alone with it.
            endAfter(e);
            throw e;
        }
    }

    private void endAfter(Throwable cause) {
        active = false;
        Failures.after(
                cause,
                () -> thread.run(() -> {
                    thread.stop();
                    return null;
                }));
    }

    /** What was lost before does not keep the device from being used: it is told as a later loss is. */
    private void syncBeforeIo() {
        try {
            synced.sync();
        } catch (IOException e) {
            assert synced.loss() != null;
        }
    }

    /** Ends the era, and leaves the metadata as it is on the device, which the next table may use then, whatever fails. */
    synchronized void suspend() {
        if (!active) {
            return;
        }
        active = false;
        Failures failures = new Failures();
        // Nothing is on its way any more. What was done under these marks is answered under them, if the clients let
        // us.
        failures.run(() -> answers.awaitOrReport((offsetBytes, length) -> {}));
        failures.run(this::archive);
        failures.run(() -> thread.run(() -> {
            thread.stop();
            if (metadata.failure() == null) {
                metadata.left();
            }
            return null;
        }));
        try {
            failures.throwFirst();
        } catch (IOException e) {
            // The device is suspended all the same: what was acknowledged is marked, and that is on the device.
            metadata.failed(e);
        }
    }

    private void archive() throws IOException {
        try {
            calls.call(open -> {
                if (open.hasCurrentWriteset()) {
                    open.archive();
                }
            });
        } catch (RefusedException e) {
            throw new IOException(e.getMessage(), e);
        }
    }

    /** As {@link Target#message}. */
    void message(List<String> words) throws IOException {
        if (words.size() != 1) {
            throw invalid("incorrect number of message arguments");
        }
        String word = words.get(0).toLowerCase(Locale.ROOT);
        EraCalls.Verb verb = switch (word) {
            case "checkpoint" -> EraMetadata::rollover;
            case TAKE_SNAPSHOT -> EraMetadata::takeSnapshot;
            case DROP_SNAPSHOT -> EraMetadata::dropSnapshot;
            default -> throw invalid("unsupported message '" + words.get(0) + "'");
        };
        if (!active) {
            throw suspended();
        }
        messageAlone(word, verb);
    }

    private synchronized void messageAlone(String word, EraCalls.Verb verb) throws IOException {
        if (!active) {
            throw suspended();
        }
        if (!word.equals(DROP_SNAPSHOT)) {
            synced.requireNoLoss("a new era");
        }
        int before = metadata.currentEra();
        call(verb);
        if (metadata.currentEra() != before) {
            writes.markAgain(answers);
            syncEndedEra(word.equals(TAKE_SNAPSHOT));
        }
    }

    private void call(EraCalls.Verb verb) throws IOException {
        try {
            calls.call(verb);
        } catch (RefusedException e) {
            throw invalid(e.getMessage());
        } catch (EraMetadataThread.NotRunning e) {
            throw suspended();
        }
    }

    private void syncEndedEra(boolean tookSnapshot) throws IOException {
        try {
            synced.sync();
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
            calls.call(EraMetadata::dropSnapshot);
        } catch (IOException | RefusedException e) {
            cause.addSuppressed(e);
        }
    }

    private static ErrnoException suspended() {
        return new ErrnoException("message to a suspended era target", Errno.EBUSY);
    }

    private static ErrnoException invalid(String reason) {
        return new ErrnoException("era: " + reason, Errno.EINVAL);
    }

    /** As {@link EraTarget#freeze}. */
    synchronized void freeze(FrozenView view) throws IOException {
        if (!active) {
            throw suspended();
        }
        synced.requireNoLoss("a new era");
        call(EraMetadata::rollover);
        view.begin(metadata.currentEra());
        views.add(view);
    }

    /** As {@link EraTarget#settleEra}. */
    synchronized void settleEra() throws IOException {
        if (active) {
            writes.markAgain(answers);
            synced.sync();
        }
    }
}
