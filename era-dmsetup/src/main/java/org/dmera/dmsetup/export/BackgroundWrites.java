// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.device.DeviceIo;

/**
 * The requests of one connection that wait for metadata while the connection goes on with others.
 *
 * <p>Only the connection's own thread adds requests. So when it sees none outstanding, nobody else sends on the channel,
 * and it may do so without the lock: a connection that writes to marked blocks never takes it. Answers are collected
 * while more requests of the same commit are being finished, and sent together.
 */
final class BackgroundWrites implements Closeable {
    /** Enough for any client's queue, so that all of it shares one commit. */
    private static final int MAX_REQUESTS = 1024;

    private static final long MAX_BYTES = 32L << 20;
    private static final int ANSWERS_BYTES = 16 << 10;

    private final DeviceIo io;
    private final WritableByteChannel channel;
    private final BufferPool pool;
    private final ReplyForm form;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition fewer = lock.newCondition();
    private final AnswerScope scope;
    private final ByteBuffer answers = ByteBuffer.allocate(ANSWERS_BYTES);
    private long outstandingBytes;
    private int finishing;
    private boolean broken;
    /** Written under the lock; read without it by the connection's thread, the only one that raises it. */
    private final AtomicInteger outstanding = new AtomicInteger();

    BackgroundWrites(DeviceIo io, WritableByteChannel channel, BufferPool pool, ReplyForm form) {
        this.io = io;
        this.channel = channel;
        this.pool = pool;
        this.form = form;
        this.scope = io.openScope();
    }

    /** What a request does; {@code payload} is null for those without. */
    interface Action {
        void run(DeviceIo.Inside inside, ByteBuffer payload) throws IOException;
    }

    /** Takes a request over; waits when too many are outstanding. {@code payload} goes back to the pool afterwards. */
    void submit(long cookie, long offset, long length, ByteBuffer payload, Action action) {
        int bytes = payload == null ? 0 : payload.remaining();
        lock.lock();
        try {
            while (outstanding.get() >= MAX_REQUESTS || outstanding.get() > 0 && outstandingBytes + bytes > MAX_BYTES) {
                fewer.awaitUninterruptibly();
            }
            outstanding.getAndIncrement();
            outstandingBytes += bytes;
        } finally {
            lock.unlock();
        }
        io.submit(offset, length, new DeviceIo.BackgroundWrite() {
            @Override
            public void ready() {
                lock.lock();
                try {
                    finishing++;
                    scope.owe();
                } finally {
                    lock.unlock();
                }
            }

            @Override
            public void run(DeviceIo.Inside inside, IOException failure) {
                IOException failed = failure;
                if (failed == null) {
                    try {
                        action.run(inside, payload);
                    } catch (IOException e) {
                        failed = e;
                    } catch (RuntimeException e) {
                        failed = new IOException("internal error: " + e, e);
                    }
                }
                if (payload != null) {
                    pool.give(payload);
                }
                finish(cookie, bytes, failed);
            }
        });
    }

    private void finish(long cookie, int bytes, IOException failed) {
        lock.lock();
        try {
            if (failed == null) {
                form.putDone(answers, cookie);
            } else {
                form.putError(answers, cookie, Nbd.error(failed), failed.getMessage());
            }
            finishing--;
            if (finishing == 0 || answers.remaining() < ReplyForm.MAX_BYTES) {
                answers.flip();
                sendLocked(answers);
                answers.clear();
            }
            if (finishing == 0) {
                scope.sent();
            }
            outstanding.getAndDecrement();
            outstandingBytes -= bytes;
            fewer.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Sends {@code out} from the connection's thread, between the answers of others. */
    void send(ByteBuffer out) throws IOException {
        if (outstanding.get() == 0) {
            sendAll(out);
            return;
        }
        lock.lock();
        try {
            sendAll(out);
        } finally {
            lock.unlock();
        }
    }

    private void sendAll(ByteBuffer out) throws IOException {
        while (out.hasRemaining()) {
            channel.write(out);
        }
    }

    private void sendLocked(ByteBuffer out) {
        if (!broken) {
            try {
                sendAll(out);
            } catch (IOException e) {
                // The client is gone: the connection's own thread notices when it reads. The writes themselves are
                // done.
                broken = true;
            }
        }
    }

    /** Waits until nothing is outstanding. */
    @Override
    public void close() {
        lock.lock();
        try {
            while (outstanding.get() > 0) {
                fewer.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
        scope.close();
    }
}
