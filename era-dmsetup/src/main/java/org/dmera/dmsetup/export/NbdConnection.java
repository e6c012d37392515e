// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SocketChannel;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Operation;

/**
 * The transmission phase of one client, on one thread that blocks: what it asks for, and in which form. {@link NbdReads} and
 * {@link NbdWrites} do it.
 *
 * <p>The one idea: read as much as is there, serve every request in it in turn straight to the device, collect the
 * answers, and send them together when the input has run dry, or when there are enough of them to keep the client at
 * work. A busy client so costs few system calls on the socket for a whole queue of requests, and an idle one costs no
 * hand-off to another thread; measured, that beats a pool of workers in each of the cases. Buffers are a few hundred
 * KiB, not megabytes: larger ones fall out of the cache.
 *
 * <p>Waiting for a client is what costs most when it waits for each answer; how that is made short, {@link PollingSocket}
 * tells.
 */
final class NbdConnection {
    private final DeviceIo io;
    private final Arrival arrival;
    private final NbdMemory memory;
    private final ReplyForm form;
    private final AnswerBuffer answers;
    private final NbdReads reads;
    private final NbdBlockStatus status;
    private final BackgroundWrites background;
    private final NbdWrites writes;
    private final int headerBytes;
    private final NbdInput input;
    /** What was {@linkplain NbdInput#received received}. */
    private final ByteBuffer in;

    /** Begins the transmission that was agreed on; fails when there is no memory for it. */
    static NbdConnection open(
            NbdHandshake.Agreed agreed, NbdMemory memory, AnswerWatch watch, Client client, Arrival arrival)
            throws IOException {
        memory.enter();
        BufferPool pool = memory.pool();
        return Failures.takingBack(memory::leave, () -> {
            // Before anything that would have to be undone.
            ByteBuffer in = pool.take(NbdInput.BYTES);
            return Failures.takingBack(() -> pool.give(in), () -> {
                ByteBuffer out = pool.take(AnswerBuffer.BYTES);
                return Failures.takingBack(
                        () -> pool.give(out), () -> new NbdConnection(agreed, memory, watch, client, arrival, in, out));
            });
        });
    }

    private NbdConnection(
            NbdHandshake.Agreed agreed,
            NbdMemory memory,
            AnswerWatch watch,
            Client client,
            Arrival arrival,
            ByteBuffer in,
            ByteBuffer out) {
        BufferPool pool = memory.pool();
        this.arrival = arrival;
        this.io = agreed.device().io();
        this.memory = memory;
        this.in = in;
        this.form = ReplyForm.of(agreed.structured(), agreed.extended());
        this.background = new BackgroundWrites(io, agreed.channel(), memory, form, watch, client);
        PollingSocket polling =
                agreed.channel() instanceof SocketChannel socket ? new PollingSocket(socket, background::isIdle) : null;
        ByteChannel channel = polling != null ? polling : agreed.channel();
        this.answers =
                new AnswerBuffer(form, background, channel, io.openScope(AnswerBuffer.MAX_WRITES), pool, watch, out);
        this.input = new NbdInput(channel, polling, answers, arrival, in);
        var means = new NbdRequests.Means(io, client, form, answers, polling, background, memory);
        this.status = new NbdBlockStatus(means, agreed.contexts());
        this.reads = new NbdReads(means);
        this.writes = new NbdWrites(means, input);
        this.headerBytes = agreed.extended() ? 32 : 28;
    }

    /** Serves until the client leaves; fails when it breaks the protocol, or the connection fails. */
    void serve() throws IOException {
        try {
            while (true) {
                if (in.remaining() < headerBytes && !input.receiveHeader(headerBytes)) {
                    return;
                }
                arrival.await();
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
        } catch (ClosedChannelException e) {
            throw background.reason(e);
        } finally {
            background.close();
            try {
                answers.flush();
            } finally {
                answers.close();
                memory.pool().give(in);
                writes.close();
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
            case Nbd.CMD_WRITE ->
                writes.write(flags, cookie, offset, payloadBytes(command, flags, cookie, offset, length));
            case Nbd.CMD_TRIM -> writes.discardOrZero(Operation.DISCARD, flags, cookie, offset, length);
            case Nbd.CMD_WRITE_ZEROES -> writes.discardOrZero(Operation.WRITE_ZEROES, flags, cookie, offset, length);
            case Nbd.CMD_FLUSH -> {
                if (offset != 0 || length != 0) {
                    answers.fail(cookie, offset, invalid("a flush of a range"));
                } else {
                    writes.flush(cookie, offset);
                }
            }
            case Nbd.CMD_READ -> reads.read(flags, cookie, offset, length);
            case Nbd.CMD_CACHE -> reads.cache(cookie, offset, length);
            case Nbd.CMD_BLOCK_STATUS -> blockStatus(flags, cookie, offset, length);
            default -> answers.fail(cookie, offset, invalid("NBD command " + command));
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
        return new ErrnoException(refusal, Errno.EINVAL);
    }

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
}
