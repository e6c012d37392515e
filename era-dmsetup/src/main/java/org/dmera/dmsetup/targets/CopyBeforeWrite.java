// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.metadata.EraMetadata;

/**
 * The views of one era target at a time, and what a write does for them before it goes to the origin: what a chunk held at
 * the moment of a view is put into the view's file first.
 *
 * <p>A write whose chunks all views have looks at a bit for each and goes on: no lock, no object. Writers that meet at a
 * chunk that is to be copied take turns, by locks that are spread over the device in regions; the copy is read from the
 * origin once, for all views that lack it. The set itself never changes: there is another one, with the same locks, when a
 * view begins or ends.
 *
 * <p>A view begins while no write is under way ({@link EraTarget#freeze}), so each write either was on the origin then or
 * meets the view here.
 */
final class CopyBeforeWrite {
    /** Of one target: as many as there are bits in a mask. */
    static final int MAX_VIEWS = Long.SIZE;

    private static final int BUFFER_BYTES = 256 << 10;
    private static final int STRIPES = 16;

    private final Backing origin;
    /** Each is the lock of every {@value #STRIPES}th region, and the buffer of whoever holds it. */
    private final ByteBuffer[] stripes;

    private final FrozenView[] views;
    private final int chunkShift;
    private final int regionShift;
    private final long lengthBytes;

    private CopyBeforeWrite(Backing origin, ByteBuffer[] stripes, FrozenView[] views) {
        this.origin = origin;
        this.stripes = stripes;
        this.views = views;
        this.chunkShift = views[0].chunkShift();
        this.regionShift = Math.max(chunkShift, Integer.numberOfTrailingZeros(BUFFER_BYTES));
        this.lengthBytes = views[0].lengthBytes();
    }

    /** The first view of a target. */
    static CopyBeforeWrite of(Backing origin, FrozenView view) {
        ByteBuffer[] stripes = new ByteBuffer[STRIPES];
        Arrays.setAll(stripes, i -> ByteBuffer.allocateDirect(BUFFER_BYTES));
        return new CopyBeforeWrite(origin, stripes, new FrozenView[] {view});
    }

    /** These and one more. */
    CopyBeforeWrite with(FrozenView view) {
        FrozenView[] more = Arrays.copyOf(views, views.length + 1);
        more[views.length] = view;
        return new CopyBeforeWrite(origin, stripes, more);
    }

    /** These but one; null when none is left. */
    CopyBeforeWrite without(FrozenView view) {
        FrozenView[] rest = Arrays.stream(views).filter(other -> other != view).toArray(FrozenView[]::new);
        return rest.length == views.length
                ? this
                : rest.length == 0 ? null : new CopyBeforeWrite(origin, stripes, rest);
    }

    FrozenView[] views() {
        return views;
    }

    /** Returns when no copy is under way that began before. */
    void awaitCopies() {
        for (ByteBuffer stripe : stripes) {
            synchronized (stripe) {
                // Nobody has it now, and whoever comes later sees that the view has ended.
                stripe.clear();
            }
        }
    }

    /** Whether a write of the range would have to copy first. */
    boolean mustCopy(long offsetBytes, long length) {
        long first = offsetBytes >>> chunkShift;
        long last = offsetBytes + length - 1 >>> chunkShift;
        for (FrozenView view : views) {
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
        if (!mustCopy(offsetBytes, length)) {
            return;
        }
        long first = offsetBytes >>> chunkShift;
        long last = offsetBytes + length - 1 >>> chunkShift;
        int chunksShift = regionShift - chunkShift;
        for (long chunk = first; chunk <= last; ) {
            long region = chunk >>> chunksShift;
            long next = Math.min(last + 1, region + 1 << chunksShift);
            ByteBuffer stripe = stripes[(int) (region & STRIPES - 1)];
            synchronized (stripe) {
                copyRegion(chunk, next, stripe);
            }
            chunk = next;
        }
    }

    /** Copies what is lacking of the chunks before {@code end}, in runs that the same views lack. */
    private void copyRegion(long start, long end, ByteBuffer buffer) throws ErrnoException {
        for (long chunk = start; chunk < end; ) {
            long lacking = lacking(chunk);
            long next = chunk + 1;
            while (next < end && lacking(next) == lacking) {
                next++;
            }
            if (lacking != 0) {
                copyRun(chunk, next, lacking, buffer);
            }
            chunk = next;
        }
    }

    private long lacking(long chunk) {
        long mask = 0;
        for (int i = 0; i < views.length; i++) {
            mask |= views[i].lacks(chunk) ? 1L << i : 0;
        }
        return mask;
    }

    private void copyRun(long start, long end, long lacking, ByteBuffer buffer) throws ErrnoException {
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
                for (int i = 0; i < views.length; i++) {
                    if ((lacking & 1L << i) != 0) {
                        views[i].save(at, buffer.flip().limit(bytes));
                    }
                }
                at += bytes;
            }
        } catch (IOException | RuntimeException | Error e) {
            if (e instanceof ErrnoException errno && errno.is(Errno.ESHUTDOWN)) {
                // The request goes no further, and has written nothing.
                throw errno;
            }
            for (int i = 0; i < views.length; i++) {
                if ((lacking & 1L << i) != 0) {
                    views[i].lose(FrozenView.INVALID, e);
                }
            }
            return;
        }
        for (int i = 0; i < views.length; i++) {
            if ((lacking & 1L << i) != 0) {
                for (long chunk = start; chunk < end; chunk++) {
                    views[i].saved(chunk);
                }
            }
        }
    }

    /** Has all views keep the eras of blocks that are about to be marked. On the metadata thread. */
    void beforeMarks(EraMetadata metadata, int[] blocks) {
        int slice = -1;
        for (int block : blocks) {
            if (block / FrozenView.SLICE_BLOCKS != slice) {
                slice = block / FrozenView.SLICE_BLOCKS;
                for (FrozenView view : views) {
                    view.beforeMark(metadata, block);
                }
            }
        }
    }
}
