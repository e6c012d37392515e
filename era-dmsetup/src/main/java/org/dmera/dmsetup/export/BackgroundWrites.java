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
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Threads;

/**
 * The requests of one connection that wait for metadata while the connection goes on with others.
 *
 * <p>Only the connection's own thread adds requests. So when it sees none outstanding, nobody else sends on the channel,
 * and it may do so without the lock: a connection that writes to marked blocks never takes it. Answers are collected
 * while more requests of the same commit are being finished, and sent together. Those that wait are a list of the requests
 * themselves, so that one which was taken can be answered whether or not there is memory to be had.
 *
 * <p>A client may take its answers as late as it likes. One thread at a time sends, without the lock and when the device
 * no longer counts the write as in flight: whoever else has an answer leaves it for that thread, and no suspend waits.
 */
final class BackgroundWrites implements AnswerWatch.Holder, Closeable {
    /** Enough for any client's queue, so that all of it shares one commit. */
    private static final int MAX_REQUESTS = 1024;

    private static final long MAX_BYTES = 32L << 20;
    private static final int ANSWERS_BYTES = 16 << 10;
    /** So many answers are sent though more are just coming: half a buffer of the shortest. */
    private static final int MAX_COLLECTED = 512;

    private final DeviceIo io;
    private final WritableByteChannel channel;
    private final NbdMemory memory;
    private final ReplyForm form;
    private final Client client;
    private final AnswerWatch watch;

    /** Requests that are being finished. */
    private int finishing;

    private long outstandingBytes;
    /** Requests whose answers are still to be sent, in order, and their number. */
    private Request answeredFirst;

    private Request answeredLast;
    private int answered;
    /** Batches of answers that were taken for sending, and how many those were when the watch saw answers last. */
    private long batches;

    private long seenBatches = -1;
    /** Used by whoever sends. */
    private final ByteBuffer out = ByteBuffer.allocate(ANSWERS_BYTES);

    private boolean sending;
    /** The connection's thread does; used by it alone. */
    private boolean held;
    /** Used by whoever sends. */
    private boolean broken;
    /** Why an answer could not be sent, which ended the connection; null when all could. */
    private volatile IOException failure;
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
        Threads.awaitWhile(
                this,
                () -> outstanding.get() >= MAX_REQUESTS
                        || outstanding.get() > 0 && outstandingBytes + bytes > MAX_BYTES);
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
        /** The one after it whose answer is to be sent together with its own. */
        private Request next;

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
        if (answeredLast == null) {
            answeredFirst = request;
        } else {
            answeredLast.next = request;
        }
        answeredLast = request;
        answered++;
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
            Request first;
            synchronized (this) {
                if (sending || answered == 0) {
                    return;
                }
                if (waits && finishing > 0 && answered < MAX_COLLECTED) {
                    watch.expect();
                    return;
                }
                waits = true;
                sending = true;
                batches++;
                first = answeredFirst;
                answeredFirst = null;
                answeredLast = null;
                answered = 0;
            }
            try {
                sendUnlessBroken(first);
            } catch (RuntimeException | Error e) {
                sent(first);
                // Nobody else may come for what has been answered meanwhile.
                sendAnswers(true);
                throw e;
            }
            sent(first);
        }
    }

    private void sendUnlessBroken(Request first) {
        if (broken) {
            return;
        }
        try {
            out.clear();
            for (Request each = first; each != null; each = each.next) {
                if (out.remaining() < ReplyForm.MAX_BYTES) {
                    sendAll(channel, out.flip());
                    out.clear();
                }
                put(each);
            }
            sendAll(channel, out.flip());
        } catch (IOException e) {
            // The connection's own thread notices when it reads. The writes themselves are done.
            broken = true;
        } catch (RuntimeException | Error e) {
            // For want of memory, say. A client that would miss answers, and wait for them, learns it by the end.
            broken = true;
            Failures.after(e, channel::close);
            throw e;
        }
    }

    private void put(Request request) {
        IOException failed = request.failure();
        if (failed == null) {
            form.putDone(out, request.cookie, request.offset);
        } else {
            form.putError(out, request.cookie, request.offset, Nbd.error(failed), failed.getMessage());
        }
    }

    /** These answers are no longer owed, whether they could be sent or not. */
    private void sent(Request first) {
        int count = 0;
        long bytes = 0;
        for (Request each = first; each != null; each = each.next) {
            each.sent();
            count++;
            bytes += each.bytes;
        }
        synchronized (this) {
            sending = false;
            outstanding.getAndAdd(-count);
            outstandingBytes -= bytes;
            notifyAll();
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
        Threads.awaitWhile(this, () -> sending);
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

    /**
     * Sends all, or ends the connection: what came after a part of an answer would be taken for the rest of it, and for one that
     * doesn't come a client that isn't gone, but whose socket had no memory, say, would wait for ever.
     */
    private void sendAll(WritableByteChannel to, ByteBuffer out) throws IOException {
        try {
            while (out.hasRemaining()) {
                to.write(out);
            }
        } catch (IOException | RuntimeException | Error e) {
            if (failure == null && e instanceof IOException why) {
                failure = why;
            }
            Failures.after(e, to::close);
            throw e;
        }
    }

    /** Why another thread has ended the connection, for the one that finds it closed: {@code closed} when none has. */
    IOException reason(IOException closed) {
        IOException why = failure;
        return why == null ? closed : why;
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
        Threads.awaitWhile(this, () -> outstanding.get() > 0);
    }
}
