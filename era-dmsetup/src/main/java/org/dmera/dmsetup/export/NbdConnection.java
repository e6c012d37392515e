// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.Target;

/**
 * The transmission phase of one client, on one thread that blocks.
 *
 * <p>The one idea: read as much as is there, serve every request in it in turn straight to the device, collect the
 * answers, and send them together when the input has run dry, or when there are enough of them to keep the client at
 * work. A busy client so costs few system calls on the socket for a whole queue of requests, and an idle one costs no
 * hand-off to another thread; measured, that beats a pool of workers in each of the cases. Buffers are a few hundred
 * KiB, not megabytes: larger ones fall out of the cache.
 *
 * <p>The exception is a write that would have to wait for metadata: it is handed to {@link BackgroundWrites}, so that all
 * that are waiting share one commit, and reads and other writes go on in the meantime. NBD lets answers come in any order.
 *
 * <p>Waiting for a client is what costs most when it waits for each answer; how that is made short, {@link PollingSocket}
 * tells.
 *
 * <p>Large payloads are passed through in pieces, each a request of its own to the device: a client that stalls in the
 * middle of one holds up neither a suspend nor anybody else. How much memory payloads may take, {@link NbdMemory} tells.
 *
 * <p>Longer than a class should be, because every way that a payload takes from the socket to the device begins and ends in
 * the one buffer of received bytes, and what is left in it must be right for the next request.
 */
final class NbdConnection {
    private static final int IN_BYTES = 256 << 10;
    /** Payloads that are still arriving are passed on in pieces of this size or more, so that the
     * client sends one while this thread writes another. */
    private static final int PIECE_BYTES = 64 << 10;

    private static final int PAGE_BYTES = 4096;
    /** After so long without a request the next one may be what a client sends again that had another connection. */
    private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(5);

    /** Used by this thread alone; as is {@code polling}, the same where it is a plain socket, else null. */
    private final ByteChannel channel;

    private final PollingSocket polling;
    private final DeviceIo io;
    private final Client client;
    /** Before the first request, and the first after a pause: returns when it may be served. */
    private final Runnable arrival;

    private final NbdMemory memory;
    private final ReplyForm form;
    private final AnswerBuffer answers;
    private final NbdReads reads;
    private final NbdBlockStatus status;
    private final BackgroundWrites background;
    private final int headerBytes;
    /** Between position and limit: what was received and not yet looked at. */
    private final ByteBuffer in;
    /** For payloads larger than what is received at once; taken when first needed. */
    private ByteBuffer bulk;
    /** The last request had such a payload, and so may the next: receive its header alone. */
    private boolean expectBulk;
    /** The next request is the first, or the first after a pause. */
    private boolean arriving = true;

    /**
     * Begins the transmission that was agreed on.
     *
     * @throws IOException when there is no memory for it
     */
    static NbdConnection open(
            NbdHandshake.Agreed agreed, NbdMemory memory, AnswerWatch watch, Client client, Runnable arrival)
            throws IOException {
        memory.enter();
        ByteBuffer in = null;
        ByteBuffer out = null;
        try {
            // Before anything that would have to be undone.
            in = memory.pool().take(IN_BYTES).limit(0);
            out = memory.pool().take(AnswerBuffer.BYTES);
            return new NbdConnection(agreed, memory, watch, client, arrival, in, out);
        } catch (RuntimeException | Error e) {
            if (in != null) {
                memory.pool().give(in);
            }
            if (out != null) {
                memory.pool().give(out);
            }
            memory.leave();
            throw e;
        }
    }

