// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.target.Target;

/**
 * The transmission phase of one client, on one thread that blocks.
 *
 * <p>The one idea: read as much as is there, serve every request in it in turn straight to the device, collect the
 * answers, and send them at once when the input has run dry. A busy client so costs two system calls on the socket for
 * a whole queue of requests, and an idle one costs no hand-off to another thread; measured, that beats a pool of workers
 * in each of the cases. Buffers are a few hundred KiB, not megabytes: larger ones fall out of the cache.
 *
 * <p>The exception is a write that would have to wait for metadata: it is handed to {@link BackgroundWrites}, so that all
 * that are waiting share one commit, and reads and other writes go on in the meantime. NBD lets answers come in any order.
 *
 * <p>Large payloads are passed through in pieces, each a request of its own to the device: a client that stalls in the
 * middle of one holds up neither a suspend nor anybody else.
 */
final class NbdConnection {
    private static final int IN_BYTES = 256 << 10;
    /** The largest read that is done in one piece. */
    private static final int PIECE_BYTES = 256 << 10;

    private static final int OUT_BYTES = PIECE_BYTES + 4096;

    private final ByteChannel channel;
    private final DeviceIo io;
    private final BufferPool pool;
    private final ReplyForm form;
    private final List<MetaContexts.Context> contexts;
    private final BackgroundWrites background;
    private final AnswerScope answers;
    private final int headerBytes;
    /** Between position and limit: what was received and not yet looked at. */
    private final ByteBuffer in;
    /** Up to position: answers that were not yet sent. */
    private final ByteBuffer out;
    /** For payloads larger than what is received at once; taken when first needed. */
    private ByteBuffer bulk;
    /** The last request had such a payload, and so may the next: receive its header alone. */
    private boolean expectBulk;

    NbdConnection(NbdHandshake.Agreed agreed, BufferPool pool) {
        this.channel = agreed.channel();
        this.io = agreed.device().io();
        this.pool = pool;
        this.form = ReplyForm.of(agreed.structured(), agreed.extended());
        this.contexts = agreed.contexts();
        this.background = new BackgroundWrites(io, channel, pool, form);
        this.answers = io.openScope();
        this.headerBytes = agreed.extended() ? 32 : 28;
        this.in = pool.take(IN_BYTES).limit(0);
        this.out = pool.take(OUT_BYTES);
    }

    /**
     * Serves until the client leaves.
     *
     * @throws IOException when it breaks the protocol, or the connection fails
     */
    void serve() throws IOException {
        try {
            while (true) {
                if (in.remaining() < headerBytes && !receiveHeader()) {
                    return;
                }
                int magic = in.getInt();
                if (magic != (form == ReplyForm.EXTENDED ? Nbd.EXTENDED_REQUEST_MAGIC : Nbd.REQUEST_MAGIC)) {
                    throw new IOException("NBD client sent a request with magic number " + Integer.toHexString(magic));
                }
                int flags = Short.toUnsignedInt(in.getShort());
                int command = Short.toUnsignedInt(in.getShort());
                long cookie = in.getLong();
                long offset = in.getLong();
                long length = form == ReplyForm.EXTENDED ? in.getLong() : Integer.toUnsignedLong(in.getInt());
                if (command == Nbd.CMD_DISC) {
                    return;
                }
                if (io.isHeld()) {
                    // The next request may wait for a resume; what is done needn't.
                    flushOut();
                }
                serve(command, flags, cookie, offset, length);
            }
        } finally {
            background.close();
            try {
                flushOut();
            } finally {
                answers.close();
                pool.give(in);
                pool.give(out);
                if (bulk != null) {
                    pool.give(bulk);
                }
            }
        }
    }

    private void serve(int command, int flags, long cookie, long offset, long length) throws IOException {
        switch (command) {
            case Nbd.CMD_READ -> read(flags, cookie, offset, length);
            case Nbd.CMD_WRITE -> write(flags, cookie, offset, length);
            default -> {
                try {
                    other(command, flags, cookie, offset, length);
                } catch (ErrnoException e) {
                    fail(cookie, e);
                }
            }
        }
    }

    private void other(int command, int flags, long cookie, long offset, long length) throws IOException {
        switch (command) {
            case Nbd.CMD_FLUSH -> {
                guarded(cookie, io::flush);
            }
            case Nbd.CMD_TRIM -> zap(cookie, offset, length, deviceFlags(flags), true);
            case Nbd.CMD_WRITE_ZEROES -> zap(cookie, offset, length, deviceFlags(flags), false);
            case Nbd.CMD_CACHE -> guarded(cookie, () -> cache(offset, length));
            case Nbd.CMD_BLOCK_STATUS -> blockStatus(flags, cookie, offset, length);
            default -> fail(cookie, new ErrnoException("NBD command " + command, Errno.EINVAL.number()));
        }
    }

