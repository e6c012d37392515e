// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * {@code struct dm_target_spec} with its parameter text: a table line, or a line of status.
 *
 * <p>Each is 40 bytes (u64 start, u64 length, s32 status, u32 next, 16 bytes type), the text, a NUL, and padding to 8.
 * {@code next} counts from this spec when a table is loaded, and from the first spec when one is read.
 *
 * @param startSector first sector (512 bytes) on the mapped device
 * @param lengthSectors length in sectors
 * @param type the target type's name, up to 15 bytes
 * @param params the rest of the line
 */
public record TargetSpec(long startSector, long lengthSectors, String type, String params) {
    /** Bytes before the text. */
    public static final int FIXED_BYTES = 40;
    /** Bytes in a type's name, with the closing NUL. */
    public static final int TYPE_BYTES = 16;

    private static final int STATUS_AT = 16;
    private static final int NEXT_AT = 20;
    private static final int TYPE_AT = 24;

    /** The type in a sentence: {@code an error}, to go before {@code target}. */
    public String typeWithArticle() {
        return withArticle(type);
    }

    /** The same of any type. */
    public static String withArticle(String type) {
        return (!type.isEmpty() && "aeiou".indexOf(type.charAt(0)) >= 0 ? "an " : "a ") + type;
    }

    /** Whether a table is one line, of that type. */
    public static boolean isOne(String type, List<TargetSpec> table) {
        return table.size() == 1 && table.get(0).type.equals(type);
    }

    /**
     * The line of such a table.
     *
     * @param device whose table it is, {@code what} what a device with such a table is: for the message
     */
    public static TargetSpec requireOne(String type, List<TargetSpec> table, String device, String what)
            throws IOException {
        if (isOne(type, table)) {
            return table.get(0);
        }
        throw new IOException(device + " is not " + what + ": its table is "
                + (table.isEmpty()
                        ? "empty"
                        : table.size() == 1
                                ? table.get(0).typeWithArticle() + " target"
                                : "of " + table.size() + " lines"));
    }

    /** Room that {@code specs} take as a payload, padding included. */
    public static int encodedBytes(List<TargetSpec> specs) {
        int bytes = 0;
        for (TargetSpec spec : specs) {
            bytes += Payload.align8(FIXED_BYTES + Payload.bytes(spec.params).length + 1);
        }
        return bytes;
    }

    /** Puts a table to load into a request: the specs, and {@code target_count}. */
    public static void encodeRequest(DmIoctl io, List<TargetSpec> specs) {
        int at = io.dataStart();
        for (TargetSpec spec : specs) {
            int end = spec.encode(io.buffer(), at);
            int next = Payload.align8(end);
            io.buffer().putInt(at + NEXT_AT, next - at);
            at = next;
        }
        io.setTargetCount(specs.size());
    }

    /**
     * Puts table or status lines into an answer: the specs and {@code data_size}; on overflow the flag BUFFER_FULL.
     *
     * <p>As the kernel does, the last line's padding is in {@code next} but not in {@code data_size}.
     */
    public static void encodeAnswer(DmIoctl io, List<TargetSpec> specs) {
        int start = io.answerStart();
        int limit = io.buffer().limit();
        int at = start;
        int end = start;
        for (TargetSpec spec : specs) {
            byte[] text = Payload.bytes(spec.params);
            if (at > limit - FIXED_BYTES - text.length - 1) {
                io.setFlags(io.flags() | DmFlags.BUFFER_FULL);
                return;
            }
            end = spec.encode(io.buffer(), at);
            at = Payload.align8(end);
            io.buffer().putInt(end - text.length - 1 - FIXED_BYTES + NEXT_AT, at - start);
        }
        io.setDataSize(end);
    }

    private int encode(ByteBuffer buffer, int at) {
        byte[] typeBytes = Payload.bytes(type);
        buffer.putLong(at, startSector).putLong(at + 8, lengthSectors).putInt(at + STATUS_AT, 0);
        Payload.zero(buffer, at + TYPE_AT, at + FIXED_BYTES);
        buffer.put(at + TYPE_AT, typeBytes, 0, Math.min(typeBytes.length, TYPE_BYTES - 1));
        return Payload.putText(buffer, at + FIXED_BYTES, Payload.bytes(params));
    }

    /** Reads the table that a request loads. */
    public static List<TargetSpec> decodeRequest(DmIoctl io) throws MalformedPayloadException {
        return decode(io, true);
    }

    /** Reads the lines of an answer. */
    public static List<TargetSpec> decodeAnswer(DmIoctl io) throws MalformedPayloadException {
        return decode(io, false);
    }

    private static List<TargetSpec> decode(DmIoctl io, boolean fromThisSpec) throws MalformedPayloadException {
        int count = io.targetCount();
        int end = Payload.end(io);
        ByteBuffer buffer = io.buffer();
        // A count of four thousand million must not reserve anything; the specs themselves bound the list.
        List<TargetSpec> specs = new ArrayList<>();
        if (count == 0) {
            return specs;
        }
        int start = Payload.start(io, FIXED_BYTES);
        long at = start;
        for (int i = 0; i != count; i++) {
            if (at > end - FIXED_BYTES) {
                throw new MalformedPayloadException(
                        "target " + i + " starts at offset " + at + ", beyond the buffer's " + end + " bytes");
            }
            int here = (int) at;
            String params = Payload.text(buffer, here + FIXED_BYTES, end);
            String type = Payload.cutText(buffer, here + TYPE_AT, here + TYPE_AT + TYPE_BYTES - 1);
            specs.add(new TargetSpec(buffer.getLong(here), buffer.getLong(here + 8), type, params));
            long next = Integer.toUnsignedLong(buffer.getInt(here + NEXT_AT));
            long following = (fromThisSpec ? at : start) + next;
            if (i + 1 != count && following < at + FIXED_BYTES) {
                throw new MalformedPayloadException("target " + i + ": next is " + next
                        + ", which leads back instead of behind the " + FIXED_BYTES + " bytes of the spec");
            }
            at = following;
        }
        return specs;
    }

    /** The line as a table prints it. */
    public String line() {
        return Long.toUnsignedString(startSector) + " " + Long.toUnsignedString(lengthSectors) + " " + type + " "
                + params;
    }
}
