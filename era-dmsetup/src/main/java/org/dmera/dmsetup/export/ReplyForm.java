// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.nio.ByteBuffer;

/** The three forms of replies that a client may have agreed to, as bytes put into a buffer. */
enum ReplyForm {
    SIMPLE,
    STRUCTURED,
    EXTENDED;

    /** Room for any reply without a payload of its own: a header, and an error with its text. */
    static final int MAX_BYTES = 512;

    private static final int MAX_TEXT_BYTES = 200;

    static ReplyForm of(boolean structured, boolean extended) {
        return extended ? EXTENDED : structured ? STRUCTURED : SIMPLE;
    }

    /** The bytes before the data of a read. */
    int dataHeaderBytes() {
        return switch (this) {
            case SIMPLE -> 16;
            case STRUCTURED -> 28;
            case EXTENDED -> 40;
        };
    }

    /** Puts what comes before {@code length} bytes of data read at {@code at}, for the request of {@code offset}. */
    void putDataHeader(ByteBuffer out, boolean done, long cookie, long offset, long at, int length) {
        if (this == SIMPLE) {
            putSimple(out, cookie, 0);
        } else {
            putChunkHeader(out, done, Nbd.CHUNK_OFFSET_DATA, cookie, offset, 8 + length);
            out.putLong(at);
        }
    }

    /** Puts the header of a chunk of the answer to the request of {@code offset}; only for structured and extended replies. */
    void putChunkHeader(ByteBuffer out, boolean done, int type, long cookie, long offset, int length) {
        out.putInt(this == EXTENDED ? Nbd.EXTENDED_REPLY_MAGIC : Nbd.STRUCTURED_REPLY_MAGIC)
                .putShort((short) (done ? Nbd.CHUNK_DONE : 0))
                .putShort((short) type)
                .putLong(cookie);
        if (this == EXTENDED) {
            out.putLong(offset).putLong(length);
        } else {
            out.putInt(length);
        }
    }

    /** Puts the answer to a request that returns no data and went well. */
    void putDone(ByteBuffer out, long cookie, long offset) {
        if (this == EXTENDED) {
            putChunkHeader(out, true, Nbd.CHUNK_NONE, cookie, offset, 0);
        } else {
            putSimple(out, cookie, 0);
        }
    }

    /** Puts the answer to a request that failed; {@code text} is for people. */
    void putError(ByteBuffer out, long cookie, long offset, int error, String text) {
        if (this == SIMPLE) {
            putSimple(out, cookie, error);
            return;
        }
        byte[] bytes = Nbd.text(text, MAX_TEXT_BYTES);
        putChunkHeader(out, true, Nbd.CHUNK_ERROR, cookie, offset, 6 + bytes.length);
        out.putInt(error).putShort((short) bytes.length).put(bytes);
    }

    private static void putSimple(ByteBuffer out, long cookie, int error) {
        out.putInt(Nbd.SIMPLE_REPLY_MAGIC).putInt(error).putLong(cookie);
    }
}