    private static int deviceFlags(int flags) {
        return ((flags & Nbd.CMD_FLAG_FUA) != 0 ? Target.FUA : 0)
                | ((flags & Nbd.CMD_FLAG_NO_HOLE) != 0 ? Target.NO_HOLE : 0)
                | ((flags & Nbd.CMD_FLAG_FAST_ZERO) != 0 ? Target.FAST_ZERO : 0);
    }

    // ---- reads

    private void read(int flags, long cookie, long offset, long length) throws IOException {
        String refusal = null;
        int error = Errno.EINVAL.number();
        if (length < 0 || length > Nbd.MAX_PAYLOAD_BYTES) {
            refusal = "a read of " + length + " bytes, at most " + Nbd.MAX_PAYLOAD_BYTES + " were agreed on";
        } else if ((flags & Nbd.CMD_FLAG_DF) != 0 && length > PIECE_BYTES) {
            refusal = "too long to be sent in one piece";
            error = Errno.EOVERFLOW.number();
        }
        if (refusal != null) {
            fail(cookie, new ErrnoException(refusal, error));
            return;
        }
        int done = 0;
        do {
            int piece = (int) Math.min(length - done, PIECE_BYTES);
            if (out.remaining() < piece + ReplyForm.MAX_BYTES) {
                flushOut();
            }
            boolean last = done + piece == length;
            int start = out.position();
            boolean bare = form == ReplyForm.SIMPLE && done > 0;
            if (!bare) {
                form.putDataHeader(out, last, cookie, offset + done, piece);
            }
            int end = out.position() + piece;
            try {
                io.read(offset + done, out.limit(end));
            } catch (IOException e) {
                out.limit(out.capacity()).position(start);
                if (bare) {
                    // The header promised data; only by leaving can a simple reply take that back.
                    throw e;
                }
                fail(cookie, e);
                return;
            }
            out.limit(out.capacity());
            done += piece;
        } while (done < length);
    }

    private void cache(long offset, long length) throws IOException {
        ByteBuffer scratch = pool.take(PIECE_BYTES);
        try {
            for (long at = 0; at < length; at += scratch.limit()) {
                scratch.clear().limit((int) Math.min(length - at, PIECE_BYTES));
                io.read(offset + at, scratch);
            }
        } finally {
            pool.give(scratch);
        }
    }

    // ---- writes

    private void write(int flags, long cookie, long offset, long length) throws IOException {
        if (length < 0 || length > Nbd.MAX_PAYLOAD_BYTES) {
            throw new IOException("NBD client sent a payload of " + Long.toUnsignedString(length) + " bytes, at most "
                    + Nbd.MAX_PAYLOAD_BYTES + " were agreed on");
        }
        int bytes = (int) length;
        if (offset < 0 || offset > io.sizeBytes() - bytes) {
            skip(bytes);
            fail(cookie, new ErrnoException("write past the end of the device", Errno.ENOSPC.number()));
        } else if (io.mustWait(offset, bytes)) {
            writeInBackground(deviceFlags(flags), cookie, offset, bytes);
        } else if (bytes <= in.remaining()) {
            int next = in.position() + bytes;
            int limit = in.limit();
            answers.owe();
            try {
                io.write(offset, in.limit(next), deviceFlags(flags));
                done(cookie);
            } catch (IOException e) {
                fail(cookie, e);
            } finally {
                in.limit(limit).position(next);
            }
        } else {
            writeInPieces(deviceFlags(flags), cookie, offset, bytes);
        }
    }

    /**
     * Passes a payload on that is still arriving. It is collected from the start of a buffer, so that the copies in and
     * out of the kernel are aligned, which the part behind the header in {@link #in} is not.
     */
    private void writeInPieces(int flags, long cookie, long offset, int bytes) throws IOException {
        if (bulk == null) {
            bulk = pool.take(PIECE_BYTES);
        }
        flushOut();
        IOException failed = null;
        int left = bytes;
        while (left > 0) {
            bulk.clear().limit(Math.min(left, PIECE_BYTES));
            collect(bulk);
            left -= bulk.flip().remaining();
            if (failed == null) {
                answers.owe();
                try {
                    io.write(offset + bytes - left - bulk.remaining(), bulk, 0);
                } catch (IOException e) {
                    failed = e;
                }
            }
        }
        if (failed == null && (flags & Target.FUA) != 0) {
            try {
                io.flush();
            } catch (IOException e) {
                failed = e;
            }
        }
        if (failed == null) {
            done(cookie);
        } else {
            fail(cookie, failed);
        }
        expectBulk = true;
    }

    /** Fills {@code dst} with payload: what has been received already, then straight from the channel. */
    private void collect(ByteBuffer dst) throws IOException {
        int at = Math.min(dst.remaining(), in.remaining());
        int limit = in.limit();
        dst.put(in.limit(in.position() + at));
        in.limit(limit);
        while (dst.hasRemaining()) {
            if (channel.read(dst) < 0) {
                throw new EOFException("NBD client left in the middle of a payload");
            }
        }
    }

