// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;

/** What is read and written by ranges of bytes: a device, a target, and what a target sits on. */
public interface BlockIo {
    /**
     * Does what is asked of a range, and returns when it is done.
     *
     * @param lengthBytes how much is read, written, discarded or zeroed; a flush is of no range
     * @param data what a read fills and a write takes, {@code lengthBytes} from its position on; null for others
     * @param flags of a change {@link Target#FUA}, and of zeroing {@link Target#NO_HOLE} and {@link Target#FAST_ZERO}
     */
    void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags) throws IOException;

    /** Fills {@code dst} from {@code offsetBytes} on. */
    default void read(long offsetBytes, ByteBuffer dst) throws IOException {
        submit(Operation.READ, offsetBytes, dst.remaining(), dst, 0);
    }

    /** Writes {@code src}; {@code flags} is 0 or {@link Target#FUA}. */
    default void write(long offsetBytes, ByteBuffer src, int flags) throws IOException {
        submit(Operation.WRITE, offsetBytes, src.remaining(), src, flags);
    }

    /** Makes every write that has returned durable. */
    default void flush() throws IOException {
        submit(Operation.FLUSH, 0, 0, null, 0);
    }

    /**
     * Sends bytes from {@code offsetBytes} on to a socket in non-blocking mode without copying them through memory of
     * ours.
     *
     * @return how many went, up to {@code lengthBytes}; 0 when it can't be done, or not now, or the range can't be read:
     *     then a {@linkplain #read read} goes on, or tells the error
     */
    default long sendTo(SocketChannel socket, long offsetBytes, long lengthBytes) {
        return 0;
    }

    /**
     * How many bytes from {@code offsetBytes} on, up to {@code lengthBytes}, are in the same state as the first: the
     * count when they hold data, the negated count when they are a hole that reads as zeroes.
     */
    default long allocation(long offsetBytes, long lengthBytes) throws IOException {
        return lengthBytes;
    }

    /**
     * Gives it, before the first request, a view of the answers that its device's clients are to be sent; of use to what tracks
     * changes itself, until it is closed.
     */
    default void answersOwed(OwedAnswers answers) {}

    /**
     * Whether a write, discard or write-zeroes of the range would have to wait for metadata first. Never blocks. An
     * answer of false may be out of date when the write comes: then the write itself waits.
     */
    default boolean mustWait(long offsetBytes, long lengthBytes) {
        return false;
    }

    /**
     * Starts what a write of the range would have to wait for, together with whatever else is waiting, so that a caller
     * can go on with other requests in the meantime. {@code then} is called exactly once, on any thread, and returns
     * soon; the write that it lets go does not wait again, unless an era began in between.
     */
    default void prepare(long offsetBytes, long lengthBytes, Target.Prepared then) {
        then.prepared(null);
    }
}
