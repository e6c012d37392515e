// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.metadata.EraWorker;

/**
 * The views ({@link FrozenView}) that there are of one era target, which come and go while it is written, and what a write does
 * for them before it goes to the origin: what a chunk held at the moment of a view is put into the view's file first.
 *
 * <p>A write whose chunks all views have looks at a bit for each and goes on: no lock, no object. Writers that meet at a
 * chunk that is to be copied take turns, by locks that are spread over the device in regions; the copy is read from the
 * origin once, for all views that lack it. A set of views never changes: there is another one, with the same locks, when a
 * view begins or ends.
 *
 * <p>A view begins while no write is under way ({@link EraTarget#freeze}), so each write either was on the origin then or
 * meets the view here.
 */
final class CopyBeforeWrite {
    /** As many as there are bits in a mask. */
    private static final int MAX_VIEWS = Long.SIZE;

    private static final int BUFFER_BYTES = 256 << 10;
    private static final int STRIPES = 16;

    private static final class Set {
        final FrozenView[] views;
        /** Each is the lock of every {@value #STRIPES}th region, and the buffer of whoever holds it. */
        final ByteBuffer[] stripes;

        Set(FrozenView[] views, ByteBuffer[] stripes) {
            this.views = views;
            this.stripes = stripes;
        }
    }

    private static final Set NONE = new Set(new FrozenView[0], new ByteBuffer[0]);

    private final Backing origin;
    private final long lengthBytes;
    private final int chunkShift;
    private final int regionShift;
    private final Consumer<String> log;
    /** Written under the lock of this. */
    private volatile Set current = NONE;

    /** For a target of {@code lengthBytes} that has no views yet. */
    CopyBeforeWrite(Backing origin, long lengthBytes, Consumer<String> log) {
        this.origin = origin;
        this.lengthBytes = lengthBytes;
        this.chunkShift = FrozenView.chunkShift(lengthBytes);
        this.regionShift = Math.max(chunkShift, Integer.numberOfTrailingZeros(BUFFER_BYTES));
        this.log = log;
    }

    boolean any() {
        return current != NONE;
    }

    /** Throws EBUSY when there are as many as there can be. */
    void requireRoom() throws ErrnoException {
        if (current.views.length >= MAX_VIEWS) {
            throw new ErrnoException("a device has " + MAX_VIEWS + " views at most", Errno.EBUSY);
        }
    }

    /** From now on what is overwritten is kept for {@code view}. While no request is under way. */
    synchronized void add(FrozenView view) {
        int count = current.views.length;
        ByteBuffer[] stripes = current.stripes;
        if (count == 0) {
            stripes = new ByteBuffer[STRIPES];
            Arrays.setAll(stripes, i -> ByteBuffer.allocateDirect(BUFFER_BYTES));
        }
        FrozenView[] more = Arrays.copyOf(current.views, count + 1);
        more[count] = view;
        current = new Set(more, stripes);
    }

    /** Takes a view away; returns those that there were. */
    private synchronized Set remove(FrozenView view) {
        Set before = current;
        FrozenView[] rest =
                Arrays.stream(before.views).filter(other -> other != view).toArray(FrozenView[]::new);
        current = rest.length == 0 ? NONE : new Set(rest, before.stripes);
        return before;
    }

    /** A view has lost something that it was to keep: no further copies are made for it. */
    void lost(FrozenView view, String state, IOException why) {
        remove(view);
        log.accept("era: " + origin.display() + ": the view of era " + Integer.toUnsignedString(view.newEra())
                + " is lost (" + state + "): " + why.getMessage());
    }

    /** A view ends; returns when nothing is copied for it any more. */
    void end(FrozenView view) {
        for (ByteBuffer stripe : remove(view).stripes) {
            synchronized (stripe) {
                // Nobody has it now, and whoever comes later sees that the view has ended.
                stripe.clear();
            }
        }
    }

    /** All are lost; returns when nobody reads them any more. */
    void loseAll(String reason) {
        for (FrozenView view : lose(reason)) {
            view.awaitNoReaders();
        }
    }

    /** All are lost, and returned: what is being read of them fails in the end. */
    FrozenView[] lose(String reason) {
        FrozenView[] views = current.views;
        for (FrozenView view : views) {
            view.lose(FrozenView.INVALID, new IOException(reason));
        }
        return views;
    }

