// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/** A backing in memory, which notes what is done to it, and on which each operation can be held up or made to fail. */
public class MemoryBacking implements Backing {
    /** Comes before (or after) an operation: may wait, or throw. */
    public interface Hook {
        void at(String operation, long offsetBytes, long lengthBytes) throws IOException;
    }

    private final String name;
    private final byte[] bytes;
    public final AtomicInteger flushes = new AtomicInteger();
    public final AtomicInteger writes = new AtomicInteger();
    /** What happened on all backings that share this list, in order: {@code name:operation}. */
    public final List<String> journal;

    public volatile Hook hook = (operation, offset, length) -> {};
    /** Comes after a write or zeroing, when its bytes are there. */
    public volatile Hook after = (operation, offset, length) -> {};

    public volatile boolean closed;
    /** Whether writes would have to wait for something, which is ready at once. */
    public volatile boolean waits;

    public MemoryBacking(String name, int sizeBytes, List<String> journal) {
        this.name = name;
        this.bytes = new byte[sizeBytes];
        this.journal = journal;
    }

    public MemoryBacking(String name, int sizeBytes) {
        this(name, sizeBytes, new CopyOnWriteArrayList<>());
    }

    public byte[] bytes() {
        return bytes;
    }

    @Override
    public String display() {
        return name;
    }

    @Override
    public long device() {
        return -1;
    }

    @Override
    public long sizeBytes() {
        return bytes.length;
    }

    @Override
    public void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags)
            throws IOException {
        switch (operation) {
            case READ -> read(offsetBytes, data);
            case WRITE -> write(offsetBytes, data, flags);
            case FLUSH -> flush();
            case DISCARD, WRITE_ZEROES -> zero(offsetBytes, lengthBytes);
        }
    }

    @Override
    public void read(long offsetBytes, ByteBuffer dst) throws IOException {
        hook.at("read", offsetBytes, dst.remaining());
        synchronized (bytes) {
            dst.put(bytes, (int) offsetBytes, dst.remaining());
        }
    }

    @Override
    public boolean mustWait(long offsetBytes, long lengthBytes) {
        return waits;
    }

    @Override
    public void write(long offsetBytes, ByteBuffer src, int flags) throws IOException {
        int length = src.remaining();
        hook.at("write", offsetBytes, length);
        synchronized (bytes) {
            src.get(bytes, (int) offsetBytes, length);
        }
        after.at("write", offsetBytes, length);
        writes.incrementAndGet();
        journal.add(name + ":write");
    }

    @Override
    public void flush() throws IOException {
        hook.at("flush", 0, 0);
        flushes.incrementAndGet();
        journal.add(name + ":flush");
    }

    private void zero(long offsetBytes, long lengthBytes) throws IOException {
        hook.at("zero", offsetBytes, lengthBytes);
        synchronized (bytes) {
            java.util.Arrays.fill(bytes, (int) offsetBytes, (int) (offsetBytes + lengthBytes), (byte) 0);
        }
        after.at("zero", offsetBytes, lengthBytes);
        journal.add(name + ":zero");
    }

    @Override
    public long allocation(long offsetBytes, long lengthBytes) {
        return lengthBytes;
    }

    @Override
    public void close() {
        closed = true;
    }

    @Override
    public String toString() {
        return name;
    }
}
