// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.io;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;

/**
 * Text on its way to a channel: the formatter fills one buffer while a thread of the pipe's own writes another, because
 * copying into the page cache takes longer than formatting. Output that fits one buffer starts no thread.
 *
 * <p>Used as: {@link #room} for as many bytes as the next piece may take, absolute puts from the buffer's position on,
 * then the position moved. Puts may run past the position within the room that was asked for.
 */
public final class OutputPipe implements Closeable {
    /** Small enough to be in the cache still when it is written, and large enough for the page cache to take large pages. */
    private static final int BUFFER_BYTES = 1024 * 1024;

    private static final int BUFFERS = 3;

    private final WritableByteChannel channel;
    private final ByteBuffer[] buffers = new ByteBuffer[BUFFERS];
    private Writer writer;
    private ByteBuffer current;

    // The rest is guarded by this object's monitor (java.util.concurrent's queues would double the classes of a run).
    /** Buffers handed over, and of those, buffers written, ever: buffer n is {@code buffers[n % BUFFERS]}. */
    private long handedOver;

    private long written;
    private boolean ending;
    private Throwable failure;

    public OutputPipe(WritableByteChannel channel) {
        this.channel = channel;
        current = newBuffer();
        buffers[0] = current;
    }

    private static ByteBuffer newBuffer() {
        return ByteBuffer.allocateDirect(BUFFER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * The buffer to put into, little-endian, with room for {@code bytes} more (far less than 1 MiB) from its position
     * on.
     */
    public ByteBuffer room(int bytes) throws IOException {
        if (current.capacity() - current.position() < bytes) {
            handOver();
        }
        return current;
    }

    /** Appends ASCII text of any length. */
    public void ascii(String text) throws IOException {
        for (int from = 0; from < text.length(); from += 1024) {
            int to = Math.min(text.length(), from + 1024);
            ByteBuffer buffer = room(1024);
            for (int i = from; i < to; i++) {
                buffer.put((byte) text.charAt(i));
            }
        }
    }

    private void handOver() throws IOException {
        if (writer == null) {
            writer = new Writer();
            writer.start();
        }
        current = handOverAndTakeNext();
        current.clear();
    }

    private synchronized ByteBuffer handOverAndTakeNext() throws IOException {
        handedOver++;
        notifyAll();
        while (handedOver - written == BUFFERS && failure == null) {
            await();
        }
        rethrow();
        int slot = (int) (handedOver % BUFFERS);
        if (buffers[slot] == null) {
            buffers[slot] = newBuffer();
        }
        return buffers[slot];
    }

    /** The next buffer to write, or null when the end has come. */
    private synchronized ByteBuffer awaitFilled() throws IOException {
        while (written == handedOver) {
            if (ending) {
                return null;
            }
            await();
        }
        return buffers[(int) (written % BUFFERS)];
    }

    private synchronized void countWritten() {
        written++;
        notifyAll();
    }

    private synchronized void fail(Throwable e) {
        failure = e;
        notifyAll();
    }

    private synchronized void endAndAwaitWritten() throws IOException {
        ending = true;
        notifyAll();
        while (written < handedOver && failure == null) {
            await();
        }
        rethrow();
    }

    /** To be called in a loop, with the monitor held. */
    @SuppressWarnings("WaitNotInLoop")
    private void await() throws IOException {
        try {
            wait();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while writing", e);
        }
    }

    private void rethrow() throws IOException {
        if (failure instanceof IOException e) {
            throw e;
        }
        if (failure != null) {
            throw new IllegalStateException("the thread that writes the output failed", failure);
        }
    }

    private void writeFully(ByteBuffer buffer) throws IOException {
        buffer.flip();
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    /** Writes all that was put, which is the end of it; the channel stays open. */
    public void finish() throws IOException {
        if (writer == null) {
            writeFully(current);
            current.clear();
            return;
        }
        handOverAndTakeNext();
        endAndAwaitWritten();
    }

    /** Ends the thread, without writing what {@link #finish} has not. */
    @Override
    public void close() {
        if (writer != null) {
            writer.interrupt();
        }
    }

    private final class Writer extends Thread {
        Writer() {
            super("output");
            setDaemon(true);
        }

        /** Whatever ends it early is passed to the formatter, which would else wait for ever. */
        @Override
        public void run() {
            try {
                for (ByteBuffer buffer = awaitFilled(); buffer != null; buffer = awaitFilled()) {
                    writeFully(buffer);
                    countWritten();
                }
            } catch (IOException | RuntimeException | Error e) {
                fail(e);
            }
        }
    }
}