    /** Whether a write of the range would have to copy first. */
    boolean mustCopy(long offsetBytes, long length) {
        return mustCopy(current, offsetBytes, length);
    }

    private boolean mustCopy(Set set, long offsetBytes, long length) {
        long first = offsetBytes >>> chunkShift;
        long last = offsetBytes + length - 1 >>> chunkShift;
        for (FrozenView view : set.views) {
            if (!view.hasAll(first, last)) {
                return true;
            }
        }
        return false;
    }

    /**
     * Has all views keep what the range holds. What fails in that is their loss, not the writer's.
     *
     * @throws ErrnoException ESHUTDOWN when the client has left while this waited for a device beneath
     */
    void before(long offsetBytes, long length) throws ErrnoException {
        Set set = current;
        if (!mustCopy(set, offsetBytes, length)) {
            return;
        }
        long first = offsetBytes >>> chunkShift;
        long last = offsetBytes + length - 1 >>> chunkShift;
        int chunksShift = regionShift - chunkShift;
        for (long chunk = first; chunk <= last; ) {
            long region = chunk >>> chunksShift;
            long next = Math.min(last + 1, region + 1 << chunksShift);
            ByteBuffer stripe = set.stripes[(int) (region & STRIPES - 1)];
            synchronized (stripe) {
                copyRegion(set.views, chunk, next, stripe);
            }
            chunk = next;
        }
    }

    /** Copies what is lacking of the chunks before {@code end}, in runs that the same views lack. */
    private void copyRegion(FrozenView[] views, long start, long end, ByteBuffer buffer) throws ErrnoException {
        for (long chunk = start; chunk < end; ) {
            long lacking = lacking(views, chunk);
            long next = chunk + 1;
            while (next < end && lacking(views, next) == lacking) {
                next++;
            }
            if (lacking != 0) {
                copyRun(views, chunk, next, lacking, buffer);
            }
            chunk = next;
        }
    }

    private static long lacking(FrozenView[] views, long chunk) {
        long mask = 0;
        for (int i = 0; i < views.length; i++) {
            mask |= views[i].lacks(chunk) ? 1L << i : 0;
        }
        return mask;
    }

    private void copyRun(FrozenView[] views, long start, long end, long lacking, ByteBuffer buffer)
            throws ErrnoException {
        FrozenView[] lackers = IntStream.range(0, views.length)
                .filter(i -> (lacking & 1L << i) != 0)
                .mapToObj(i -> views[i])
                .toArray(FrozenView[]::new);
        try {
            long endBytes = Math.min(lengthBytes, end << chunkShift);
            for (long at = start << chunkShift; at < endBytes; ) {
                long run = origin.allocation(at, endBytes - at);
                if (run < 0) {
                    // A hole there is a hole here.
                    at -= run;
                    continue;
                }
                int bytes = (int) Math.min(Math.max(run, 1), buffer.capacity());
                bytes = (int) Math.min(bytes, endBytes - at);
                origin.read(at, buffer.clear().limit(bytes));
                for (FrozenView view : lackers) {
                    view.save(at, buffer.flip().limit(bytes));
                }
                at += bytes;
            }
        } catch (IOException | RuntimeException | Error e) {
            if (Client.isRefusal(e)) {
                throw (ErrnoException) e;
            }
            for (FrozenView view : lackers) {
                view.lose(FrozenView.INVALID, e);
            }
            return;
        }
        for (FrozenView view : lackers) {
            for (long chunk = start; chunk < end; chunk++) {
                view.saved(chunk);
            }
        }
    }

    /** Has all views keep the eras of blocks that are about to be marked. On the metadata thread. */
    void beforeMarks(EraWorker worker, int[] blocks) {
        FrozenView[] views = current.views;
        int slice = -1;
        for (int i = 0; worker != null && views.length > 0 && i < blocks.length; i++) {
            if (blocks[i] / FrozenView.SLICE_BLOCKS != slice) {
                slice = blocks[i] / FrozenView.SLICE_BLOCKS;
                for (FrozenView view : views) {
                    view.beforeMark(worker.metadata(), blocks[i]);
                }
            }
        }
    }
}
