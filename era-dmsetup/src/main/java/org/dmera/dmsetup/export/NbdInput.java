// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;

/**
 * What a client sends: as much as is there is received at once, into one buffer; every way that a payload takes begins and
 * ends there, and what is left is the next request's. Before it waits for the client it sends what that may be waiting for.
 */
final class NbdInput {
    static final int BYTES = 256 << 10;

    private final ByteChannel channel;
    /** The same where it is a plain socket, else null. */
    private final PollingSocket polling;

    private final AnswerBuffer answers;
    private final Arrival arrival;
    /** Between position and limit: what was received and not yet looked at. */
    private final ByteBuffer in;
    /** The last request had a payload that was not received here, and so may the next: receive its header alone. */
    private boolean headerAlone;

    /** Receives into {@code in}. */
    NbdInput(ByteChannel channel, PollingSocket polling, AnswerBuffer answers, Arrival arrival, ByteBuffer in) {
        this.channel = channel;
        this.polling = polling;
        this.answers = answers;
        this.arrival = arrival;
        this.in = in.limit(0);
    }

    /** What was received and not yet looked at; whoever looks at it moves its position on. */
    ByteBuffer received() {
        return in;
    }

    /** Has a whole header of so many bytes; false when the client has left between two requests. */
    boolean receiveHeader(int bytes) throws IOException {
        while (in.remaining() < bytes) {
            boolean between = !in.hasRemaining();
            if (!receiveSome(headerAlone ? bytes : in.capacity())) {
                if (between) {
                    return false;
                }
                throw new EOFException("left in the middle of a request");
            }
        }
        headerAlone = false;
        return true;
    }

    /** Has all of a small payload. Its sender is on the way: answers are held back for that moment. */
    void receive(int bytes) throws IOException {
        if (bytes <= in.remaining()) {
            return;
        }
        in.compact();
        while (in.position() < bytes) {
            int n = polling != null ? polling.readSoon(in) : 0;
            if (n == 0) {
                answers.flush();
                n = channel.read(in);
            }
            requireMore(n);
        }
        in.flip();
    }

    /** Moves what has been received on to {@code dst}, as far as it fits. */
    void drain(ByteBuffer dst) {
        int limit = in.limit();
        dst.put(in.limit(in.position() + Math.min(dst.remaining(), in.remaining())));
        in.limit(limit);
    }

    /** Has so many bytes in {@code dst}, past what was {@linkplain #drain drained}, straight from the channel. */
    void receive(ByteBuffer dst, int bytes) throws IOException {
        headerAlone = true;
        while (dst.position() < bytes) {
            requireMore(channel.read(dst));
        }
    }

    /** Passes a payload over. */
    void skip(int bytes) throws IOException {
        int left = bytes;
        while (left > 0) {
            if (!in.hasRemaining() && !receiveSome(in.capacity())) {
                requireMore(-1);
            }
            int n = Math.min(left, in.remaining());
            in.position(in.position() + n);
            left -= n;
        }
    }

    private static void requireMore(int read) throws EOFException {
        if (read < 0) {
            throw new EOFException("left in the middle of a payload");
        }
    }

    /** Reads once, up to so many bytes in all, after sending what is due: the client may be waiting for just that. */
    private boolean receiveSome(int bytes) throws IOException {
        answers.flush();
        in.compact().limit(bytes);
        long before = System.nanoTime();
        int n = channel.read(in);
        arrival.waited(System.nanoTime() - before);
        in.flip();
        return n >= 0;
    }
}