    private NbdConnection(
            NbdHandshake.Agreed agreed,
            NbdMemory memory,
            AnswerWatch watch,
            Client client,
            Runnable arrival,
            ByteBuffer in,
            ByteBuffer out) {
        BufferPool pool = memory.pool();
        this.client = client;
        this.arrival = arrival;
        this.io = agreed.device().io();
        this.memory = memory;
        this.in = in;
        this.form = ReplyForm.of(agreed.structured(), agreed.extended());
        this.background = new BackgroundWrites(io, agreed.channel(), memory, form, watch, client);
        this.polling =
                agreed.channel() instanceof SocketChannel socket ? new PollingSocket(socket, background::isIdle) : null;
        this.channel = polling != null ? polling : agreed.channel();
        this.answers =
                new AnswerBuffer(form, background, channel, io.openScope(AnswerBuffer.MAX_WRITES), pool, watch, out);
        this.status = new NbdBlockStatus(io, form, answers, agreed.contexts(), memory);
        this.reads = new NbdReads(io, form, answers, polling, background, pool);
        this.headerBytes = agreed.extended() ? 32 : 28;
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
                if (arriving) {
                    arriving = false;
                    arrival.run();
                }
                int magic = in.getInt();
                if (magic != (form == ReplyForm.EXTENDED ? Nbd.EXTENDED_REQUEST_MAGIC : Nbd.REQUEST_MAGIC)) {
                    throw new ProtocolException("sent a request with magic number " + Integer.toHexString(magic));
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
                    answers.flush();
                }
                client.begin();
                try {
                    serve(command, flags, cookie, offset, length);
                } finally {
                    client.end();
                }
            }
        } finally {
            background.close();
            try {
                answers.flush();
            } finally {
                answers.close();
                memory.pool().give(in);
                if (bulk != null) {
                    memory.pool().give(bulk);
                }
                memory.leave();
            }
        }
    }

    private void serve(int command, int flags, long cookie, long offset, long length) throws IOException {
        if ((flags & ~Nbd.commandFlags(command, form)) != 0) {
            refuse(command, flags, cookie, offset, length);
            return;
        }
        switch (command) {
            case Nbd.CMD_READ -> reads.read(flags, cookie, offset, length);
            case Nbd.CMD_WRITE -> write(flags, cookie, offset, length);
            case Nbd.CMD_FLUSH -> flush(cookie, offset, length);
            case Nbd.CMD_TRIM -> zap(cookie, offset, length, deviceFlags(flags), true);
            case Nbd.CMD_WRITE_ZEROES -> zap(cookie, offset, length, deviceFlags(flags), false);
            case Nbd.CMD_CACHE -> reads.cache(cookie, offset, length);
            case Nbd.CMD_BLOCK_STATUS -> blockStatus(flags, cookie, offset, length);
            default -> answers.fail(cookie, offset, invalid("NBD command " + command));
        }
    }

    /** Answers a request whose flags its command does not have, and takes its payload off the line. */
    private void refuse(int command, int flags, long cookie, long offset, long length) throws IOException {
        if (command == Nbd.CMD_WRITE || form == ReplyForm.EXTENDED && (flags & Nbd.CMD_FLAG_PAYLOAD_LEN) != 0) {
            skip(payloadBytes(command, flags, cookie, offset, length));
        }
        String refusal = "flags 0x" + Integer.toHexString(flags) + " with NBD command " + command;
        answers.fail(cookie, offset, invalid(refusal));
    }

    /** A BLOCK_STATUS, whose payload, where it has one, names what it asks for; then {@code length} is the payload's. */
    private void blockStatus(int flags, long cookie, long offset, long length) throws IOException {
        if ((flags & Nbd.CMD_FLAG_PAYLOAD_LEN) == 0) {
            status.answer(flags, cookie, offset, length);
            return;
        }
        int bytes = payloadBytes(Nbd.CMD_BLOCK_STATUS, flags, cookie, offset, length);
        if (bytes > NbdBlockStatus.MAX_PAYLOAD_BYTES) {
            skip(bytes);
            answers.fail(cookie, offset, invalid("a BLOCK_STATUS with a payload of " + bytes + " bytes"));
            return;
        }
        receivePayload(bytes);
        ByteBuffer payload = in.slice(in.position(), bytes);
        in.position(in.position() + bytes);
        status.answerChosen(flags, cookie, offset, payload);
    }

    private static ErrnoException invalid(String refusal) {
        return new ErrnoException(refusal, Errno.EINVAL.number());
    }

    private void flush(long cookie, long offset, long length) throws IOException {
        if (offset != 0 || length != 0) {
            answers.fail(cookie, offset, invalid("a flush of a range"));
        } else {
            guarded(cookie, offset, io::flush);
        }
    }

    private static int deviceFlags(int flags) {
        return ((flags & Nbd.CMD_FLAG_FUA) != 0 ? Target.FUA : 0)
                | ((flags & Nbd.CMD_FLAG_NO_HOLE) != 0 ? Target.NO_HOLE : 0)
                | ((flags & Nbd.CMD_FLAG_FAST_ZERO) != 0 ? Target.FAST_ZERO : 0);
    }

    // ---- writes

    /**
     * The length of a payload that is about to come.
     *
     * @throws IOException when it is longer than agreed on, or it is not certain that one comes: what would follow might be
     *     data that look like requests
     */
    private int payloadBytes(int command, int flags, long cookie, long offset, long length) throws IOException {
        if (form == ReplyForm.EXTENDED && (flags & Nbd.CMD_FLAG_PAYLOAD_LEN) == 0) {
            answers.fail(cookie, offset, invalid("a write whose payload is not announced"));
            throw new ProtocolException("sent a write without the flag that announces its payload");
        }
        if (length < 0 || length > Nbd.MAX_PAYLOAD_BYTES) {
            throw new ProtocolException("sent a payload of " + Long.toUnsignedString(length) + " bytes with command "
                    + command + ", at most " + Nbd.MAX_PAYLOAD_BYTES + " were agreed on");
        }
        return (int) length;
    }

    private void write(int flags, long cookie, long offset, long length) throws IOException {
        int bytes = payloadBytes(Nbd.CMD_WRITE, flags, cookie, offset, length);
        if (offset < 0 || offset > io.sizeBytes() - bytes) {
            skip(bytes);
            answers.fail(cookie, offset, new ErrnoException("write past the end of the device", Errno.ENOSPC.number()));
            return;
        }
        if (io.mustWait(offset, bytes) && writeInBackground(deviceFlags(flags), cookie, offset, bytes)) {
            return;
        }
        if (bytes <= Math.max(in.remaining(), PIECE_BYTES)) {
            receivePayload(bytes);
            int next = in.position() + bytes;
            int limit = in.limit();
            AnswerScope owing = answers.scopeForWrite();
            try {
                answers.lend();
                try {
                    io.write(offset, in.limit(next), deviceFlags(flags), owing);
                } finally {
                    answers.reclaim();
                }
                answers.done(cookie, offset);
            } catch (IOException e) {
                answers.fail(cookie, offset, e);
            } finally {
                in.limit(limit).position(next);
            }
        } else {
            writeInPieces(deviceFlags(flags), cookie, offset, bytes);
        }
    }

    /** Has all of a small payload in {@link #in}. Its sender is on the way: answers are held back for that moment. */
    private void receivePayload(int bytes) throws IOException {
        if (bytes <= in.remaining()) {
            return;
        }
        in.compact();
        while (in.position() < bytes) {
            int n = polling != null ? polling.readSoon(in) : 0;
            if (n == 0) {
                answers.flush();
                n = channel.read(in);
            }
            if (n < 0) {
                throw new EOFException("left in the middle of a payload");
            }
        }
        in.flip();
    }

    /**
     * Passes a payload on while it is arriving. It is collected from the start of a buffer, so that the copies in and out of
     * the kernel are aligned, which the part behind the header in {@link #in} is not; what is passed on ends at a page of
     * the device for the same reason.
     */
    private void writeInPieces(int flags, long cookie, long offset, int bytes) throws IOException {
        if (bulk == null) {
            bulk = memory.pool().take(IN_BYTES);
        }
        answers.flush();
        AnswerScope owing = answers.scopeForWrite();
        CompletableFuture<Void> marked = io.mustWait(offset, bytes) ? markAhead(offset, bytes) : null;
        IOException failed = null;
        long at = offset;
        long end = offset + bytes;
        int limit = in.limit();
        bulk.clear().put(in.limit(in.position() + (int) Math.min(end - at, in.remaining())));
        in.limit(limit);
        while (at < end) {
            bulk.limit((int) Math.min(end - at, IN_BYTES));
            while (bulk.position() < Math.min(bulk.limit(), PIECE_BYTES)) {
                if (channel.read(bulk) < 0) {
                    throw new EOFException("left in the middle of a payload");
                }
            }
            int got = bulk.position();
            int whole = at + got == end ? got : got - (int) ((at + got) % PAGE_BYTES);
            bulk.flip().limit(whole);
            if (marked != null) {
                Client waiting = Client.pause();
                marked.join();
                Client.goOn(waiting);
                Client.requireHere(waiting);
                marked = null;
            }
            if (failed == null) {
                try {
                    client.check();
                    io.write(at, bulk, 0, owing);
                } catch (IOException e) {
                    failed = e;
                }
            }
            at += whole;
            bulk.limit(got).position(whole).compact();
        }
        if (failed == null && (flags & Target.FUA) != 0) {
            try {
                io.flush();
            } catch (IOException e) {
                failed = e;
            }
        }
        if (failed == null) {
            answers.done(cookie, offset);
        } else {
            answers.fail(cookie, offset, failed);
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
                throw new EOFException("left in the middle of a payload");
            }
        }
    }

    /**
     * Hands a write that must wait over, with a copy of its payload; false when there is no memory for that, or the device
     * is suspended and would make it wait with the memory in its hands.
     */
    private boolean writeInBackground(int flags, long cookie, long offset, int bytes) throws IOException {
        if (io.isHeld()) {
            return false;
        }
        background.awaitRoom(bytes);
        ByteBuffer payload = bytes > in.remaining() ? memory.takeAhead(bytes) : null;
        if (payload != null) {
            answers.flush();
            try {
                collect(payload);
            } finally {
                memory.arrived(payload);
                if (payload.hasRemaining()) {
                    memory.give(payload);
                }
            }
        } else {
            if (bytes <= PIECE_BYTES) {
                receivePayload(bytes);
            }
            payload = bytes <= in.remaining() ? memory.takeArrived(bytes) : null;
            if (payload == null) {
                return false;
            }
            collect(payload);
        }
        shareChannel();
        background.submit(cookie, offset, bytes, payload.flip(), (inside, data) -> inside.write(offset, data, flags));
        return true;
    }

    /** Has the blocks of a long write marked in one commit, while its payload is on the way. */
    private CompletableFuture<Void> markAhead(long offset, int bytes) {
        CompletableFuture<Void> marked = new CompletableFuture<>();
        io.submit(offset, bytes, new DeviceIo.BackgroundWrite() {
            @Override
            public void ready() {}

            @Override
            public void run(DeviceIo.Inside inside, IOException failure) {
                // Without its marks the write itself fails, and tells why.
                marked.complete(null);
            }

            @Override
            public void answer() {}
        });
        return marked;
    }

    private void zap(long cookie, long offset, long length, int flags, boolean discard) throws IOException {
        if (length < 0 || offset < 0 || offset > io.sizeBytes() - length) {
            Errno error = discard ? Errno.EINVAL : Errno.ENOSPC;
            answers.fail(cookie, offset, new ErrnoException("request past the end of the device", error.number()));
        } else if (io.mustWait(offset, length)) {
            background.awaitRoom(0);
            shareChannel();
            background.submit(cookie, offset, length, null, (inside, none) -> {
                if (discard) {
                    inside.discard(offset, length, flags);
                } else {
                    inside.writeZeroes(offset, length, flags);
                }
            });
        } else {
            AnswerScope owing = answers.scopeForWrite();
            guarded(cookie, offset, () -> {
                if (discard) {
                    io.discard(offset, length, flags, owing);
                } else {
                    io.writeZeroes(offset, length, flags, owing);
                }
            });
        }
    }

    // ---- answers

    private interface Action {
        void run() throws IOException;
    }

    /** Does what returns no data, and answers. */
    private void guarded(long cookie, long offset, Action action) throws IOException {
        answers.lend();
        try {
            action.run();
        } catch (IOException e) {
            answers.reclaim();
            answers.fail(cookie, offset, e);
            return;
        } finally {
            answers.reclaim();
        }
        answers.done(cookie, offset);
    }

    /** Answers will be sent by other threads, too. */
    private void shareChannel() throws IOException {
        if (polling != null) {
            polling.share();
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
                throw new EOFException("left in the middle of a request");
            }
        }
        return true;
    }

    private void skip(int bytes) throws IOException {
        int left = bytes;
        while (left > 0) {
            if (!in.hasRemaining() && !receiveSome()) {
                throw new EOFException("left in the middle of a payload");
            }
            int n = Math.min(left, in.remaining());
            in.position(in.position() + n);
            left -= n;
        }
    }

    /** Reads once, after sending what is due: the client may be waiting for just that. */
    private boolean receiveSome() throws IOException {
        answers.flush();
        in.compact();
        if (expectBulk && in.position() < headerBytes) {
            in.limit(headerBytes);
        }
        expectBulk = false;
        long before = System.nanoTime();
        int n = channel.read(in);
        arriving |= System.nanoTime() - before > PAUSE_NANOS;
        in.flip();
        return n >= 0;
    }
}
