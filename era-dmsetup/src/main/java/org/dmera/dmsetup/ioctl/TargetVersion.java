// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * An entry of LIST_VERSIONS and GET_TARGET_VERSION ({@code struct dm_target_versions}): u32 next (0 = last), u32 × 3
 * version, the name and its NUL, padding to 8.
 */
public record TargetVersion(String name, int major, int minor, int patch) {
    private static final int NAME_AT = 16;

    /** Puts the list into an answer, with {@code data_size}; on overflow sets BUFFER_FULL. */
    public static void encode(DmIoctl io, List<TargetVersion> versions) {
        int at = io.answerStart();
        ByteBuffer buffer = io.buffer();
        // The kernel's own estimate: it counts 7 bytes of padding for every entry, and reports that as the size used.
        int estimate = 0;
        for (TargetVersion version : versions) {
            estimate += NAME_AT + Payload.bytes(version.name).length + 1 + 7;
        }
        if (at > io.buffer().limit() - estimate) {
            io.setFlags(io.flags() | DmFlags.BUFFER_FULL);
            return;
        }
        int start = at;
        for (int i = 0; i < versions.size(); i++) {
            TargetVersion version = versions.get(i);
            int next = Payload.align8(at + NAME_AT + Payload.bytes(version.name).length + 1);
            Payload.zero(buffer, at, Math.min(next, start + estimate));
            buffer.putInt(at, i + 1 < versions.size() ? next - at : 0);
            buffer.putInt(at + 4, version.major).putInt(at + 8, version.minor).putInt(at + 12, version.patch);
            Payload.putText(buffer, at + NAME_AT, Payload.bytes(version.name));
            at = next;
        }
        io.setDataSize(start + estimate);
    }

    /** Reads an answer. */
    public static List<TargetVersion> decode(DmIoctl io) throws MalformedPayloadException {
        int end = Payload.end(io);
        ByteBuffer buffer = io.buffer();
        List<TargetVersion> versions = new ArrayList<>();
        if (end - io.dataStart() <= NAME_AT) {
            return versions;
        }
        long at = Payload.start(io, NAME_AT);
        while (true) {
            if (at > end - NAME_AT) {
                throw new MalformedPayloadException("version entry at offset " + at + ": beyond the " + end + " bytes");
            }
            int here = (int) at;
            versions.add(new TargetVersion(
                    Payload.text(buffer, here + NAME_AT, end),
                    buffer.getInt(here + 4),
                    buffer.getInt(here + 8),
                    buffer.getInt(here + 12)));
            long next = Integer.toUnsignedLong(buffer.getInt(here));
            if (next == 0) {
                return versions;
            }
            if (next < NAME_AT) {
                throw new MalformedPayloadException("version entry at offset " + at + ": next is " + next);
            }
            at += next;
        }
    }
}
