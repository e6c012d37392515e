// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.IoRequest;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.Threads;

/**
 * The requests of one connection that wait for metadata while the connection goes on with others.
 *
 * <p>Only the connection's own thread adds requests. So when it sees none outstanding, nobody else sends on the channel,
 * and it may do so without the lock: a connection that writes to marked blocks never takes it. Answers are collected
 * while more requests of the same commit are being finished, and sent together.
 *
 * <p>A client may take its answers as late as it likes. One thread at a time sends, without the lock and when the device
 * no longer counts the write as in flight: whoever else has an answer leaves it for that thread, and no suspend waits.
 */
final class BackgroundWrites implements AnswerWatch.Holder, Closeable {
    /** Enough for any client's queue, so that all of it shares one commit. */
    private static final int MAX_REQUESTS = 1024;

    private static final long MAX_BYTES = 32L << 20;
    private static final int ANSWERS_BYTES = 16 << 10;

    private final DeviceIo io;
    private final WritableByteChannel channel;
    private final NbdMemory memory;
    private final ReplyForm form;
    private final Client client;
    private final AnswerWatch watch;

    /** Requests that are being finished. */
    private int finishing;

    private long outstandingBytes;
    /** Answers that are still to be sent, their number, and the sizes of their requests. */
    private ByteBuffer answers = ByteBuffer.allocate(ANSWERS_BYTES);

    private int answered;
    /** Batches of answers that were taken for sending, and how many those were when the watch saw answers last. */
    private long batches;

    private long seenBatches = -1;
    private long answeredBytes;
    /** The last of the requests whose answers these are. */
    private Request answeredLast;
    /** Not in use while nobody sends. */
    private ByteBuffer spare = ByteBuffer.allocate(ANSWERS_BYTES);

    private boolean sending;
    /** The connection's thread does; used by it alone. */
    private boolean held;
    /** Used by whoever sends. */
    private boolean broken;
    /** Written under the lock; read without it by the connection's thread, the only one that raises it. */
    private final AtomicInteger outstanding = new AtomicInteger();

    BackgroundWrites(
            DeviceIo io,
            WritableByteChannel channel,
            NbdMemory memory,
            ReplyForm form,
            AnswerWatch watch,
            Client client) {
        this.watch = watch;
        this.io = io;
        this.client = client;
        this.channel = channel;
        this.memory = memory;
        this.form = form;
        watch.add(this);
    }

    /**
     * Waits until not too many requests are outstanding for one more, with a payload of {@code bytes}. That may depend on
     * the client, so nothing that others need is to be held meanwhile.
     */
    synchronized void awaitRoom(int bytes) {
        Threads.await(() -> {
            while (outstanding.get() >= MAX_REQUESTS || outstanding.get() > 0 && outstandingBytes + bytes > MAX_BYTES) {
                wait();
            }
        });
    }

    /**
     * Takes over what {@code request}, for which there is room, wants done. {@code payload}, null where that has none, goes back to
     * the memory afterwards.
     *
     * @return for {@link DeviceIo#submit}
     */
    IoRequest take(IoRequest request, long cookie, long offset, ByteBuffer payload) {
        Request taken = new Request(request, cookie, offset, payload);
        synchronized (this) {
            outstanding.getAndIncrement();
            outstandingBytes += taken.bytes;
        }
        return taken;
    }

    /** One of them, from when it is taken until its answer has been sent. */
    private final class Request extends IoRequest {
        private final long cookie;
        private final long offset;
        private final ByteBuffer payload;
        private final int bytes;
        /** The one before it whose answer is to be sent together with its own. */
        private Request before;

        Request(IoRequest request, long cookie, long offset, ByteBuffer payload) {
            super(client, io.openScope(1));
            setAs(request, payload);
            this.cookie = cookie;
            this.offset = offset;
            this.payload = payload;
            this.bytes = payload == null ? 0 : payload.remaining();
        }

