// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/**
 * What consists of pieces, one after another, each of which lies on something else: a table of targets, or chunks on stripes. A
 * request is cut at the borders of pieces here, and nowhere else; nothing is allocated for that where data are moved.
 *
 * @param <P> what pieces lie on
 */
public abstract class SplitIo<P extends BlockIo> implements BlockIo {
    /**
     * What is done with the part of a range that lies on one piece, or on several that are one area beneath.
     *
     * @param <P> what pieces lie on
     * @param <E> what it throws
     */
    public interface Part<P, E extends Exception> {
        /** {@code offsetBytes} is on {@code piece}; whether to go on with the next one. */
        boolean on(P piece, long offsetBytes, long lengthBytes) throws E;
    }

    private static final Part<BlockIo, RuntimeException> GOES_AT_ONCE =
            (piece, offset, length) -> !piece.mustWait(offset, length);

    /** The number of the piece in which a byte lies; the one after it has the next number. */
    protected abstract long pieceAt(long offsetBytes);

    /** The first byte after a piece. */
    protected abstract long endBytes(long piece);

    /** What a piece lies on. */
    protected abstract P beneath(long piece);

    /** Where a byte of a piece is on what that lies on. */
    protected abstract long within(long piece, long offsetBytes);

    /** Does {@code part} with each part of a range, in order; false when one said so, and ended it. */
    public <E extends Exception> boolean split(long offsetBytes, long lengthBytes, Part<? super P, E> part) throws E {
        long end = offsetBytes + lengthBytes;
        long at = offsetBytes;
        for (long piece = at < end ? pieceAt(at) : 0; at < end; piece++) {
            long n = Math.min(end, endBytes(piece)) - at;
            if (!part.on(beneath(piece), within(piece, at), n)) {
                return false;
            }
            at += n;
        }
        return true;
    }

    /** A flush is of all pieces. */
    @Override
    public abstract void flush() throws IOException;

    @Override
    public final void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags)
            throws IOException {
        if (operation == Operation.FLUSH) {
            flush();
            return;
        }
        if (data == null) {
            split(offsetBytes, lengthBytes, (piece, offset, length) -> {
                piece.submit(operation, offset, length, null, flags);
                return true;
            });
            return;
        }
        // Piece by piece, as the data are; and no object is made for that.
        int limit = data.limit();
        long end = offsetBytes + lengthBytes;
        long at = offsetBytes;
        for (long piece = at < end ? pieceAt(at) : 0; at < end; piece++) {
            long n = Math.min(end, endBytes(piece)) - at;
            beneath(piece).submit(operation, within(piece, at), n, data.limit(data.position() + (int) n), flags);
            data.limit(limit);
            at += n;
        }
    }

    @Override
    public final long sendTo(SocketChannel socket, long offsetBytes, long lengthBytes) {
        long piece = pieceAt(offsetBytes);
        return beneath(piece).sendTo(socket, within(piece, offsetBytes), inPiece(piece, offsetBytes, lengthBytes));
    }

    @Override
    public final long allocation(long offsetBytes, long lengthBytes) throws IOException {
        long piece = pieceAt(offsetBytes);
        return beneath(piece).allocation(within(piece, offsetBytes), inPiece(piece, offsetBytes, lengthBytes));
    }

    private long inPiece(long piece, long offsetBytes, long lengthBytes) {
        return Math.min(lengthBytes, endBytes(piece) - offsetBytes);
    }

    @Override
    public final boolean mustWait(long offsetBytes, long lengthBytes) {
        return !split(offsetBytes, lengthBytes, GOES_AT_ONCE);
    }

    /** {@code then} is called when the last part is ready. */
    @Override
    public final void prepare(long offsetBytes, long lengthBytes, Target.Prepared then) {
        if (lengthBytes == 0) {
            then.prepared(null);
            return;
        }
        long piece = pieceAt(offsetBytes);
        if (endBytes(piece) - offsetBytes >= lengthBytes) {
            beneath(piece).prepare(within(piece, offsetBytes), lengthBytes, then);
            return;
        }
        Parts parts = new Parts(then);
        split(offsetBytes, lengthBytes, (beneath, offset, length) -> {
            parts.waiting.getAndIncrement();
            beneath.prepare(offset, length, parts);
            return true;
        });
        parts.prepared(null);
    }

    /** Passes on that all parts of a write are prepared, when the last of them is; with the first failure, if any failed. */
    private static final class Parts implements Target.Prepared {
        /** One more until all are known. */
        private final AtomicInteger waiting = new AtomicInteger(1);

        private final Target.Prepared then;
        private final AtomicReference<IOException> failed = new AtomicReference<>();

        Parts(Target.Prepared then) {
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