    private void writeInBackground(int flags, long cookie, long offset, int bytes) throws IOException {
        ByteBuffer payload = pool.take(bytes);
        try {
            if (bytes > in.remaining()) {
                flushOut();
            }
            collect(payload);
        } catch (IOException e) {
            pool.give(payload);
            throw e;
        }
        background.submit(cookie, offset, bytes, payload.flip(), (inside, data) -> inside.write(offset, data, flags));
    }

    private void zap(long cookie, long offset, long length, int flags, boolean discard) throws IOException {
        if (length < 0 || offset < 0 || offset > io.sizeBytes() - length) {
            fail(cookie, new ErrnoException("request past the end of the device", Errno.EINVAL.number()));
        } else if (io.mustWait(offset, length)) {
            background.submit(cookie, offset, length, null, (inside, none) -> {
                if (discard) {
                    inside.discard(offset, length, flags);
                } else {
                    inside.writeZeroes(offset, length, flags);
                }
            });
        } else {
            answers.owe();
            guarded(cookie, () -> {
                if (discard) {
                    io.discard(offset, length, flags);
                } else {
                    io.writeZeroes(offset, length, flags);
                }
            });
        }
    }

    // ---- block status

    private void blockStatus(int flags, long cookie, long offset, long length) throws IOException {
        if (contexts.isEmpty() || length <= 0 || offset < 0 || offset > io.sizeBytes() - length) {
            fail(
                    cookie,
                    new ErrnoException(
                            contexts.isEmpty() ? "no metadata context was agreed on" : "range outside the device",
                            Errno.EINVAL.number()));
            return;
        }
        boolean wide = form == ReplyForm.EXTENDED;
        boolean onlyOne = (flags & Nbd.CMD_FLAG_REQ_ONE) != 0;
        ByteBuffer runs = pool.take(BlockStatus.MAX_BYTES);
        try {
            for (int id = 0; id < contexts.size(); id++) {
                runs.clear();
                int count;
                try {
                    count = BlockStatus.put(io, contexts.get(id), offset, length, wide, onlyOne, runs);
                } catch (IOException e) {
                    fail(cookie, e);
                    return;
                }
                runs.flip();
                if (out.remaining() < runs.remaining() + ReplyForm.MAX_BYTES) {
                    flushOut();
                }
                boolean last = id == contexts.size() - 1;
                if (wide) {
                    form.putChunkHeader(out, last, Nbd.CHUNK_BLOCK_STATUS_EXT, cookie, offset, 8 + runs.remaining());
                    out.putInt(id).putInt(count);
                } else {
                    form.putChunkHeader(out, last, Nbd.CHUNK_BLOCK_STATUS, cookie, offset, 4 + runs.remaining());
                    out.putInt(id);
                }
                out.put(runs);
            }
        } finally {
            pool.give(runs);
        }
    }

    // ---- answers

    private interface Action {
        void run() throws IOException;
    }

    /** Does what returns no data, and answers. */
    private void guarded(long cookie, Action action) throws IOException {
        try {
            action.run();
        } catch (IOException e) {
            fail(cookie, e);
            return;
        }
        done(cookie);
    }

    private void done(long cookie) throws IOException {
        if (out.remaining() < ReplyForm.MAX_BYTES) {
            flushOut();
        }
        form.putDone(out, cookie);
    }

    private void fail(long cookie, IOException failure) throws IOException {
        if (out.remaining() < ReplyForm.MAX_BYTES) {
            flushOut();
        }
        form.putError(out, cookie, Nbd.error(failure), failure.getMessage());
    }

    private void flushOut() throws IOException {
        if (out.position() > 0) {
            out.flip();
            try {
                background.send(out);
            } finally {
                out.clear();
            }
            answers.sent();
        }
    }

    // ---- input

    /** Waits for a whole header; false when the client has left between two requests. */
    private boolean receiveHeader() throws IOException {
        while (in.remaining() < headerBytes) {
            boolean between = !in.hasRemaining();
            if (!receiveSome()) {
                if (between) {
                    return false;
                }
                throw new EOFException("NBD client left in the middle of a request");
            }
        }
        return true;
    }

    private void skip(int bytes) throws IOException {
        int left = bytes;
        while (left > 0) {
            if (!in.hasRemaining() && !receiveSome()) {
                throw new EOFException("NBD client left in the middle of a payload");
            }
            int n = Math.min(left, in.remaining());
            in.position(in.position() + n);
            left -= n;
        }
    }

    /** Reads once, after sending what is due: the client may be waiting for just that. */
    private boolean receiveSome() throws IOException {
        flushOut();
        in.compact();
        if (expectBulk && in.position() < headerBytes) {
            in.limit(headerBytes);
        }
        expectBulk = false;
        int n = channel.read(in);
        in.flip();
        return n >= 0;
    }
}
