// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.device.IoRequest;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;

/**
 * Does one client's writes, and what else changes a device or makes it durable.
 *
 * <p>A write that would have to wait for metadata is handed to {@link BackgroundWrites} with its payload, so that all that are
 * waiting share one commit, and reads and other writes go on in the meantime. NBD lets answers come in any order.
 *
 * <p>Large payloads are passed through in pieces, each a request of its own to the device: a client that stalls in the
 * middle of one holds up neither a suspend nor anybody else. How much memory payloads may take, {@link NbdMemory} tells.
 */
final class NbdWrites extends NbdRequests implements Closeable {
    /** Payloads that are still arriving are passed on in pieces of this size or more, so that the
     * client sends one while this thread writes another. */
    private static final int PIECE_BYTES = 64 << 10;

    /** Of the buffer that they are passed on by. */
    private static final int BULK_BYTES = 256 << 10;

    private static final int PAGE_BYTES = 4096;

    private final NbdInput input;
    private final Request request;
    /** A part of a long write, or what follows it: never left to the background. */
    private final IoRequest part;
    /** For payloads larger than what is received at once; taken when first needed. */
    private ByteBuffer bulk;

    NbdWrites(Means means, NbdInput input) {
        super(means);
        this.input = input;
        this.request = new Request();
        this.part = new IoRequest(client, answers.scope());
    }

    private static int deviceFlags(int flags) {
        return ((flags & Nbd.CMD_FLAG_FUA) != 0 ? Target.FUA : 0)
                | ((flags & Nbd.CMD_FLAG_NO_HOLE) != 0 ? Target.NO_HOLE : 0)
                | ((flags & Nbd.CMD_FLAG_FAST_ZERO) != 0 ? Target.FAST_ZERO : 0);
    }

    /** Writes a payload of so many bytes that is about to come. */
    void write(int flags, long cookie, long offset, int bytes) throws IOException {
        if (isOutside(offset, bytes)) {
            input.skip(bytes);
            refuse(cookie, offset, Errno.ENOSPC, "write past the end of the device");
            return;
        }
        ByteBuffer in = input.received();
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
            input.drain(payload);
            input.receive(payload, bytes);
        } finally {
            memory.arrived(payload);
        }
        request.set(Operation.WRITE, offset, payload.flip(), flags);
        submit(cookie, offset);
    }

    /**
     * Passes a payload on while it is arriving. It is collected from the start of a buffer, so that the copies in and out of
     * the kernel are aligned, which the part behind the header in {@link NbdInput#received} is not; what is passed on ends at a page of
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

    void discardOrZero(Operation operation, int flags, long cookie, long offset, long length) throws IOException {
        if (isOutside(offset, length)) {
            Errno error = operation == Operation.DISCARD ? Errno.EINVAL : Errno.ENOSPC;
            refuse(cookie, offset, error, "request past the end of the device");
        } else {
            request.set(operation, offset, length, deviceFlags(flags));
            submit(cookie, offset);
        }
    }

    void flush(long cookie, long offset) throws IOException {
        request.set(Operation.FLUSH, 0, 0, 0);
        submit(cookie, offset);
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
            request.giveBack();
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

        /** The memory that is still its own. */
        void giveBack() {
            if (payload != null) {
                memory.give(payload);
                payload = null;
            }
        }
    }

    @Override
    public void close() {
        request.giveBack();
        if (bulk != null) {
            memory.pool().give(bulk);
        }
    }
}
