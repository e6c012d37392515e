// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

import java.util.ArrayList;
import java.util.List;

/** The answer of TABLE_DEPS: u32 count, u32 padding, u64 dev[count]. */
public final class Dependencies {
    private static final int DEVS_AT = 8;

    private Dependencies() {}

    /** Puts encoded device numbers into an answer, with {@code data_size}; on overflow sets BUFFER_FULL. */
    public static void encode(DmIoctl io, List<Long> devs) {
        int at = io.answerStart();
        int bytes = DEVS_AT + 8 * devs.size();
        if (at > io.buffer().limit() - bytes) {
            io.setFlags(io.flags() | DmFlags.BUFFER_FULL);
            return;
        }
        io.buffer().putInt(at, devs.size());
        for (int i = 0; i < devs.size(); i++) {
            io.buffer().putLong(at + DEVS_AT + 8 * i, devs.get(i));
        }
        io.setDataSize(at + bytes);
    }

    /** Reads the device numbers of an answer. An answer without a payload (no live table) has none. */
    public static List<Long> decode(DmIoctl io) throws MalformedPayloadException {
        List<Long> devs = new ArrayList<>();
        int end = Payload.end(io);
        if (end - io.dataStart() < DEVS_AT) {
            return devs;
        }
        int at = Payload.start(io, DEVS_AT);
        long count = Integer.toUnsignedLong(io.buffer().getInt(at));
        if (count > (end - at - DEVS_AT) / 8) {
            throw new MalformedPayloadException(count + " dependencies don't fit the " + end + " bytes");
        }
        for (int i = 0; i < count; i++) {
            devs.add(io.buffer().getLong(at + DEVS_AT + 8 * i));
        }
        return devs;
    }
}
