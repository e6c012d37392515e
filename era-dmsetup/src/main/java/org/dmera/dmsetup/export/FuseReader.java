// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileSpace;
import org.dmera.core.linux.InputPoll;
import org.dmera.core.linux.RawIo;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.IoRequest;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;

/**
 * A thread that reads requests for a file from the kernel, serves them and answers them.
 *
 * <p><em>No buffer is used for a second request before the first is answered.</em> A write that would wait for metadata gets a
 * buffer of its own and is finished in the background, so that all that wait share one commit. Data lies at page boundaries
 * in memory: requests are received, and answers built, just that far before one that their headers end there.
 *
 * <p>The first of a file's readers keeps the answers of short requests until there are {@value #MAX_HELD}, or no more
 * requests; before it sleeps it looks again for a moment, and lets others have the processor.
 *
 * <p>Long because it is one thing: what the protocol's requests are, and how each is answered from the one buffer.
 */
final class FuseReader implements Runnable {
    /** The largest request that the kernel sends. */
    static final int MAX_WRITE_BYTES = 1 << 20;

    private static final int PAGE_BYTES = 4096;
    private static final int MAX_HELD = 8;
    /** Requests of so many bytes are long ones. */
    private static final int LONG_BYTES = 64 << 10;

    /** FUSE_FALLOCATE modes that loop devices send: for discards, and for zeroing that keeps the space. */
    private static final int PUNCH = FileSpace.KEEP_SIZE | FileSpace.PUNCH_HOLE;

    private static final int ZERO = FileSpace.KEEP_SIZE | FileSpace.ZERO_RANGE;

    private final FuseRequests requests;
    private final FuseFile of;
    private final DeviceIo io;
    private final NbdMemory memory;
    private final Client client;
    private final FuseReaders readers;
    private final boolean first;
    private final InputPoll input;
    private final BusyPoll poll = new BusyPoll();
    private final BusyPoll.Look receiveSoon = this::receiveSoon;
    /** Data of requests and of answers begin at the second page; headers come right before. */
    private final ByteBuffer buffer;

    private final long address;
    private final FuseAnswers held;
    private final AnswerScope scope;
    private final Request request;
    private final Slowness slowness = new Slowness();
    private final Arrival arrival;
    /** When it was last done with a request, or had waited for one; as {@link System#nanoTime}. */
    private long freeSince;
    /** When it was done with its last request. */
    private long servedAt;

    /** One of the readers of a file. Takes over {@code fd}, of {@code /dev/fuse}; that of the first does not block. */
    FuseReader(FuseFile of, int fd, boolean first) {
        this.requests = new FuseRequests(fd, of::readerGone, of::report);
        this.of = of;
        this.io = of.io;
        this.memory = of.served.memory();
        this.client = of.client;
        this.arrival = new Arrival(of.served, client);
        this.readers = of.turns;
        this.first = first;
        this.input = new InputPoll(fd);
        this.buffer = memory.pool().take(MAX_WRITE_BYTES + 2 * PAGE_BYTES).order(ByteOrder.nativeOrder());
        this.address = RawIo.address(buffer);
        int capacity = first ? MAX_HELD : 1;
        this.held = new FuseAnswers(requests, capacity, memory.pool());
        this.scope = io.openScope(capacity);
        this.request = new Request();
    }

    @Override
    public void run() {
        try {
            if (first) {
                serveAll();
            } else {
                serveShared();
            }
        } catch (IOException | RuntimeException e) {
            of.report(e);
        } finally {
            sendLast();
            if (first) {
                readers.end();
            } else {
                readers.endOther();
            }
            of.initialized.countDown();
            scope.close();
            held.close();
            buffer.order(ByteOrder.BIG_ENDIAN);
            memory.pool().give(buffer);
            requests.leave();
        }
    }

    /** What it has done is answered, even if it can't go on. */
    private void sendLast() {
        try {
            held.send();
        } catch (ErrnoException e) {
            of.report(e);
        }
    }

    private void serveAll() throws IOException {
        freeSince = System.nanoTime();
        readers.begin(held);
        while (receiveNext()) {
            readers.turn();
            serve();
            readers.turn();
            countTime();
        }
    }

