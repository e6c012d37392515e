// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.dmera.dmsetup.device.DeviceIo;

/**
 * A connected socket whose reader looks again for a moment before it sleeps.
 *
 * <p>A client that waits for each answer sends its next request some ten microseconds after it got one. To put this
 * thread to sleep meanwhile and wake it on a processor that has gone idle takes longer than that, and longer than the
 * request itself. So what is not there yet is asked for again and again for {@value #POLL_NANOS} ns, and only then waited
 * for. Where that finds nothing, as with a client that thinks, or on a machine whose processors are busy, it is tried more
 * and more seldom.
 *
 * <p>It is for one thread, the connection's. Looking again needs the socket in non-blocking mode, and other senders need it
 * blocking: {@link #share} puts it so, and it stays so for as long as {@code alone} says false.
 */
final class PollingSocket implements ByteChannel {
    static final long POLL_NANOS = 50_000;
    private static final int PAUSES = 32;
    /** Waits in a row that go without polling, at most. */
    private static final int MAX_SKIPS = 256;

    /** Half of the processors look again, at most: the rest is for clients, and for connections that have work. */
    private static final int MAX_POLLING = Runtime.getRuntime().availableProcessors() / 2;

    private static final AtomicInteger POLLING = new AtomicInteger();

    private final SocketChannel socket;
    private final BooleanSupplier alone;
    private boolean blocking;
    /** How many waits go without polling after the next miss, and from now on. */
    private int penalty = 1;

    private int skips;

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

    private boolean mayPoll() {
        if (MAX_POLLING == 0 || !alone.getAsBoolean()) {
            return false;
        }
        if (skips > 0) {
            skips--;
            return false;
        }
        return true;
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
        if (!mayPoll()) {
            return 0;
        }
        setBlocking(false);
        int n = socket.read(dst);
        if (n != 0) {
            return n;
        }
        if (!startPolling()) {
            return 0;
        }
        try {
            long end = System.nanoTime() + POLL_NANOS;
            do {
                pause();
                n = socket.read(dst);
                if (n != 0) {
                    penalty = 1;
                    return n;
                }
            } while (System.nanoTime() - end < 0);
        } finally {
            POLLING.getAndDecrement();
        }
        skips = penalty;
        penalty = Math.min(2 * penalty, MAX_SKIPS);
        return 0;
    }

    private static boolean startPolling() {
        if (POLLING.getAndIncrement() < MAX_POLLING) {
            return true;
        }
        POLLING.getAndDecrement();
        return false;
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
        if (startPolling()) {
            try {
                long end = System.nanoTime() + POLL_NANOS;
                do {
                    pause();
                    n = socket.write(src);
                    if (n != 0) {
                        return n;
                    }
                } while (System.nanoTime() - end < 0);
            } finally {
                POLLING.getAndDecrement();
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
