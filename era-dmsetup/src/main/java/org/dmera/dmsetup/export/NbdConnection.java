// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.CompletableFuture;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.IoRequest;
import org.dmera.dmsetup.device.IoRequest.Operation;
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
    /** Payloads that are still arriving are passed on in pieces of this size or more, so that the
     * client sends one while this thread writes another. */
    private static final int PIECE_BYTES = 64 << 10;

    /** Of the buffer that they are passed on by. */
    private static final int BULK_BYTES = 256 << 10;

    private static final int PAGE_BYTES = 4096;

    /** The client's socket where it is a plain one, else null; used by this thread alone. */
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
    private final NbdInput input;
    /** What was {@linkplain NbdInput#received received}. */
    private final ByteBuffer in;

    private final Request request;
    /** A part of a long write, or what follows it: never left to the background. */
    private final IoRequest part;
    /** For payloads larger than what is received at once; taken when first needed. */
    private ByteBuffer bulk;

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
            in = memory.pool().take(NbdInput.BYTES);
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
        ByteChannel channel = polling != null ? polling : agreed.channel();
        this.answers =
                new AnswerBuffer(form, background, channel, io.openScope(AnswerBuffer.MAX_WRITES), pool, watch, out);
        this.status = new NbdBlockStatus(io, form, answers, agreed.contexts(), memory);
        this.reads = new NbdReads(io, form, answers, polling, background, pool);
        this.input = new NbdInput(channel, polling, answers, in);
        this.request = new Request();
        this.part = new IoRequest(client, answers.scope());
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
                if (in.remaining() < headerBytes && !input.receiveHeader(headerBytes)) {
                    return;
                }
                if (input.isArrival()) {
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
                serve(command, flags, cookie, offset, length);
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
            case Nbd.CMD_WRITE -> write(flags, cookie, offset, length);
            case Nbd.CMD_FLUSH -> flush(cookie, offset, length);
            case Nbd.CMD_TRIM -> zap(Operation.DISCARD, cookie, offset, length, deviceFlags(flags));
            case Nbd.CMD_WRITE_ZEROES -> zap(Operation.WRITE_ZEROES, cookie, offset, length, deviceFlags(flags));
            case Nbd.CMD_READ, Nbd.CMD_CACHE, Nbd.CMD_BLOCK_STATUS -> {
                client.begin();
                try {
                    look(command, flags, cookie, offset, length);
                } finally {
                    client.end();
                }
            }
            default -> answers.fail(cookie, offset, invalid("NBD command " + command));
        }
    }

    /** Does what changes nothing, and is answered in parts. */
    private void look(int command, int flags, long cookie, long offset, long length) throws IOException {
        switch (command) {
            case Nbd.CMD_READ -> reads.read(flags, cookie, offset, length);
            case Nbd.CMD_CACHE -> reads.cache(cookie, offset, length);
            default -> blockStatus(flags, cookie, offset, length);
        }
    }

    /** Answers a request whose flags its command does not have, and takes its payload off the line. */
    private void refuse(int command, int flags, long cookie, long offset, long length) throws IOException {
        if (command == Nbd.CMD_WRITE || form == ReplyForm.EXTENDED && (flags & Nbd.CMD_FLAG_PAYLOAD_LEN) != 0) {
            input.skip(payloadBytes(command, flags, cookie, offset, length));
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
            input.skip(bytes);
            answers.fail(cookie, offset, invalid("a BLOCK_STATUS with a payload of " + bytes + " bytes"));
            return;
        }
        input.receive(bytes);
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
            request.set(Operation.FLUSH, 0, 0, 0);
            submit(cookie, offset);
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
            input.skip(bytes);
            answers.fail(cookie, offset, new ErrnoException("write past the end of the device", Errno.ENOSPC.number()));
            return;
        }
        if (bytes > Math.max(in.remaining(), PIECE_BYTES)) {
            writeLong(deviceFlags(flags), cookie, offset, bytes);
            return;
        }
        input.receive(bytes);
        int next = in.position() + bytes;
        int limit = in.limit();
        try {
            request.set(Operation.WRITE, offset, in.limit(next), deviceFlags(flags));
            submit(cookie, offset);
        } finally {
            in.limit(limit).position(next);
        }
    }

    /**
     * Receives a long payload that would have to wait for metadata into memory of its own, if there is some, and the write would
     * not wait for a resume with it; any other is passed on in pieces.
     */
    private void writeLong(int flags, long cookie, long offset, int bytes) throws IOException {
        ByteBuffer payload = null;
        if (!io.isHeld() && io.mustWait(offset, bytes)) {
            background.awaitRoom(bytes);
            payload = memory.takeAhead(bytes);
        }
        if (payload == null) {
            writeInPieces(flags, cookie, offset, bytes);
            return;
        }
        request.payload = payload;
        try {
            answers.flush();
            try {
                input.drain(payload);
                input.receive(payload, bytes);
            } finally {
                memory.arrived(payload);
            }
            request.set(Operation.WRITE, offset, payload.flip(), flags);
            submit(cookie, offset);
        } finally {
            request.giveBack();
        }
    }

    /**
     * Passes a payload on while it is arriving. It is collected from the start of a buffer, so that the copies in and out of
     * the kernel are aligned, which the part behind the header in {@link #in} is not; what is passed on ends at a page of
     * the device for the same reason.
     */
    private void writeInPieces(int flags, long cookie, long offset, int bytes) throws IOException {
        if (bulk == null) {
            bulk = memory.pool().take(BULK_BYTES);
        }
        answers.flush();
        CompletableFuture<Void> marked = io.mustWait(offset, bytes) ? markAhead(offset, bytes) : null;
        IOException failed = null;
        long at = offset;
        long end = offset + bytes;
        input.drain(bulk.clear().limit(Math.min(bytes, BULK_BYTES)));
        while (at < end) {
            bulk.limit((int) Math.min(end - at, BULK_BYTES));
            input.receive(bulk, Math.min(bulk.limit(), PIECE_BYTES));
            int got = bulk.position();
            int whole = at + got == end ? got : got - (int) ((at + got) % PAGE_BYTES);
            bulk.flip().limit(whole);
            if (marked != null) {
                marked.join();
                marked = null;
            }
            if (failed == null) {
                io.submit(part.set(Operation.WRITE, at, bulk, 0));
                failed = part.failure();
            }
            at += whole;
            bulk.limit(got).position(whole).compact();
        }
        if (failed == null && (flags & Target.FUA) != 0) {
            io.submit(part.set(Operation.FLUSH, 0, 0, 0));
            failed = part.failure();
        }
        answer(cookie, offset, failed);
    }

    /**
     * Has the blocks of a long write marked in one commit, while its payload is on the way. Without its marks the write itself
     * fails, and tells why.
     */
    private CompletableFuture<Void> markAhead(long offset, int bytes) throws IOException {
        CompletableFuture<Void> marked = new CompletableFuture<>();
        client.begin();
        try {
            io.prepare(offset, bytes, failure -> marked.complete(null));
        } finally {
            client.end();
        }
        return marked;
    }

    private void zap(Operation operation, long cookie, long offset, long length, int flags) throws IOException {
        if (length < 0 || offset < 0 || offset > io.sizeBytes() - length) {
            Errno error = operation == Operation.DISCARD ? Errno.EINVAL : Errno.ENOSPC;
            answers.fail(cookie, offset, new ErrnoException("request past the end of the device", error.number()));
        } else {
            request.set(operation, offset, length, flags);
            submit(cookie, offset);
        }
    }

    /** Has the request done, and answered, unless that is left to the background. */
    private void submit(long cookie, long offset) throws IOException {
        request.cookie = cookie;
        request.offset = offset;
        answers.makeRoomForWrite();
        answers.lend();
        boolean done;
        try {
            done = io.submit(request);
        } finally {
            answers.reclaim();
        }
        if (done) {
            answer(cookie, offset, request.failure());
        }
    }

    private void answer(long cookie, long offset, IOException failure) throws IOException {
        if (failure == null) {
            answers.done(cookie, offset);
        } else {
            answers.fail(cookie, offset, failure);
        }
    }

    /** What this thread does itself. Should it have to wait, its double goes on in the background. */
    private final class Request extends IoRequest {
        private long cookie;
        private long offset;
        /** Memory of its own that has its data, or null. */
        private ByteBuffer payload;

        Request() {
            super(client, answers.scope());
        }

        @Override
        protected IoRequest detach() throws IOException {
            answers.reclaim();
            try {
                return payload != null || takePayload() ? inBackground() : null;
            } finally {
                answers.lend();
            }
        }

        /** False when there is no memory, or the write would wait for a resume with the memory in its hands. */
        private boolean takePayload() {
            if (io.isHeld()) {
                return false;
            }
            int bytes = data() == null ? 0 : (int) lengthBytes();
            background.awaitRoom(bytes);
            if (data() != null) {
                payload = memory.takeArrived(bytes);
                if (payload == null) {
                    return false;
                }
                payload.put(data()).flip();
            }
            return true;
        }

        private IoRequest inBackground() throws IOException {
            if (polling != null) {
                // Answers will be sent by other threads, too.
                polling.share();
            }
            IoRequest taken = background.take(this, cookie, offset, payload);
            payload = null;
            return taken;
        }

        void giveBack() {
            if (payload != null) {
                memory.give(payload);
                payload = null;
            }
        }
    }
}
