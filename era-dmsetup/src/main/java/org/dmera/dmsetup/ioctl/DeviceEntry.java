// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * An entry of LIST_DEVICES ({@code struct dm_name_list}): u64 dev, u32 next (from this entry's start, 0 = last), the
 * name and its NUL; aligned to 8: u32 event_nr, u32 flags (1 = a uuid follows, 2 = it has none, 0 = not asked), the uuid.
 *
 * @param dev encoded device number ({@link DevNumber})
 * @param name the device's name
 * @param eventNr its event number, unsigned
 * @param uuid the uuid; empty for none; null when the caller did not ask or the kernel does not tell
 */
public record DeviceEntry(long dev, String name, int eventNr, String uuid) {
    private static final int NEXT_AT = 8;
    private static final int NAME_AT = 12;
    private static final int HAS_UUID = 1;
    private static final int HAS_NO_UUID = 2;

    /** Puts the list into an answer, with {@code data_size}; on overflow sets BUFFER_FULL. */
    public static void encode(DmIoctl io, List<DeviceEntry> entries) {
        int at = io.answerStart();
        int limit = io.buffer().limit();
        ByteBuffer buffer = io.buffer();
        if (entries.isEmpty()) {
            // The kernel marks an empty list by dev 0, and says that it used no byte.
            if (at > limit - 8) {
                io.setFlags(io.flags() | DmFlags.BUFFER_FULL);
            } else {
                buffer.putLong(at, 0);
                io.setDataSize(at);
            }
            return;
        }
        for (int i = 0; i < entries.size(); i++) {
            DeviceEntry entry = entries.get(i);
            int bytes = entry.encodedBytes();
            if (at > limit - bytes) {
                io.setFlags(io.flags() | DmFlags.BUFFER_FULL);
                return;
            }
            entry.encode(buffer, at, i + 1 < entries.size() ? bytes : 0);
            at += bytes;
        }
        io.setDataSize(at);
    }

    private int encodedBytes() {
        int bytes = Payload.align8(NAME_AT + Payload.bytes(name).length + 1) + 8;
        return uuid == null || uuid.isEmpty() ? bytes : bytes + Payload.align8(Payload.bytes(uuid).length + 1);
    }

    private void encode(ByteBuffer buffer, int at, int next) {
        Payload.zero(buffer, at, at + encodedBytes());
        buffer.putLong(at, dev).putInt(at + NEXT_AT, next);
        int tail = Payload.align8(Payload.putText(buffer, at + NAME_AT, Payload.bytes(name)));
        buffer.putInt(tail, eventNr);
        if (uuid != null) {
            buffer.putInt(tail + 4, uuid.isEmpty() ? HAS_NO_UUID : HAS_UUID);
            if (!uuid.isEmpty()) {
                Payload.putText(buffer, tail + 8, Payload.bytes(uuid));
            }
        }
    }

    /** Reads an answer; entries carry an event number and flags, {@code withTail}, since 4.38 of the interface. */
    public static List<DeviceEntry> decode(DmIoctl io, boolean withTail) throws MalformedPayloadException {
        int end = Payload.end(io);
        ByteBuffer buffer = io.buffer();
        List<DeviceEntry> entries = new ArrayList<>();
        if (end - io.dataStart() < NAME_AT) {
            return entries;
        }
        long at = Payload.start(io, NAME_AT);
        while (true) {
            if (at > end - NAME_AT) {
                throw new MalformedPayloadException("device entry at offset " + at + ": beyond the " + end + " bytes");
            }
            int here = (int) at;
            if (buffer.getLong(here) == 0) {
                return entries;
            }
            String name = Payload.text(buffer, here + NAME_AT, end);
            int tail = Payload.align8(here + NAME_AT + Payload.bytes(name).length + 1);
            entries.add(
                    withTail && tail <= end - 8
                            ? new DeviceEntry(buffer.getLong(here), name, buffer.getInt(tail), uuid(buffer, tail, end))
                            : new DeviceEntry(buffer.getLong(here), name, 0, null));
            long next = Integer.toUnsignedLong(buffer.getInt(here + NEXT_AT));
            if (next == 0) {
                return entries;
            }
            if (next < NAME_AT) {
                throw new MalformedPayloadException("device entry at offset " + at + ": next is " + next);
            }
            at += next;
        }
    }

    private static String uuid(ByteBuffer buffer, int tail, int end) throws MalformedPayloadException {
        return switch (buffer.getInt(tail + 4)) {
            case HAS_UUID -> Payload.text(buffer, tail + 8, end);
            case HAS_NO_UUID -> "";
            default -> null;
        };
    }
}
