// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.dmera.dmsetup.targets.FailureText;
import org.dmera.dmsetup.targets.Failures;

/** Accepts connections on the calling thread, one after another, until the socket is closed. */
public final class Acceptor {
    private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

    private Acceptor() {}

    /**
     * Returns when {@code from} is closed; whatever one connection meets, the next one may fare better. {@code taker} has a
     * thread serve it, or closes it when that fails.
     */
    public static void acceptAll(ServerSocketChannel from, LimitedLog log, Failures.Use<SocketChannel> taker) {
        while (from.isOpen()) {
            try {
                acceptNext(from, log, taker);
            } catch (OutOfMemoryError e) {
                // There was none even to say so.
                LockSupport.parkNanos(PAUSE_NANOS);
            }
        }
    }

    private static void acceptNext(ServerSocketChannel from, LimitedLog log, Failures.Use<SocketChannel> taker) {
        try {
            taker.with(from.accept());
        } catch (IOException | RuntimeException | Error e) {
            if (from.isOpen()) {
                // Out of descriptors or threads, most likely: what is open goes on, and closing some helps. Who was not
                // accepted is still in the queue: give that a moment.
                log.accept("failures to accept", () -> "accept: " + FailureText.of(e));
                LockSupport.parkNanos(PAUSE_NANOS);
            }
        }
    }
}
