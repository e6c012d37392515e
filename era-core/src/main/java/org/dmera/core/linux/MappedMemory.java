// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.Closeable;
import jnr.ffi.Pointer;

/**
 * Memory that a driver shares with this process: mmap(2) of its descriptor.
 *
 * <p>Reads and writes are plain; whoever has an order to keep puts fences between them. Offsets are not checked: what is
 * outside, or used after {@link #close}, is a crash.
 */
public final class MappedMemory implements Closeable {
    private static final int PROT_READ = 1;
    private static final int PROT_WRITE = 2;
    private static final int MAP_SHARED = 1;
    /** So that a page fault, which may have to wait for memory, comes now and not later. */
    private static final int MAP_POPULATE = 0x8000;

    private final long address;
    private final long bytes;
    private final Pointer memory;
    private boolean open = true;

    /** Maps {@code bytes} of {@code fd} from {@code offset} on; {@code what} it is, for an error. */
    public MappedMemory(String what, int fd, long offset, long bytes, boolean writable) throws ErrnoException {
        int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
        address = Libc.CALLS.mmap(0, bytes, protection, MAP_SHARED | MAP_POPULATE, fd, offset, 0);
        if (address == -1) {
            throw new ErrnoException("mmap of " + what, Libc.errno());
        }
        this.bytes = bytes;
        memory = Pointer.wrap(Libc.RUNTIME, address, bytes);
    }

    public int getInt(long offset) {
        return memory.getInt(offset);
    }

    public long getLong(long offset) {
        return memory.getLong(offset);
    }

    public void putByte(long offset, byte value) {
        memory.putByte(offset, value);
    }

    public void putShort(long offset, short value) {
        memory.putShort(offset, value);
    }

    public void putInt(long offset, int value) {
        memory.putInt(offset, value);
    }

    public void putLong(long offset, long value) {
        memory.putLong(offset, value);
    }

    /** Sets {@code count} bytes to zero. */
    public void clear(long offset, long count) {
        memory.setMemory(offset, count, (byte) 0);
    }

    /** Unmaps it, once. */
    @Override
    public void close() throws ErrnoException {
        if (open) {
            open = false;
            if (Libc.CALLS.munmap(address, bytes) < 0) {
                throw new ErrnoException("munmap", Libc.errno());
            }
        }
    }
}
