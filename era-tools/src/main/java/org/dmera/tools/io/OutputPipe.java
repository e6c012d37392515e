// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.io;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.util.concurrent.ArrayBlockingQueue;

/**
 * Text on its way to a channel: the formatter fills one buffer while a thread of the pipe's own writes another, because
 * copying into the page cache takes longer than formatting. Output that fits one buffer starts no thread.
 *
 * <p>Used as: {@link #room} for as many bytes as the next piece may take, absolute puts from the buffer's position on,
 * then the position moved. Puts may run past the position within the room that was asked for.
 */
public final class OutputPipe implements Closeable {
    /** Small enough to be in the cache still when it is written. */
    private static final int BUFFER_BYTES = 256 * 1024;

    private static final int BUFFERS = 4;

    private final WritableByteChannel channel;
    private final ArrayBlockingQueue<ByteBuffer> filled = new ArrayBlockingQueue<>(BUFFERS);
    private final ArrayBlockingQueue<ByteBuffer> free = new ArrayBlockingQueue<>(BUFFERS);
    private ByteBuffer current = newBuffer();
    private int buffers = 1;
    private Thread writer;
    private volatile IOException failure;

    public OutputPipe(WritableByteChannel channel) {
        this.channel = channel;
    }

    private static ByteBuffer newBuffer() {
        return ByteBuffer.allocateDirect(BUFFER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * The buffer to put into, little-endian, with room for {@code bytes} more (far less than 256 KiB) from its position
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
        rethrow();
        if (writer == null) {
            writer = new Thread(this::write, "output");
            writer.setDaemon(true);
            writer.start();
        }
        try {
            filled.put(current);
            if (buffers < BUFFERS && free.isEmpty()) {
                current = newBuffer();
                buffers++;
            } else {
                current = free.take();
            }
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
        rethrow();
    }

    private void rethrow() throws IOException {
        IOException e = failure;
        if (e != null) {
            throw e;
        }
    }

    private static IOException interrupted(InterruptedException e) {
        Thread.currentThread().interrupt();
        return new IOException("interrupted while writing", e);
    }

    /** Until an empty buffer says that it was the last; after a failure, goes on taking buffers and drops them. */
    private void write() {
        try {
            for (ByteBuffer buffer = filled.take(); buffer.position() > 0; buffer = filled.take()) {
                if (failure == null) {
                    try {
                        writeFully(buffer);
                    } catch (IOException e) {
                        failure = e;
                    }
                }
                free.put(buffer.clear());
            }
        } catch (InterruptedException e) {
            // close() was called before the end: what is left is not wanted.
            Thread.currentThread().interrupt();
        }
    }

    private void writeFully(ByteBuffer buffer) throws IOException {
        buffer.flip();
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    /** Writes all that was put; the channel stays open. */
    public void finish() throws IOException {
        if (writer == null) {
            writeFully(current);
            current.clear();
            return;
        }
        try {
            if (current.position() > 0) {
                filled.put(current);
            }
            filled.put(ByteBuffer.allocate(0));
            writer.join();
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
        writer = null;
        current = newBuffer();
        rethrow();
    }

    /** Ends the thread, without writing what {@link #finish} has not. */
    @Override
    public void close() {
        if (writer != null) {
            writer.interrupt();
        }
    }
}
