// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.concurrent.atomic.AtomicLong;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Threads;

/**
 * The answers of a connection's own thread that are not sent yet: collected in one buffer, and sent at once.
 *
 * <p>While the thread is at the device it {@linkplain #lend lends} what is there: should that take long, another thread sends it.
 * Until it is {@linkplain #reclaim reclaimed} the thread neither sends nor receives.
 */
final class AnswerBuffer implements AnswerWatch.Holder, Closeable {
    /** In {@link #lent}: another thread sends. */
    private static final long TAKEN = -1;

    private static final int PAGE_BYTES = 4096;
    /** Room for a busy client's whole queue of small reads, and for a block status that is not sent alone. */
    static final int BYTES = 256 << 10;
    /** Data of an answer that is sent {@linkplain #alone alone}. */
    static final int MAX_ALONE_BYTES = BYTES - PAGE_BYTES;
    /** Writes that are answered at once, at most. */
    static final int MAX_WRITES = 1024;

    /** Sent at the latest when there are so many. A client that has nothing to do until the last request of its queue is
     * served goes to sleep, and then this thread does, in turn: a quarter of the rate at depth 32. */
    private static final int MAX_HELD = 8;

    private final ReplyForm form;
    private final BackgroundWrites background;
    private final WritableByteChannel channel;
    private final AnswerScope scope;
    private final BufferPool pool;
    /** From {@code start} up to position: what is to be sent. */
    private final ByteBuffer out;

    private int start;
    /** Answers in it, or parts of one. */
    private int held;
    /** Some that were owed were sent by another thread. */
    private boolean sentByOther;

    private final AnswerWatch watch;
    /** The part of {@link #out} that is lent, its start in the upper half and its end in the lower; 0 for none. */
    private final AtomicLong lent = new AtomicLong();
    /** The same memory, for whoever sends what is lent. */
    private final ByteBuffer view;
    /** The range, as the connection's thread lent it. */
    private long lending;
    /** What the watch saw last. */
    private long seen;

    /** Sends by {@code channel}, between the answers of {@code background}; takes over {@code out}, of the pool. */
    AnswerBuffer(
            ReplyForm form,
            BackgroundWrites background,
            WritableByteChannel channel,
            AnswerScope scope,
            BufferPool pool,
            AnswerWatch watch,
            ByteBuffer out) {
        this.form = form;
        this.background = background;
        this.channel = channel;
        this.scope = scope;
        this.pool = pool;
        this.out = out;
        this.view = out.duplicate();
        this.watch = watch;
        watch.add(this);
    }

    /** What is there may be sent by another thread until {@link #reclaim}: this one goes to the device. */
    void lend() {
        lend(out.position());
    }

    /** The same where the answer from {@code end} on is not ready yet. */
    void lend(int end) {
        if (end > start) {
            lending = (long) start << Integer.SIZE | end;
            lent.set(lending);
            watch.expect();
        }
    }

    /** This thread is back; waits for the one that sends, if one does. */
    void reclaim() {
        if (lending != 0) {
            if (!lent.compareAndSet(lending, 0)) {
                synchronized (lent) {
                    Threads.awaitWhile(lent, () -> lent.get() == TAKEN);
                }
                start = (int) lending;
                sentByOther = true;
            }
            lending = 0;
        }
    }

    @Override
    public boolean holds() {
        return lent.get() > 0;
    }

    @Override
    public boolean isStuck() {
        long before = seen;
        seen = lent.get();
        return seen > 0 && seen == before;
    }

    @Override
    public void sendHeld() {
        long range = lent.get();
        if (range <= 0 || !lent.compareAndSet(range, TAKEN)) {
            return;
        }
        try {
            background.send(channel, view.limit((int) range).position((int) (range >>> Integer.SIZE)));
        } catch (IOException e) {
            // The connection's own thread will notice.
            return;
        } finally {
            synchronized (lent) {
                lent.set(0);
                lent.notifyAll();
            }
        }
    }

    /** What owes the writes whose answers are put here. */
    AnswerScope scope() {
        return scope;
    }

    /**
     * Before a write whose answer will be put here: there is room for it, so nothing else is sent, and thought to be all that is
     * owed, between the write and its answer.
     */
    void makeRoomForWrite() throws IOException {
        if (scope.isFull() || !hasRoom(0)) {
            flush();
        }
    }

    private boolean hasRoom(int bytes) {
        return held < MAX_HELD && out.remaining() >= bytes + ReplyForm.MAX_BYTES;
    }

    /** Where an answer with {@code bytes} of data is to be put, after those that are there already. */
    ByteBuffer room(int bytes) throws IOException {
        if (!hasRoom(bytes)) {
            flush();
        }
        held++;
        return out;
    }

    /**
     * The same for a large one, which is sent without others: its data begin at a page, where the kernel copies faster.
     *
     * @param bare it has no header
     */
    ByteBuffer alone(boolean bare) throws IOException {
        flush();
        start = PAGE_BYTES - (bare ? 0 : form.dataHeaderBytes());
        return out.position(start);
    }

    /** Sends an answer that is in memory of its own, behind what is there. */
    void sendAlone(ByteBuffer answer) throws IOException {
        flush();
        background.send(channel, answer);
    }

    /** Answers a request, of {@code offset}, that returns no data and went well. */
    void done(long cookie, long offset) throws IOException {
        form.putDone(room(0), cookie, offset);
    }

    /** Answers one that failed. */
    void fail(long cookie, long offset, IOException failure) throws IOException {
        form.putError(room(0), cookie, offset, Nbd.error(failure), failure.getMessage());
    }

    void flush() throws IOException {
        boolean some = out.position() > start;
        if (!some && !sentByOther) {
            return;
        }
        try {
            if (some) {
                background.send(channel, out.flip().position(start));
            }
        } finally {
            out.clear();
            start = 0;
            held = 0;
        }
        sentByOther = false;
        scope.sent();
    }

    /** Leaves in the middle of an answer, because of {@code cause}: what were sent now would be taken for the rest of it. */
    void breakOff(Throwable cause) {
        out.position(start);
        Failures.after(cause, channel::close);
    }

    /** The sender is gone, and owes nothing. */
    @Override
    public void close() {
        watch.remove(this);
        scope.close();
        pool.give(out);
    }
}
