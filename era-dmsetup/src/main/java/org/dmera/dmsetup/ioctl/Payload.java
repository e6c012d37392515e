// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

import java.nio.ByteBuffer;
import org.dmera.core.linux.NativeText;

/** Bounds-checked access to a buffer's payload, for the codecs of this package. */
final class Payload {
    private Payload() {}

    static int align8(int offset) {
        return (offset + 7) & ~7;
    }

    /** The end of the valid bytes: {@code data_size}, or the buffer's own limit if that is nearer. */
    static int end(DmIoctl io) {
        int size = io.dataSize();
        int limit = io.buffer().limit();
        return size < 0 || size > limit ? limit : size;
    }

    /** {@code data_start}, if {@code bytes} fit between it and the end. */
    static int start(DmIoctl io, int bytes) throws MalformedPayloadException {
        int start = io.dataStart();
        if (start < DmIoctl.USED_HEADER_BYTES || start > end(io) - bytes) {
            throw new MalformedPayloadException("data_start " + Integer.toUnsignedString(start)
                    + ": expected 305 up to " + (end(io) - bytes) + ", so that " + bytes + " bytes follow");
        }
        return start;
    }

    /** The text from {@code at} to the NUL before {@code end}. */
    static String text(ByteBuffer buffer, int at, int end) throws MalformedPayloadException {
        if (nulBefore(buffer, at, end) >= end) {
            throw new MalformedPayloadException("no NUL ends the text at offset " + at);
        }
        return cutText(buffer, at, end);
    }

    /** The text from {@code at} to the NUL before {@code end}, or to {@code end} when there is none. */
    static String cutText(ByteBuffer buffer, int at, int end) {
        byte[] bytes = new byte[nulBefore(buffer, at, end) - at];
        buffer.get(at, bytes);
        return NativeText.of(bytes);
    }

    private static int nulBefore(ByteBuffer buffer, int at, int end) {
        int nul = at;
        while (nul < end && buffer.get(nul) != 0) {
            nul++;
        }
        return nul;
    }

    static byte[] bytes(String text) {
        return NativeText.bytes(text);
    }

    /** Writes {@code text} and a NUL; returns the offset behind the NUL. */
    static int putText(ByteBuffer buffer, int at, byte[] text) {
        buffer.put(at, text);
        buffer.put(at + text.length, (byte) 0);
        return at + text.length + 1;
    }

    static void zero(ByteBuffer buffer, int from, int to) {
        buffer.put(from, new byte[to - from]);
    }
}
