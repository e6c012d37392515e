// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Set;
import org.dmera.core.linux.NativeText;

/**
 * {@code struct dm_ioctl} (312 bytes, little-endian) at the start of a buffer, and the buffer's payload behind it.
 *
 * <p>A flyweight: it reads and writes its buffer in place, because the interface works that way: the answer is the
 * request's own buffer with some fields and some of the payload replaced, and the rest still as the caller sent it.
 */
public final class DmIoctl {
    /** The header's size, and where libdevmapper puts the payload. */
    public static final int HEADER_BYTES = 312;
    /** The header without its padding: what {@code data_size} says of an answer without a payload. */
    public static final int USED_HEADER_BYTES = 305;
    /** The size of libdevmapper's first buffer; doubled for as long as the answer does not fit. */
    public static final int INITIAL_BUFFER_BYTES = 16384;

    /** Bytes in a name, with the closing NUL. */
    public static final int NAME_BYTES = 128;
    /** Bytes in a uuid, with the closing NUL. */
    public static final int UUID_BYTES = 129;

    /** Names that no device may have, as in kernels since 6.5: in {@code /dev/mapper} they are something else. */
    public static final Set<String> NO_DEVICE_NAMES = Set.of("control", ".", "..");

    private static final int VERSION_AT = 0;
    private static final int DATA_SIZE_AT = 12;
    private static final int DATA_START_AT = 16;
    private static final int TARGET_COUNT_AT = 20;
    private static final int OPEN_COUNT_AT = 24;
    private static final int FLAGS_AT = 28;
    private static final int EVENT_NR_AT = 32;
    private static final int DEV_AT = 40;
    private static final int NAME_AT = 48;
    private static final int UUID_AT = 176;

    private final ByteBuffer buffer;

    private DmIoctl(ByteBuffer buffer) {
        this.buffer = buffer.order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Over an existing buffer, from its position 0 to its limit. */
    public static DmIoctl over(ByteBuffer buffer) {
        return new DmIoctl(buffer);
    }

    /** A fresh request of version 4.0.0 in a zeroed buffer of {@code bytes}, as libdevmapper starts one. */
    public static DmIoctl request(int bytes) {
        DmIoctl io = new DmIoctl(ByteBuffer.allocate(bytes));
        io.setVersion(4, 0, 0);
        io.setDataSize(bytes);
        io.setDataStart(HEADER_BYTES);
        io.setFlags(DmFlags.EXISTS);
        return io;
    }

    public ByteBuffer buffer() {
        return buffer;
    }

    public int versionMajor() {
        return buffer.getInt(VERSION_AT);
    }

    public int versionMinor() {
        return buffer.getInt(VERSION_AT + 4);
    }

    public int versionPatch() {
        return buffer.getInt(VERSION_AT + 8);
    }

    public void setVersion(int major, int minor, int patch) {
        buffer.putInt(VERSION_AT, major).putInt(VERSION_AT + 4, minor).putInt(VERSION_AT + 8, patch);
    }

    /** In: bytes in the buffer. Out: bytes used. Unsigned. */
    public int dataSize() {
        return buffer.getInt(DATA_SIZE_AT);
    }

    public void setDataSize(int bytes) {
        buffer.putInt(DATA_SIZE_AT, bytes);
    }

    /** Where the payload starts, in bytes from the start of the buffer. Unsigned. */
    public int dataStart() {
        return buffer.getInt(DATA_START_AT);
    }

    public void setDataStart(int offsetBytes) {
        buffer.putInt(DATA_START_AT, offsetBytes);
    }

    /** Where an answer's payload starts, and says so: as in the kernel behind the header, wherever the caller's was. */
    int answerStart() {
        setDataStart(HEADER_BYTES);
        return HEADER_BYTES;
    }

    public int targetCount() {
        return buffer.getInt(TARGET_COUNT_AT);
    }

    public void setTargetCount(int count) {
        buffer.putInt(TARGET_COUNT_AT, count);
    }

    public int openCount() {
        return buffer.getInt(OPEN_COUNT_AT);
    }

    public void setOpenCount(int count) {
        buffer.putInt(OPEN_COUNT_AT, count);
    }

    /** Bits of {@link DmFlags}. */
    public int flags() {
        return buffer.getInt(FLAGS_AT);
    }

    public void setFlags(int flags) {
        buffer.putInt(FLAGS_AT, flags);
    }

    /** Whether any of {@code bits} is set. */
    public boolean has(int bits) {
        return (flags() & bits) != 0;
    }

    /** The event number; in calls that make udev events, the udev cookie and flags. Unsigned. */
    public int eventNr() {
        return buffer.getInt(EVENT_NR_AT);
    }

    public void setEventNr(int value) {
        buffer.putInt(EVENT_NR_AT, value);
    }

    /** The device number as {@link DevNumber} encodes it. */
    public long dev() {
        return buffer.getLong(DEV_AT);
    }

    public void setDev(long dev) {
        buffer.putLong(DEV_AT, dev);
    }

    /** The name; cut at 127 bytes if no NUL ends it, as the kernel does. */
    public String name() {
        return Payload.cutText(buffer, NAME_AT, NAME_AT + NAME_BYTES - 1);
    }

    /** Sets the name and its NUL; bytes behind that stay as they are. */
    public void setName(String name) {
        setText(NAME_AT, NAME_BYTES, name);
    }

    /** The uuid; cut at 128 bytes if no NUL ends it. */
    public String uuid() {
        return Payload.cutText(buffer, UUID_AT, UUID_AT + UUID_BYTES - 1);
    }

    public void setUuid(String uuid) {
        setText(UUID_AT, UUID_BYTES, uuid);
    }

    private void setText(int at, int size, String text) {
        byte[] bytes = NativeText.bytes(text);
        if (bytes.length >= size) {
            throw new IllegalArgumentException("\"" + text + "\" is longer than " + (size - 1) + " bytes");
        }
        Payload.putText(buffer, at, bytes);
    }
}
