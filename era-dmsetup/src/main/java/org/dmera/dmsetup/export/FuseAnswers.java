// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.RawIo;

/**
 * Answers of one reader to the kernel that are not sent yet. Each goes by a write of its own, but many in a row: whoever
 * asked then has many requests to go on with, and so have the loop device's worker and the reader, where by one at a time
 * each of them would be woken for each.
 *
 * <p>The reader puts answers here and sends them; another thread may send them when the reader is stuck.
 */
final class FuseAnswers implements Closeable {
    /** The most data that an answer can have that is put here. */
    static final int MAX_DATA_BYTES = 16 << 10;

    private static final int PAGE_BYTES = 4096;
    /** Room for an answer: its data lie at the second page, and its header right before. */
    private static final int ROOM_BYTES = PAGE_BYTES + MAX_DATA_BYTES;

    private final FuseRequests requests;
    private final int capacity;
    private final BufferPool pool;
    private final ByteBuffer buffer;
    private final long address;
    private final int[] lengths;
    /** Answers {@code sent} up to {@code filled} are to be sent. */
    private int sent;

    private int filled;

    /** Answers {@code requests}, {@code capacity} of them in a row at most. */
    FuseAnswers(FuseRequests requests, int capacity, BufferPool pool) {
        this.requests = requests;
        this.capacity = capacity;
        this.pool = pool;
        this.buffer = pool.take(capacity * ROOM_BYTES).order(ByteOrder.nativeOrder());
        this.address = RawIo.address(buffer);
        this.lengths = new int[capacity];
    }

    /** Where the data of the next answer are to be put, {@link #MAX_DATA_BYTES} at most; for the reader. */
    ByteBuffer body() {
        int at = filled * ROOM_BYTES + PAGE_BYTES;
        return buffer.limit(at + MAX_DATA_BYTES).position(at);
    }

    /** Answers with what was put since {@link #body}; true when there is no room for another answer. */
    synchronized boolean add(long unique) {
        int at = filled * ROOM_BYTES + PAGE_BYTES;
        lengths[filled] = Fuse.putOutHeader(buffer, at, buffer.position() - at, 0, unique);
        filled++;
        return filled == capacity;
    }

    /**
     * Sends what is there. When another thread does it, the reader's scope goes on owing the answers: a new era marks the blocks
     * again, for safety's sake.
     */
    synchronized void send() throws ErrnoException {
        while (sent < filled) {
            int answer = sent++;
            int at = answer * ROOM_BYTES + PAGE_BYTES - Fuse.OUT_HEADER_BYTES;
            requests.answer(address + at, lengths[answer]);
        }
    }

    /** As {@link #send}; after it there is room again. For the reader, which has no {@link #body} under way. */
    synchronized void sendAll() throws ErrnoException {
        send();
        sent = 0;
        filled = 0;
    }

    /** Gives the memory back; what is not sent yet never is. */
    @Override
    public synchronized void close() {
        sent = filled;
        pool.give(buffer.order(ByteOrder.BIG_ENDIAN));
    }
}
