// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.Closeable;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * An io_uring(7): requests to the kernel are put into one ring and their completions taken from another, both in memory that
 * is shared with it, so that one system call serves many. What is here is what drivers need that are spoken to by commands
 * of their own (IORING_OP_URING_CMD).
 *
 * <p>For one thread, from its construction on. Order: an entry is written before the tail that gives it to the kernel
 * (release), and a completion is read after the tail that tells of it (acquire) and before the head that gives its place
 * back (release).
 *
 * <p>The numbers are those of {@code linux/io_uring.h}.
 */
public final class IoUring implements Closeable {
    // The same on every architecture.
    private static final int SYS_SETUP = 425;
    private static final int SYS_ENTER = 426;

    private static final int SETUP_COOP_TASKRUN = 1 << 8;
    private static final int SETUP_SQE128 = 1 << 10;
    private static final int SETUP_SINGLE_ISSUER = 1 << 12;
    private static final int FEAT_SINGLE_MMAP = 1;
    private static final int ENTER_GETEVENTS = 1;

    private static final long OFF_RINGS = 0;
    private static final long OFF_ENTRIES = 0x10000000L;

    private static final byte OP_READ = 22;
    private static final byte OP_URING_CMD = 46;

    // struct io_uring_params, and in it struct io_sqring_offsets and io_cqring_offsets.
    private static final int PARAMS_BYTES = 120;
    private static final int PARAMS_FLAGS = 8;
    private static final int PARAMS_FEATURES = 20;
    private static final int PARAMS_SQ = 40;
    private static final int PARAMS_CQ = 80;
    private static final int RING_HEAD = 0;
    private static final int RING_TAIL = 4;
    private static final int RING_MASK = 8;
    private static final int SQ_ARRAY = 24;
    private static final int CQ_ENTRIES = 20;

    // struct io_uring_sqe.
    private static final int ENTRY_BYTES = 64;
    private static final int ENTRY_FD = 4;
    /** Also the offset in a file. */
    private static final int ENTRY_COMMAND = 8;

    private static final int ENTRY_ADDRESS = 16;
    private static final int ENTRY_LENGTH = 24;
    private static final int ENTRY_USER_DATA = 32;
    /** Where the driver's own part of a command begins. */
    private static final int ENTRY_BODY = 48;

    // struct io_uring_cqe.
    private static final int COMPLETION_BYTES = 16;
    private static final int COMPLETION_RESULT = 8;

    private final int fd;
    private final int entryBytes;
    private final int capacity;
    private final MappedMemory rings;
    private final MappedMemory entries;
    private final long submissionHead;
    private final long submissionTail;
    private final int submissionMask;
    private final long completionHead;
    private final long completionTail;
    private final int completionMask;
    private final long completions;
    /** The tail that the kernel does not know yet, and the head that it has not been told of. */
    private int tail;

    private int head;
    /** Where the entry begins that was put last. */
    private long entry;

    /**
     * A ring of {@code capacity} entries, a power of two; {@code wide} ones have 80 bytes for a driver's command, others 16.
     *
     * @throws ErrnoException EPERM where io_uring is turned off ({@code kernel.io_uring_disabled}), ENOSYS or EINVAL where the
     *     kernel, before 6.0, has no such ring
     */
    public IoUring(int capacity, boolean wide) throws ErrnoException {
        ByteBuffer params = ByteBuffer.allocateDirect(PARAMS_BYTES).order(ByteOrder.nativeOrder());
        int flags = SETUP_COOP_TASKRUN | SETUP_SINGLE_ISSUER | (wide ? SETUP_SQE128 : 0);
        params.putInt(PARAMS_FLAGS, flags);
        long setUp = Libc.CALLS.syscall(SYS_SETUP, capacity, RawIo.address(params), 0, 0, 0, 0);
        if (setUp < 0) {
            throw new ErrnoException("io_uring_setup", Libc.errno());
        }
        fd = (int) setUp;
        this.capacity = capacity;
        entryBytes = wide ? 2 * ENTRY_BYTES : ENTRY_BYTES;
        long completionsAt = Integer.toUnsignedLong(params.getInt(PARAMS_CQ + CQ_ENTRIES));
        long arrayAt = Integer.toUnsignedLong(params.getInt(PARAMS_SQ + SQ_ARRAY));
        long ringBytes = Math.max(
                completionsAt + (long) params.getInt(4) * COMPLETION_BYTES, arrayAt + (long) capacity * Integer.BYTES);
        MappedMemory mappedRings = null;
        MappedMemory mappedEntries = null;
        try {
            if ((params.getInt(PARAMS_FEATURES) & FEAT_SINGLE_MMAP) == 0 || params.getInt(0) != capacity) {
                throw new ErrnoException("io_uring of another form than expected", Errno.EINVAL.number());
            }
            mappedRings = new MappedMemory("io_uring's rings", fd, OFF_RINGS, ringBytes, true);
            mappedEntries = new MappedMemory("io_uring's entries", fd, OFF_ENTRIES, (long) capacity * entryBytes, true);
        } finally {
            if (mappedEntries == null) {
                if (mappedRings != null) {
                    mappedRings.close();
                }
                FileDescriptors.close(fd);
            }
        }
        rings = mappedRings;
        entries = mappedEntries;
        submissionHead = offset(params, PARAMS_SQ + RING_HEAD);
        submissionTail = offset(params, PARAMS_SQ + RING_TAIL);
        submissionMask = rings.getInt(offset(params, PARAMS_SQ + RING_MASK));
        completionHead = offset(params, PARAMS_CQ + RING_HEAD);
        completionTail = offset(params, PARAMS_CQ + RING_TAIL);
        completionMask = rings.getInt(offset(params, PARAMS_CQ + RING_MASK));
        completions = completionsAt;
        for (int i = 0; i < capacity; i++) {
            // Each place of the ring is for the entry of the same number, for good.
            rings.putInt(arrayAt + (long) i * Integer.BYTES, i);
        }
        tail = rings.getInt(submissionTail);
        head = rings.getInt(completionHead);
    }

