// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.SocketChannel;
import java.util.function.BooleanSupplier;
import org.dmera.dmsetup.device.DeviceIo;

/**
 * A connected socket whose reader looks again for a moment before it sleeps, as {@link BusyPoll} says.
 *
 * <p>It is for one thread, the connection's. Looking again needs the socket in non-blocking mode, and other senders need it
 * blocking: {@link #share} puts it so, and it stays so for as long as {@code alone} says false.
 */
final class PollingSocket implements ByteChannel {
    private static final int PAUSES = 32;

    private final SocketChannel socket;
    private final BooleanSupplier alone;
    private final BusyPoll poll = new BusyPoll();
    private boolean blocking;

    /** {@code alone} tells whether no other thread can be writing. */
    PollingSocket(SocketChannel socket, BooleanSupplier alone) {
        this.socket = socket;
        this.alone = alone;
        this.blocking = socket.isBlocking();
    }

    /** Before another thread may write. */
    void share() throws IOException {
        setBlocking(true);
    }

    private void setBlocking(boolean on) throws IOException {
        if (blocking != on) {
            socket.configureBlocking(on);
            blocking = on;
        }
    }

    /** A microsecond or so between two looks: the client may share this processor's core, or its caches. */
    private static void pause() {
        for (int i = 0; i < PAUSES; i++) {
            Thread.onSpinWait();
        }
    }

    @Override
    public int read(ByteBuffer dst) throws IOException {
        int n = readSoon(dst);
        if (n != 0) {
            return n;
        }
        setBlocking(true);
        return socket.read(dst);
    }

    /** As {@link #read}, but 0 when nothing has come after a moment. */
    int readSoon(ByteBuffer dst) throws IOException {
        if (!alone.getAsBoolean() || !poll.isDue()) {
            return 0;
        }
        setBlocking(false);
        int n = socket.read(dst);
        if (n != 0) {
            return n;
        }
        if (!poll.begin()) {
            return 0;
        }
        try {
            do {
                pause();
                n = socket.read(dst);
                if (n != 0) {
                    poll.found();
                    return n;
                }
            } while (poll.goesOn());
        } finally {
            poll.end();
        }
        poll.missed();
        return 0;
    }

    /** As {@link DeviceIo#sendTo}, to this socket. Never waits for the client. */
    long send(DeviceIo io, long offsetBytes, long lengthBytes) throws IOException {
        setBlocking(false);
        return io.sendTo(socket, offsetBytes, lengthBytes);
    }

    @Override
    public int write(ByteBuffer src) throws IOException {
        int n = socket.write(src);
        if (blocking || n != 0) {
            return n;
        }
        if (poll.begin()) {
            try {
                do {
                    pause();
                    n = socket.write(src);
                    if (n != 0) {
                        return n;
                    }
                } while (poll.goesOn());
            } finally {
                poll.end();
            }
        }
        setBlocking(true);
        return socket.write(src);
    }

    @Override
    public boolean isOpen() {
        return socket.isOpen();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