    private void serveShared() throws IOException {
        while (!requests.hasEnded()) {
            if (!readers.mayRead()) {
                readers.rest(input);
            } else if (receive()) {
                freeSince = System.nanoTime();
                readers.beginWork();
                try {
                    serve();
                } finally {
                    readers.endWork();
                }
                countTime();
            }
        }
    }

    private void countTime() {
        long now = System.nanoTime();
        if (!slowness.count(now - freeSince, 1)) {
            if (first) {
                readers.countShort();
            }
        } else if (slowness.isOften()) {
            readers.shareSlow();
        }
        freeSince = now;
        servedAt = now;
    }

    /** Waits for a request; whatever is answered is sent first. False when the file was unmounted. */
    private boolean receiveNext() throws IOException {
        if (receive()) {
            return true;
        }
        sendHeld();
        boolean received = poll.look(receiveSoon);
        while (!received && !requests.hasEnded()) {
            readers.sleep(input);
            received = receive();
        }
        freeSince = System.nanoTime();
        return received;
    }

    /** The next request may be with a thread that waits for this processor. */
    @SuppressWarnings("ThreadPriorityCheck") // a processor is given away for speed only
    private boolean receiveSoon() throws IOException {
        Thread.yield();
        return receive();
    }

    /** Reads a request, if there is one or the descriptor waits for one; its data, if it is a write, come to lie at the second page. */
    private boolean receive() throws IOException {
        int from = PAGE_BYTES - Fuse.WRITE_HEADER_BYTES;
        int bytes = requests.receive(address + from, buffer.capacity() - from);
        buffer.clear().position(from).limit(from + bytes);
        return bytes > 0;
    }

    private void serve() throws IOException {
        int at = buffer.position();
        long unique = buffer.getLong(at + 8);
        try {
            serve(buffer.getInt(at + 4), unique, at + Fuse.IN_HEADER_BYTES);
        } catch (RuntimeException | Error e) {
            // An error in this program, or want of memory, is the failure of one request; with its last reader the
            // node would end.
            of.report(e);
            answer(unique, Errno.EIO.number());
        }
    }

    private void serve(int opcode, long unique, int body) throws IOException {
        arrival.waited(freeSince - servedAt);
        if (opcode == Fuse.WRITE || opcode == Fuse.FALLOCATE) {
            // Reads don't wait: a node is looked at when it is made.
            arrival.await();
        }
        switch (opcode) {
            case Fuse.READ -> read(unique, buffer.getLong(body + 8), buffer.getInt(body + 16));
            case Fuse.WRITE -> write(unique, buffer.getLong(body + 8), buffer.getInt(body + 16));
            case Fuse.FSYNC -> {
                expectLong();
                request.set(Operation.FLUSH, 0, 0, 0);
                submit(unique);
            }
            case Fuse.FALLOCATE ->
                fallocate(unique, buffer.getLong(body + 8), buffer.getLong(body + 16), buffer.getInt(body + 24));
            case Fuse.FORGET, Fuse.BATCH_FORGET, Fuse.INTERRUPT -> {
                // None of these is answered.
            }
            case Fuse.INIT -> init(unique, buffer.getInt(body), buffer.getInt(body + 8));
            case Fuse.GETATTR -> answer(unique, Fuse.putAttributes(begin(), io.sizeBytes()));
            case Fuse.OPEN -> answer(unique, Fuse.putOpened(begin()));
            case Fuse.STATFS -> answer(unique, Fuse.putFileSystem(begin()));
            case Fuse.RELEASE, Fuse.DESTROY -> answer(unique, 0);
            case Fuse.LOOKUP -> answer(unique, Errno.ENOENT.number());
            default -> answer(unique, Errno.ENOSYS.number());
        }
    }

    private void init(long unique, int major, int readahead) throws IOException {
        if (major < Fuse.MAJOR) {
            answer(unique, Errno.EOPNOTSUPP.number());
            throw new IOException("the kernel speaks FUSE " + major + ", " + Fuse.MAJOR + " is needed");
        }
        answer(unique, Fuse.putInitialized(begin(), readahead, MAX_WRITE_BYTES));
        of.initialized.countDown();
    }

