// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SocketChannel;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.ioctl.DmIoctl;

/**
 * One client of the engine: reads its frames, makes the calls, sends the answers, in order.
 *
 * <p>A frame that makes no sense is answered with −EINVAL if there was a length at all, then the connection is closed.
 * Memory is taken as bytes arrive, not as lengths announce them.
 */
final class ControlConnection {
    private static final int LENGTH_BYTES = 4;
    private static final int COMMAND_BYTES = 4;
    private static final int FIRST_INPUT_BYTES = 32 * 1024;

    private final SocketChannel channel;
    private final EngineControl control;
    private ByteBuffer input = newInput(FIRST_INPUT_BYTES).limit(0);

    ControlConnection(SocketChannel channel, EngineControl control) {
        this.channel = channel;
        this.control = control;
    }

    /** Serves until the client closes or sends nonsense. */
    void serve() throws IOException {
        while (fill(LENGTH_BYTES)) {
            int length = input.getInt(input.position());
            if (length < COMMAND_BYTES + DmIoctl.USED_HEADER_BYTES || length > SocketControl.MAX_FRAME_BYTES) {
                SocketControl.send(channel, -Errno.EINVAL.number(), ByteBuffer.allocate(0));
                return;
            }
            if (!fill(LENGTH_BYTES + length)) {
                return;
            }
            input.position(input.position() + LENGTH_BYTES);
            int command = input.getInt();
            byte[] bytes = new byte[length - COMMAND_BYTES];
            input.get(bytes);
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            boolean sane = DmIoctl.over(buffer).dataSize() == bytes.length;
            SocketControl.send(channel, control.call(command, buffer, this::hasLeft), buffer);
            if (!sane) {
                return;
            }
            if (!input.hasRemaining() && input.capacity() > FIRST_INPUT_BYTES) {
                input = newInput(FIRST_INPUT_BYTES).limit(0);
            }
        }
    }

    /** Reads until {@code bytes} are there; false when the client closed before. */
    private boolean fill(int bytes) throws IOException {
        while (input.remaining() < bytes) {
            makeRoom(bytes);
            if (readMore() < 0) {
                return false;
            }
        }
        return true;
    }

    /** Makes room behind what is there already, of which {@code bytes} are wanted in all. */
    private void makeRoom(int bytes) {
        if (input.limit() < input.capacity()) {
            return;
        }
        if (input.position() > 0) {
            input.compact().flip();
            return;
        }
        // Doubling what has arrived: a length alone reserves nothing.
        input = newInput(Math.min(2 * input.capacity(), bytes)).put(input).flip();
    }

    private static ByteBuffer newInput(int bytes) {
        return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private int readMore() throws IOException {
        int start = input.position();
        input.position(input.limit()).limit(input.capacity());
        try {
            return channel.read(input);
        } finally {
            input.limit(input.position()).position(start);
        }
    }

    /** Whether the client closed its end while it waits for an answer. What it sent besides is kept for later. */
    private boolean hasLeft() {
        if (!channel.isOpen()) {
            return true;
        }
        try {
            makeRoom(input.remaining() + 1);
            if (input.limit() == input.capacity()) {
                // It has sent so much that there is no room to look further; it will not have done so to leave.
                return false;
            }
            channel.configureBlocking(false);
            try {
                return readMore() < 0;
            } finally {
                channel.configureBlocking(true);
            }
        } catch (IOException e) {
            return true;
        }
    }
}
