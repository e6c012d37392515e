// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.function.Consumer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.metadata.EraWorker;

/** The views ({@link FrozenView}) that there are of one era target; they come and go while it is written. */
final class EraViews {
    private final Backing origin;
    private final Consumer<String> log;
    /** Null for none; another one for each change. Written under the lock of this. */
    private volatile CopyBeforeWrite copies;

    EraViews(Backing origin, Consumer<String> log) {
        this.origin = origin;
        this.log = log;
    }

    /** Whether there are any. */
    boolean any() {
        return copies != null;
    }

    /** Throws EBUSY when there are as many as there can be. */
    void requireRoom() throws ErrnoException {
        CopyBeforeWrite views = copies;
        if (views != null && views.views().length >= CopyBeforeWrite.MAX_VIEWS) {
            throw new ErrnoException("a device has " + CopyBeforeWrite.MAX_VIEWS + " views at most", Errno.EBUSY);
        }
    }

    /** What a range holds goes to them, before it is written. */
    void copyBefore(long offsetBytes, long length) throws IOException {
        CopyBeforeWrite views = copies;
        if (views != null) {
            views.before(offsetBytes, length);
        }
    }

    /** Whether {@link #copyBefore} would copy. */
    boolean mustCopy(long offsetBytes, long length) {
        CopyBeforeWrite views = copies;
        return views != null && views.mustCopy(offsetBytes, length);
    }

    /** Blocks are about to be marked. On the metadata thread. */
    void beforeMarks(EraWorker worker, int[] blocks) {
        CopyBeforeWrite views = copies;
        if (views != null && worker != null) {
            views.beforeMarks(worker.metadata(), blocks);
        }
    }

    /** From now on what is overwritten is kept for {@code view}. While no request is under way. */
    synchronized void add(FrozenView view) {
        copies = copies == null ? CopyBeforeWrite.of(origin, view) : copies.with(view);
    }

    /** Takes a view away; returns those that there were. */
    private synchronized CopyBeforeWrite remove(FrozenView view) {
        CopyBeforeWrite views = copies;
        copies = views == null ? null : views.without(view);
        return views;
    }

    /** A view has lost something that it was to keep: no further copies are made for it. */
    void lost(FrozenView view, String state, IOException why) {
        remove(view);
        log.accept("era: " + origin.display() + ": the view of era " + Integer.toUnsignedString(view.newEra())
                + " is lost (" + state + "): " + why.getMessage());
    }

    /** A view ends; returns when nothing is copied for it any more. */
    void end(FrozenView view) {
        CopyBeforeWrite views = remove(view);
        if (views != null) {
            views.awaitCopies();
        }
    }

    /** All are lost; returns when nobody reads them any more. */
    void loseAll(String reason) {
        CopyBeforeWrite views = copies;
        if (views != null) {
            for (FrozenView view : views.views()) {
                view.lose(FrozenView.INVALID, new IOException(reason));
                view.awaitNoReaders();
            }
        }
    }
}