    private static long offset(ByteBuffer params, int at) {
        return Integer.toUnsignedLong(params.getInt(at));
    }

    // ---- requests

    /** How many were put that the kernel has not taken. */
    public int pending() {
        return tail - rings.getInt(submissionHead);
    }

    /** Puts a driver's own command, whose 16 (80) bytes are zero where {@link #bodyInt} and the like put nothing. */
    public void putCommand(int driverFd, int command, long userData) {
        begin(OP_URING_CMD, driverFd, userData);
        entries.putInt(entry + ENTRY_COMMAND, command);
        tail++;
    }

    /** Puts a read of {@code bytes} from where {@code readFd} stands, into memory that stays until it is done. */
    public void putRead(int readFd, long address, int bytes, long userData) {
        begin(OP_READ, readFd, userData);
        entries.putLong(entry + ENTRY_COMMAND, -1);
        entries.putLong(entry + ENTRY_ADDRESS, address);
        entries.putInt(entry + ENTRY_LENGTH, bytes);
        tail++;
    }

    private void begin(byte operation, int of, long userData) {
        if (pending() == capacity) {
            throw new IllegalStateException("the ring of " + capacity + " entries is full");
        }
        entry = (long) (tail & submissionMask) * entryBytes;
        entries.clear(entry, entryBytes);
        entries.putByte(entry, operation);
        entries.putInt(entry + ENTRY_FD, of);
        entries.putLong(entry + ENTRY_USER_DATA, userData);
    }

    /** Sets two bytes of the command that was put last. */
    public void bodyShort(int at, short value) {
        entries.putShort(entry + ENTRY_BODY + at, value);
    }

    /** Sets four bytes of the command that was put last. */
    public void bodyInt(int at, int value) {
        entries.putInt(entry + ENTRY_BODY + at, value);
    }

    /** Sets eight bytes of the command that was put last. */
    public void bodyLong(int at, long value) {
        entries.putLong(entry + ENTRY_BODY + at, value);
    }

    /**
     * Gives what was put to the kernel, and returns when at least {@code completed} completions are there; perhaps sooner, after
     * a signal, or when the kernel is short of memory.
     */
    public void enter(int completed) throws ErrnoException {
        VarHandle.releaseFence();
        rings.putInt(submissionTail, tail);
        long n = Libc.CALLS.syscall(SYS_ENTER, fd, pending(), completed, completed > 0 ? ENTER_GETEVENTS : 0, 0, 0);
        if (n < 0) {
            int errno = Libc.errno();
            // EBUSY: completions are to be taken first.
            if (errno != Errno.EINTR.number() && errno != Errno.EAGAIN.number() && errno != Errno.EBUSY.number()) {
                throw new ErrnoException("io_uring_enter", errno);
            }
        }
    }

    // ---- completions

    /** Whether there is a completion, of which {@link #userData} and {@link #result} tell until {@link #next}. */
    public boolean hasCompletion() {
        int seen = rings.getInt(completionTail);
        VarHandle.acquireFence();
        return seen != head;
    }

    /** What was given with the request. */
    public long userData() {
        return rings.getLong(completion());
    }

    /** What became of it: −errno, or what the operation says. */
    public int result() {
        return rings.getInt(completion() + COMPLETION_RESULT);
    }

    private long completion() {
        return completions + (long) (head & completionMask) * COMPLETION_BYTES;
    }

    /** Gives the place of a completion back. */
    public void next() {
        VarHandle.releaseFence();
        rings.putInt(completionHead, ++head);
    }

    /** Closes it; what the kernel has of it ends soon after that. */
    @Override
    public void close() throws ErrnoException {
        try {
            entries.close();
            rings.close();
        } finally {
            FileDescriptors.close(fd);
        }
    }
}
