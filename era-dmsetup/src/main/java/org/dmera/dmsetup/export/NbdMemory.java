// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;

/**
 * Bounds the memory outside the heap that those who are {@linkplain Served served} can make the engine take, so that there is always some for the
 * rest of the engine, however many clients send what payloads, and however slowly.
 *
 * <p>Half of what the process may have is for connections: each counts what it holds for itself, and there are no more
 * than fit. A quarter is for the payloads of writes that wait for metadata. Such a payload is held as a whole and finished
 * in the background, where there is room; a connection that gets none does its write itself, by way of its own buffers. So
 * nobody waits for memory, and nobody can be locked out by those who have taken it.
 *
 * <p>A payload that is still to come may be long in coming, and a long answer long in being taken. Those may take half of the room; the other half is only ever
 * held by what has arrived and is on its way to storage, whatever clients do. Therefore clients that stall cost others
 * nothing but that part of the room.
 */
final class NbdMemory {
    /** Longer payloads are never held as a whole. */
    static final int MAX_WHOLE_BYTES = BufferPool.LARGEST_BYTES;
    /** For input, answers, and a payload in pieces: 256 KiB each; and for a moment something for a lookup. */
    private static final long CONNECTION_BYTES = 1 << 20;

    private static final long MAX_IDLE_BYTES = 64 << 20;

    private final BufferPool pool;
    private final long connectionsLimit;
    private final long payloadsLimit;
    private int connections;
    /** Bytes of buffers for payloads that are still to come and for long answers, and of payloads that are there. */
    private long ahead;

    private long arrived;

    /** Of {@code directBytes} that the process may take outside its heap. */
    NbdMemory(long directBytes) {
        pool = new BufferPool(Math.min(MAX_IDLE_BYTES, directBytes / 8));
        connectionsLimit = Math.max(1, directBytes / 2 / CONNECTION_BYTES);
        payloadsLimit = directBytes / 4;
    }

    /** What this process may take; by default, as much as its heap may. */
    static long directBytes() {
        HotSpotDiagnosticMXBean machine = ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
        long set = machine == null
                ? 0
                : Long.parseLong(machine.getVMOption("MaxDirectMemorySize").getValue());
        return set > 0 ? set : Runtime.getRuntime().maxMemory();
    }

    /** For what connections hold for themselves. */
    BufferPool pool() {
        return pool;
    }

    /** A connection begins, or there is no memory for another one; {@link #leave} follows. */
    synchronized void enter() throws IOException {
        if (connections >= connectionsLimit) {
            throw new IOException("no memory for another connection: " + connections + " are open");
        }
        connections++;
    }

    synchronized void leave() {
        connections--;
    }

    /**
     * A buffer for a payload that is still to come, or an answer that the client may be slow to take, or null; {@link #arrived}
     * and {@link #give} follow.
     */
    ByteBuffer takeAhead(int bytes) {
        return take(bytes, true);
    }

    /** All of a payload has come, or of an answer been taken; or nothing more will. */
    synchronized void arrived(ByteBuffer payload) {
        ahead -= payload.capacity();
        arrived += payload.capacity();
    }

    /** A buffer for a payload that has come, or null; {@link #give} follows. */
    ByteBuffer takeArrived(int bytes) {
        return take(bytes, false);
    }

    private ByteBuffer take(int bytes, boolean early) {
        long size = BufferPool.capacity(bytes);
        if (bytes > MAX_WHOLE_BYTES || !reserve(size, early)) {
            return null;
        }
        try {
            return pool.take(bytes);
        } catch (OutOfMemoryError e) {
            // Others of the process have taken it all.
            count(-size, early);
            return null;
        }
    }

    private synchronized boolean reserve(long size, boolean early) {
        if (early && ahead + size > payloadsLimit / 2 || ahead + arrived + size > payloadsLimit) {
            return false;
        }
        count(size, early);
        return true;
    }

    private synchronized void count(long bytes, boolean early) {
        if (early) {
            ahead += bytes;
        } else {
            arrived += bytes;
        }
    }

    /** What had arrived is no longer needed. */
    void give(ByteBuffer payload) {
        synchronized (this) {
            arrived -= payload.capacity();
        }
        pool.give(payload);
    }

    /** Bytes of payloads that are held now. */
    synchronized long payloadBytes() {
        return ahead + arrived;
    }
}
