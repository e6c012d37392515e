// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

/**
 * What consists of pieces, one after another, each of which lies on something else: a table of targets, or chunks on stripes. A
 * request is cut at the borders of pieces here, and nowhere else; nothing is allocated for that.
 *
 * @param <P> what pieces lie on
 */
public abstract class SplitIo<P extends BlockIo> {
    /**
     * What is done with the part of a request that lies on one piece.
     *
     * @param <P> what pieces lie on
     * @param <A> what it takes with it
     * @param <E> what it throws
     */
    public interface Part<P, A, E extends Exception> {
        /** {@code offsetBytes} is on {@code piece}; whether to go on with the next one. */
        boolean on(P piece, long offsetBytes, long lengthBytes, A argument, int flags) throws E;
    }

    private static final Part<BlockIo, ByteBuffer, IOException> READ = (piece, offset, length, dst, flags) -> {
        int limit = dst.limit();
        piece.read(offset, dst.limit(dst.position() + (int) length));
        dst.limit(limit);
        return true;
    };

    static final Part<BlockIo, ByteBuffer, IOException> WRITE = (piece, offset, length, src, flags) -> {
        int limit = src.limit();
        piece.write(offset, src.limit(src.position() + (int) length), flags);
        src.limit(limit);
        return true;
    };

    static final Part<BlockIo, Void, IOException> DISCARD = (piece, offset, length, none, flags) -> {
        piece.discard(offset, length, flags);
        return true;
    };

    static final Part<BlockIo, Void, IOException> ZERO = (piece, offset, length, none, flags) -> {
        piece.writeZeroes(offset, length, flags);
        return true;
    };

    private static final Part<BlockIo, Void, RuntimeException> GOES_AT_ONCE =
            (piece, offset, length, none, flags) -> !piece.mustWait(offset, length);

    private static final Part<BlockIo, Target.Prepared, RuntimeException> PREPARE =
            (piece, offset, length, then, flags) -> {
                piece.prepare(offset, length, then);
                return true;
            };

    /** The number of the piece in which a byte lies; the one after it has the next number. */
    protected abstract long pieceAt(long offsetBytes);

    /** The first byte after a piece. */
    protected abstract long endBytes(long piece);

    /** What a piece lies on. */
    protected abstract P beneath(long piece);

    /** Where a byte of a piece is on what that lies on. */
    protected abstract long within(long piece, long offsetBytes);

    /** Does {@code part} with each part of a range, in order; false when one said so, and ended it. */
    public final <A, E extends Exception> boolean split(
            long offsetBytes, long lengthBytes, A argument, int flags, Part<? super P, A, E> part) throws E {
        long end = offsetBytes + lengthBytes;
        long at = offsetBytes;
        for (long piece = at < end ? pieceAt(at) : 0; at < end; piece++) {
            long n = Math.min(end, endBytes(piece)) - at;
            if (!part.on(beneath(piece), within(piece, at), n, argument, flags)) {
                return false;
            }
            at += n;
        }
        return true;
    }

    /** How much of a range lies on its first piece. */
    public final long inFirstPiece(long offsetBytes, long lengthBytes) {
        return Math.min(lengthBytes, endBytes(pieceAt(offsetBytes)) - offsetBytes);
    }

    /** As {@link BlockIo#read}. */
    public final void read(long offsetBytes, ByteBuffer dst) throws IOException {
        split(offsetBytes, dst.remaining(), dst, 0, READ);
    }

    /** As {@link BlockIo#write}. */
    public final void write(long offsetBytes, ByteBuffer src, int flags) throws IOException {
        split(offsetBytes, src.remaining(), src, flags, WRITE);
    }

    /** As {@link BlockIo#discard}. */
    public final void discard(long offsetBytes, long lengthBytes, int flags) throws IOException {
        split(offsetBytes, lengthBytes, null, flags, DISCARD);
    }

    /** As {@link BlockIo#writeZeroes}. */
    public final void writeZeroes(long offsetBytes, long lengthBytes, int flags) throws IOException {
        split(offsetBytes, lengthBytes, null, flags, ZERO);
    }

    /** As {@link BlockIo#mustWait}. */
    public final boolean mustWait(long offsetBytes, long lengthBytes) {
        return !split(offsetBytes, lengthBytes, null, 0, GOES_AT_ONCE);
    }

    /** As {@link BlockIo#prepare}: {@code then} is called when the last part is ready. */
    public final void prepare(long offsetBytes, long lengthBytes, Target.Prepared then) {
        if (lengthBytes == 0) {
            then.prepared(null);
            return;
        }
        long parts = pieceAt(offsetBytes + lengthBytes - 1) - pieceAt(offsetBytes) + 1;
        split(offsetBytes, lengthBytes, parts == 1 ? then : new Parts(parts, then), 0, PREPARE);
    }

    /** Passes on that all parts of a write are prepared, when the last of them is; with the first failure, if any failed. */
    private static final class Parts implements Target.Prepared {
        private final AtomicLong waiting;
        private final Target.Prepared then;
        private final AtomicReference<IOException> failed = new AtomicReference<>();

        /** {@code then} is told when this has been told {@code count} times. */
        Parts(long count, Target.Prepared then) {
            waiting = new AtomicLong(count);
            this.then = then;
        }

        @Override
        public void prepared(IOException failure) {
            if (failure != null) {
                failed.compareAndSet(null, failure);
            }
            if (waiting.decrementAndGet() == 0) {
                then.prepared(failed.get());
            }
        }
    }
}
