// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

/** Payloads that are a text: a new name or uuid (DEV_RENAME), a message (TARGET_MSG) and its answer, a geometry. */
public final class TextPayload {
    private static final int MESSAGE_AT = 8;

    private TextPayload() {}

    /** Bytes that a rename's or a geometry's payload takes. */
    public static int encodedBytes(String text) {
        return Payload.bytes(text).length + 1;
    }

    /** Bytes that a message's payload takes. */
    public static int messageBytes(String text) {
        return MESSAGE_AT + encodedBytes(text);
    }

    /** Puts a new name, a new uuid, or a geometry into a request. */
    public static void encode(DmIoctl io, String text) {
        Payload.putText(io.buffer(), io.dataStart(), Payload.bytes(text));
    }

    /** Reads a new name, a new uuid, a geometry, or the answer to a message. */
    public static String decode(DmIoctl io) throws MalformedPayloadException {
        return Payload.text(io.buffer(), Payload.start(io, 1), Payload.end(io));
    }

    /** Puts a message for the target at {@code sector} into a request: u64 sector, then the text. */
    public static void encodeMessage(DmIoctl io, long sector, String text) {
        io.buffer().putLong(io.dataStart(), sector);
        Payload.putText(io.buffer(), io.dataStart() + MESSAGE_AT, Payload.bytes(text));
    }

    /** The sector that a message is for. */
    public static long messageSector(DmIoctl io) throws MalformedPayloadException {
        return io.buffer().getLong(Payload.start(io, MESSAGE_AT + 1));
    }

    public static String messageText(DmIoctl io) throws MalformedPayloadException {
        return Payload.text(io.buffer(), Payload.start(io, MESSAGE_AT + 1) + MESSAGE_AT, Payload.end(io));
    }

    /** Puts a target's answer to a message into the answer: the text, DATA_OUT, {@code data_size}; or BUFFER_FULL. */
    public static void encodeAnswer(DmIoctl io, String text) {
        byte[] bytes = Payload.bytes(text);
        int at = io.answerStart();
        io.setFlags(io.flags() | DmFlags.DATA_OUT);
        if (at > io.buffer().limit() - bytes.length - 1) {
            io.setFlags(io.flags() | DmFlags.BUFFER_FULL);
            return;
        }
        io.setDataSize(Payload.putText(io.buffer(), at, bytes));
    }
}