    private void read(long unique, long offset, int bytes) throws IOException {
        if (bytes < 0 || bytes > MAX_WRITE_BYTES) {
            answer(unique, Errno.EINVAL.number());
            return;
        }
        // A file is read up to its end; the loop device never asks for more, the page cache does.
        int n = (int) Math.max(0, Math.min(bytes, io.sizeBytes() - offset));
        boolean hold = n <= FuseAnswers.MAX_DATA_BYTES;
        if (n >= LONG_BYTES) {
            expectLong();
        }
        ByteBuffer out = hold ? held.body() : begin();
        out.limit(out.position() + n);
        io.submit(request.set(Operation.READ, offset, out, 0));
        if (request.failure() != null) {
            answer(unique, request.errno());
        } else if (hold) {
            hold(unique);
        } else {
            answer(unique, out);
        }
    }

    private void write(long unique, long offset, int bytes) throws IOException {
        if (bytes < 0 || bytes > buffer.limit() - PAGE_BYTES) {
            answer(unique, Errno.EINVAL.number());
            return;
        }
        if (bytes >= LONG_BYTES) {
            expectLong();
        }
        request.set(Operation.WRITE, offset, buffer.position(PAGE_BYTES).limit(PAGE_BYTES + bytes), 0);
        submit(unique);
    }

    /** What it punches must read as zeroes: the same request comes for zeroing. */
    private void fallocate(long unique, long offset, long length, int mode) throws IOException {
        if (mode != PUNCH && mode != ZERO) {
            answer(unique, Errno.EOPNOTSUPP.number());
            return;
        }
        expectLong();
        request.set(Operation.WRITE_ZEROES, offset, length, mode == ZERO ? Target.NO_HOLE : 0);
        submit(unique);
    }

    /** Has the request done, and answered, unless that is left to the background. */
    private void submit(long unique) throws IOException {
        request.unique = unique;
        if (!io.submit(request)) {
            return;
        }
        if (request.failure() != null || !request.isWrite()) {
            answer(unique, request.errno());
        } else {
            held.body().putInt((int) request.lengthBytes()).putInt(0);
            hold(unique);
        }
    }

    /** That of the one buffer. When it would wait, its double goes on with memory of its own. */
    private final class Request extends IoRequest {
        private long unique;

        Request() {
            super(client, scope);
        }

        /** Whether the answer tells how much was written. */
        boolean isWrite() {
            return data() != null;
        }

        @Override
        protected IoRequest detach() {
            // Without memory for it, this thread waits itself.
            ByteBuffer taken = memory.takeArrived(isWrite() ? (int) lengthBytes() : Fuse.OUT_HEADER_BYTES);
            if (taken == null) {
                return null;
            }
            try {
                return new FuseBackgroundRequest(this, unique, taken, requests, memory, client, io.openScope(1));
            } catch (RuntimeException | Error e) {
                memory.give(taken);
                throw e;
            }
        }
    }

    // ---- answers

    /** The buffer, set for the body of an answer. */
    private ByteBuffer begin() {
        return buffer.clear().position(PAGE_BYTES);
    }

    /** Sends what was put since {@link #begin}. */
    private void answer(long unique, ByteBuffer out) throws IOException {
        send(unique, 0, out.position() - PAGE_BYTES);
    }

    private void answer(long unique, int error) throws IOException {
        send(unique, error, 0);
    }

    /** Sends an answer at once, after those that are held. */
    private void send(long unique, int error, int bodyBytes) throws IOException {
        held.sendAll();
        buffer.clear();
        int bytes = Fuse.putOutHeader(buffer, PAGE_BYTES, bodyBytes, error, unique);
        requests.answer(address + PAGE_BYTES - Fuse.OUT_HEADER_BYTES, bytes);
        scope.sent();
    }

    /** Answers with what was put since {@link FuseAnswers#body}, soon. */
    private void hold(long unique) throws IOException {
        if (held.add(unique) || !readers.mayHold()) {
            sendHeld();
        }
    }

    /** What is answered is sent; for when nothing else is owed. */
    private void sendHeld() throws IOException {
        held.sendAll();
        scope.sent();
    }

    /** Before work that takes a while: nobody has to wait for it who needn't. */
    private void expectLong() throws IOException {
        sendHeld();
        readers.shareLong();
    }
}
