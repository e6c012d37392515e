// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.nio.ByteBuffer;

/**
 * The numbers of the FUSE kernel protocol, 7.31, as far as a file system of a single file needs them. All integers are in
 * the machine's byte order.
 */
final class Fuse {
    static final int MAJOR = 7;
    static final int MINOR = 31;

    /** len, opcode, unique, nodeid, uid, gid, pid, padding. */
    static final int IN_HEADER_BYTES = 40;
    /** len, error, unique. */
    static final int OUT_HEADER_BYTES = 16;
    /** The header of a write and what describes it, before the data. */
    static final int WRITE_HEADER_BYTES = IN_HEADER_BYTES + 40;

    static final int LOOKUP = 1;
    static final int FORGET = 2;
    static final int GETATTR = 3;
    static final int OPEN = 14;
    static final int READ = 15;
    static final int WRITE = 16;
    static final int STATFS = 17;
    static final int RELEASE = 18;
    static final int FSYNC = 20;
    static final int INIT = 26;
    static final int INTERRUPT = 36;
    static final int DESTROY = 38;
    static final int BATCH_FORGET = 42;
    static final int FALLOCATE = 43;

    // Capabilities, asked for in the answer to INIT.
    static final int ASYNC_READ = 1;
    static final int BIG_WRITES = 1 << 5;
    static final int ASYNC_DIO = 1 << 15;
    static final int MAX_PAGES = 1 << 22;

    static final long ROOT_ID = 1;
    static final int S_IFREG_600 = 0100600;

    /** A new descriptor of /dev/fuse for another reader of the same file system: _IOR(229, 0, uint32_t). */
    static final long DEV_IOC_CLONE = 0x8004e500L;

    private static final int PAGE_BYTES = 4096;
    private static final short MAX_BACKGROUND = 256;

    private Fuse() {}

    /** Puts the answer to INIT. */
    static ByteBuffer putInitialized(ByteBuffer out, int readahead, int maxWriteBytes) {
        out.putInt(MAJOR).putInt(MINOR).putInt(readahead);
        out.putInt(ASYNC_READ | BIG_WRITES | ASYNC_DIO | MAX_PAGES);
        out.putShort(MAX_BACKGROUND).putShort(MAX_BACKGROUND);
        out.putInt(maxWriteBytes).putInt(1);
        out.putShort((short) (maxWriteBytes / PAGE_BYTES)).putShort((short) 0);
        return out.put(new byte[32]);
    }

    /** Puts what a file of so many bytes is; valid for no time, since the size changes with the table. */
    static ByteBuffer putAttributes(ByteBuffer out, long size) {
        out.putLong(0).putInt(0).putInt(0);
        out.putLong(ROOT_ID).putLong(size).putLong(size / 512);
        out.putLong(0).putLong(0).putLong(0).putInt(0).putInt(0).putInt(0);
        out.putInt(S_IFREG_600).putInt(1).putInt(0).putInt(0).putInt(0);
        return out.putInt(PAGE_BYTES).putInt(0);
    }

    /** Puts the answer to OPEN: a file without a handle. */
    static ByteBuffer putOpened(ByteBuffer out) {
        return out.putLong(0).putInt(0).putInt(0);
    }

    /** Puts the answer to STATFS: a file system without figures. */
    static ByteBuffer putFileSystem(ByteBuffer out) {
        out.putLong(0).putLong(0).putLong(0).putLong(0).putLong(0);
        out.putInt(PAGE_BYTES).putInt(0).putInt(PAGE_BYTES).putInt(0);
        return out.put(new byte[24]);
    }

    /** Puts the header of an answer right before {@code at}, where its body of {@code bodyBytes} begins; the bytes in all. */
    static int putOutHeader(ByteBuffer buffer, int at, int bodyBytes, int errno, long unique) {
        int bytes = OUT_HEADER_BYTES + bodyBytes;
        buffer.putInt(at - 16, bytes).putInt(at - 12, -errno).putLong(at - 8, unique);
        return bytes;
    }
}
