// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;

/**
 * One who sends requests, and may be gone before they are done.
 *
 * <p>A client whose connection broke connects again and sends anew what was not answered, and other writes after that. What
 * it sent by the dead connection must not land then: it would undo what was acknowledged since. So each request is done
 * between {@link #begin} and {@link #end}, and whatever it waits for on its way to storage (the gate of a suspended device,
 * marks) it waits for between {@link #pause} and {@link #resume}: those of one who has left are refused before and after. And who comes
 * after it first has {@link #awaitGone} return: then nothing is on its way any more.
 *
 * <p>It costs two atomic operations for each request, and a look at the connection now and then. Begun before looking
 * whether it is gone, while the one that comes after declares it gone before looking at what is begun: one of the two sees
 * the other.
 */
public final class Client {
    /** The way to a client, as far as the kernel knows it. */
    @FunctionalInterface
    public interface Line {
        /** Whether it is closed at the other end, so that no answer can arrive. */
        boolean isCut();

        /** The same, or the client has said that it sends nothing more, as one does whose end was closed; it may still listen. */
        default boolean isEnding() {
            return isCut();
        }
    }

    /** A client that sends a whole queue and leaves is noticed after so long. */
    private static final long LOOK_NANOS = TimeUnit.MICROSECONDS.toNanos(50);

    private static final long PATIENCE_MILLIS = 200;

    /** The client whose request the thread does now. */
    private static final ThreadLocal<Client> SERVED = new ThreadLocal<>();

    private final Line line;
    /** Its requests that may reach storage without another look. */
    private final AtomicInteger inside = new AtomicInteger();

    private volatile boolean gone;
    /** When the line was last looked at; used by whoever calls {@link #begin}, and no harm is done when several do. */
    private volatile long looked = System.nanoTime() - LOOK_NANOS;

    public Client(Line line) {
        this.line = line;
    }

    /**
     * A request of this client is done by this thread from now on, until {@link #end}.
     *
     * @throws ErrnoException ESHUTDOWN when the client is gone; then there is nothing to end
     */
    public void begin() throws ErrnoException {
        inside.getAndIncrement();
        long now = System.nanoTime();
        if (!gone && now - looked >= LOOK_NANOS) {
            looked = now;
            if (line.isCut()) {
                // Only ever set: another thread may have found just now that it has left.
                gone = true;
            }
        }
        if (gone) {
            leave();
            throw refusal();
        }
        SERVED.set(this);
    }

    /** The request is done. */
    public void end() {
        SERVED.set(null);
        leave();
    }

    private void leave() {
        if (inside.decrementAndGet() == 0 && gone) {
            synchronized (this) {
                notifyAll();
            }
        }
    }

    /** The thread waits for something that is not storage; returns what {@link #resume} wants, null outside of a request. */
    public static Client pause() {
        Client client = SERVED.get();
        if (client != null) {
            client.leave();
        }
        return client;
    }

    /** The thread has waited, well or in vain; {@link #requireHere} comes next. */
    public static void resume(Client client) {
        if (client != null) {
            client.inside.getAndIncrement();
        }
    }

    /** @throws ErrnoException ESHUTDOWN when the client, if there is one, has left while its request waited */
    public static void requireHere(Client client) throws ErrnoException {
        if (client != null && client.hasLeft()) {
            throw refusal();
        }
    }

    /** Whether it has left; for a request that waits, and for who comes after. Once it has, it has for good. */
    public boolean hasLeft() {
        if (!gone && line.isEnding()) {
            gone = true;
        }
        return gone;
    }

    /** If it has left, returns when nothing of it can reach storage any more; or when {@code waiting} has left itself. */
    public void awaitGone(Client waiting) {
        if (!hasLeft()) {
            return;
        }
        Threads.await(() -> {
            synchronized (this) {
                while (inside.get() > 0 && !waiting.hasLeft()) {
                    wait(PATIENCE_MILLIS);
                }
            }
        });
    }

    /** Whether a request was let go no further, of a client that has left or on a device that goes: it has done nothing. */
    static boolean isRefusal(Throwable why) {
        return why instanceof ErrnoException e && e.is(Errno.ESHUTDOWN);
    }

    private static ErrnoException refusal() {
        return new ErrnoException("request of a client that has left", Errno.ESHUTDOWN);
    }
}
