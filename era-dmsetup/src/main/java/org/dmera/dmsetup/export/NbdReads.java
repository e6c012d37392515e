// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.linux.Errno;

/**
 * Answers one client's reads: short ones together with other answers, longer ones in pieces, and long ones from the file to
 * the socket without a copy where that can be.
 *
 * <p>A request is the client's only while it is at the device: whoever comes after this client waits for it, and is not to
 * wait for a client that takes no answers.
 */
final class NbdReads extends NbdRequests {
    /** Longer reads are answered in pieces, so that the client takes one while this thread fetches the next. */
    private static final int READ_PIECE_BYTES = 128 << 10;
    /** Reads of this size or more go from the file to the socket directly, where that can be. */
    private static final int SEND_BYTES = 64 << 10;
    /** Reads of this size or more are answered each for itself. */
    private static final int LARGE_BYTES = 32 << 10;

    private static final int CACHE_PIECE_BYTES = 64 << 10;

    NbdReads(Means means) {
        super(means);
    }

    /** Answers one, with data or an error. */
    void read(int flags, long cookie, long offset, long length) throws IOException {
        if (isOutside(offset, length)) {
            refuse(cookie, offset, Errno.EINVAL, "a read past the end of the device");
        } else if (length > Nbd.MAX_PAYLOAD_BYTES) {
            String refusal = "a read of " + length + " bytes, at most " + Nbd.MAX_PAYLOAD_BYTES + " were agreed on";
            refuse(cookie, offset, Errno.EINVAL, refusal);
        } else if (length == 0 && form != ReplyForm.SIMPLE) {
            // A chunk of data has one byte at least.
            form.putChunkHeader(answers.room(0), true, Nbd.CHUNK_NONE, cookie, offset, 0);
        } else if (length >= SEND_BYTES && form != ReplyForm.SIMPLE && polling != null && background.isIdle()) {
            send(cookie, offset, (int) length);
        } else if ((flags & Nbd.CMD_FLAG_DF) != 0 && length > READ_PIECE_BYTES) {
            refuse(cookie, offset, Errno.EOVERFLOW, "too long to be sent in one piece");
        } else if (form == ReplyForm.SIMPLE && length > READ_PIECE_BYTES) {
            copyAsOne(cookie, offset, (int) length);
        } else {
            copy(cookie, offset, (int) length, READ_PIECE_BYTES);
        }
    }

    /**
     * Has a range read, so that the file's pages are in memory when the client comes for them. As much of it as one request
     * may read: it is advice, and a connection that were busy with a whole device would be deaf to all else.
     */
    void cache(long cookie, long offset, long length) throws IOException {
        if (isOutside(offset, length)) {
            refuse(cookie, offset, Errno.EINVAL, "a range past the end of the device");
        } else if (canRead(cookie, offset, Math.min(length, Nbd.MAX_PAYLOAD_BYTES))) {
            answers.done(cookie, offset);
        }
    }

    /**
     * Answers a long read with a simple reply, which can't be taken back: its header goes out when all of its data is
     * there, or, where that is more than the buffer holds, has been read once, and so can be read. To hold it all would be
     * memory for as long as the client likes. And nothing else is sent between its parts.
     */
    private void copyAsOne(long cookie, long offset, int length) throws IOException {
        if (length <= AnswerBuffer.MAX_ALONE_BYTES) {
            copy(cookie, offset, length, length);
            return;
        }
        if (!canRead(cookie, offset, length)) {
            return;
        }
        background.holdChannel();
        try {
            copy(cookie, offset, length, READ_PIECE_BYTES);
            answers.flush();
        } catch (IOException | RuntimeException | Error e) {
            answers.breakOff(e);
            throw e;
        } finally {
            background.releaseChannel();
        }
    }

    /** Reads a range for what comes of it, and answers if that is an error: then this is false. */
    private boolean canRead(long cookie, long offset, long length) throws IOException {
        answers.flush();
        try {
            readThrough(offset, length);
            return true;
        } catch (IOException e) {
            answers.fail(cookie, offset, e);
            return false;
        }
    }

    private void readThrough(long offset, long length) throws IOException {
        ByteBuffer scratch = memory.pool().take(CACHE_PIECE_BYTES);
        try {
            long end = offset + length;
            for (long at = offset; at < end; at += scratch.limit()) {
                scratch.clear().limit((int) Math.min(end - at, CACHE_PIECE_BYTES));
                readFromDevice(at, scratch);
            }
        } finally {
            memory.pool().give(scratch);
        }
    }

    /** Answers a read by way of a buffer, in pieces of so many bytes. */
    private void copy(long cookie, long offset, int length, int pieceBytes) throws IOException {
        int done = 0;
        do {
            int piece = Math.min(length - done, pieceBytes);
            boolean bare = form == ReplyForm.SIMPLE && done > 0;
            ByteBuffer out = piece >= LARGE_BYTES ? answers.alone(bare) : answers.room(piece);
            boolean last = done + piece == length;
            int start = out.position();
            if (!bare) {
                form.putDataHeader(out, last, cookie, offset, offset + done, piece);
            }
            try {
                answers.lend(start);
                fetch(out, offset + done, piece);
            } catch (IOException e) {
                out.position(start);
                if (bare) {
                    // The header promised data that could be read just before; only by leaving can it be taken back.
                    throw e;
                }
                answers.fail(cookie, offset, e);
                return;
            }
            done += piece;
        } while (done < length);
    }

    private void fetch(ByteBuffer out, long offset, int bytes) throws IOException {
        out.limit(out.position() + bytes);
        try {
            readFromDevice(offset, out);
        } finally {
            answers.reclaim();
            out.limit(out.capacity());
        }
    }

    private void readFromDevice(long offset, ByteBuffer dst) throws IOException {
        client.begin();
        try {
            io.read(offset, dst);
        } finally {
            client.end();
        }
    }

    /** As {@link PollingSocket#send}, which waits for the device at most. */
    private long sendFromDevice(long offset, long length) throws IOException {
        client.begin();
        try {
            return polling.send(io, offset, length);
        } finally {
            client.end();
        }
    }

    /**
     * Answers a long read without copying it through memory of ours: announced by one header, the data go from the device
     * to the socket for as long as it takes them. Where it does not, or the device can't, a piece goes by way of a buffer,
     * and waits. An error then comes too late to take the announcement back: the rest is padded, and the error follows it.
     */
    private void send(long cookie, long offset, int length) throws IOException {
        form.putDataHeader(answers.room(0), false, cookie, offset, offset, length);
        answers.flush();
        IOException failed = null;
        long done = 0;
        while (done < length) {
            long sent = failed == null ? sendFromDevice(offset + done, length - done) : 0;
            if (sent == 0) {
                int piece = (int) Math.min(length - done, READ_PIECE_BYTES);
                ByteBuffer out = answers.alone(true);
                int start = out.position();
                try {
                    if (failed == null) {
                        fetch(out, offset + done, piece);
                    }
                } catch (IOException e) {
                    failed = e;
                }
                if (failed != null) {
                    out.position(start).put(new byte[piece]);
                }
                answers.flush();
                sent = piece;
            }
            done += sent;
        }
        if (failed == null) {
            form.putChunkHeader(answers.room(0), true, Nbd.CHUNK_NONE, cookie, offset, 0);
        } else {
            answers.fail(cookie, offset, failed);
        }
    }
}