        @Override
        protected void ready() {
            synchronized (BackgroundWrites.this) {
                finishing++;
            }
        }

        @Override
        protected void complete() {
            if (payload != null) {
                memory.give(payload);
            }
            finish(this);
        }

        @Override
        protected void answer() {
            sendAnswers(false);
        }

        void sent() {
            answers().close();
        }
    }

    private synchronized void finish(Request request) {
        IOException failed = request.failure();
        if (answers.remaining() < ReplyForm.MAX_BYTES) {
            answers = ByteBuffer.allocate(2 * answers.capacity()).put(answers.flip());
        }
        if (failed == null) {
            form.putDone(answers, request.cookie, request.offset);
        } else {
            form.putError(answers, request.cookie, request.offset, Nbd.error(failed), failed.getMessage());
        }
        answered++;
        answeredBytes += request.bytes;
        request.before = answeredLast;
        answeredLast = request;
        finishing--;
    }

    @Override
    public synchronized boolean holds() {
        return answered > 0;
    }

    @Override
    public synchronized boolean isStuck() {
        boolean same = seenBatches == batches;
        seenBatches = answered > 0 ? batches : -1;
        return same && answered > 0 && !sending;
    }

    @Override
    public void sendHeld() {
        sendAnswers(true);
    }

    /** Sends what is to be sent, unless somebody does, or more is just coming; {@code anyway} also then. */
    private void sendAnswers(boolean anyway) {
        boolean waits = !anyway;
        while (true) {
            ByteBuffer batch;
            int count;
            long bytes;
            Request last;
            synchronized (this) {
                if (sending || answered == 0) {
                    return;
                }
                if (waits && finishing > 0 && answers.position() < ANSWERS_BYTES / 2) {
                    watch.expect();
                    return;
                }
                waits = true;
                sending = true;
                batches++;
                batch = answers.flip();
                answers = spare;
                count = answered;
                answered = 0;
                bytes = answeredBytes;
                answeredBytes = 0;
                last = answeredLast;
                answeredLast = null;
            }
            if (!broken) {
                try {
                    sendAll(channel, batch);
                } catch (IOException e) {
                    // The client is gone: the connection's own thread notices when it reads. The writes themselves are
                    // done.
                    broken = true;
                }
            }
            for (Request each = last; each != null; each = each.before) {
                each.sent();
            }
            synchronized (this) {
                sending = false;
                spare = batch.clear();
                outstanding.getAndAdd(-count);
                outstandingBytes -= bytes;
                notifyAll();
            }
        }
    }

    /** Nothing is outstanding: nobody but the connection's thread sends. */
    boolean isIdle() {
        return outstanding.get() == 0;
    }

    /** Sends {@code out} from the connection's thread, between the answers of others, by its own view of the channel. */
    void send(WritableByteChannel own, ByteBuffer out) throws IOException {
        if (held || outstanding.get() == 0) {
            sendAll(own, out);
            return;
        }
        holdChannel();
        try {
            sendAll(own, out);
        } finally {
            releaseChannel();
        }
    }

    /** The connection's thread sends several parts of one answer, until {@link #releaseChannel}. */
    synchronized void holdChannel() {
        Threads.await(() -> {
            while (sending) {
                wait();
            }
        });
        sending = true;
        held = true;
    }

    void releaseChannel() {
        synchronized (this) {
            sending = false;
            held = false;
        }
        sendAnswers(false);
    }

    private static void sendAll(WritableByteChannel to, ByteBuffer out) throws IOException {
        while (out.hasRemaining()) {
            to.write(out);
        }
    }

    /** Waits until nothing is outstanding. */
    @Override
    public void close() {
        try {
            awaitNone();
        } finally {
            watch.remove(this);
        }
    }

    private synchronized void awaitNone() {
        Threads.await(() -> {
            while (outstanding.get() > 0) {
                wait();
            }
        });
    }
}
