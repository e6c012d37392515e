// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.export.Nbd;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.tools.backup.copy.OriginReader;

/**
 * What of an export is known to be zero without reading it, as the server's {@code base:allocation} tells (NBD's doc/proto.md,
 * "Metadata querying"). A server that doesn't report any has no holes. For one thread.
 */
final class NbdHoles implements Closeable {
    /** Smaller ones are read: cutting a chunk costs more. */
    private static final long WORTH_BYTES = 64 << 10;
    /** Asked about at once; a server may answer for less. */
    private static final long QUESTION_BYTES = 1L << 30;

    private static final int CHUNK_ERROR = 1 << 15;
    /** More than any answer has: the protocol allows 2^31 descriptors, servers send some thousands. */
    private static final int MAX_ANSWER_BYTES = 64 << 20;

    private static final byte[] ALLOCATION = "base:allocation".getBytes(java.nio.charset.StandardCharsets.US_ASCII);

    private final String export;
    private final long sizeBytes;
    private final NbdWire wire;
    private boolean tells;

    /** The first hole that is worth it from {@code searchedFrom} on: {@code [holeBegin, holeEnd)}. */
    private long searchedFrom;

    private long holeBegin = -1;
    private long holeEnd = -1;
    /** The last answer: a run of descriptors from {@code answerFrom} on, and where each ends. */
    private long answerFrom;

    private ByteBuffer answer = ByteBuffer.allocate(0);

    NbdHoles(Path socket, String export, long sizeBytes) throws IOException {
        this.export = export;
        this.sizeBytes = sizeBytes;
        this.wire = new NbdWire(socket);
        tells = Failures.takingBack(wire::drop, this::agree);
    }

    private boolean agree() throws IOException {
        byte[] name = NativeText.bytes(export);
        wire.option(Nbd.OPT_STRUCTURED_REPLY, ByteBuffer.allocate(0));
        boolean contexts = answers(Nbd.REP_ACK);
        wire.option(
                Nbd.OPT_SET_META_CONTEXT,
                ByteBuffer.allocate(12 + name.length + ALLOCATION.length)
                        .putInt(name.length)
                        .put(name)
                        .putInt(1)
                        .putInt(ALLOCATION.length)
                        .put(ALLOCATION)
                        .flip());
        contexts &= answers(Nbd.REP_META_CONTEXT);
        wire.option(
                Nbd.OPT_GO,
                ByteBuffer.allocate(6 + name.length)
                        .putInt(name.length)
                        .put(name)
                        .putShort((short) 0)
                        .flip());
        if (!answers(Nbd.REP_ACK)) {
            throw new IOException("no export " + export);
        }
        return contexts;
    }

    /** Takes the replies to an option, up to the last; returns whether one was {@code wanted}. */
    private boolean answers(int wanted) throws IOException {
        boolean found = false;
        while (true) {
            ByteBuffer head = wire.receive(ByteBuffer.allocate(20));
            if (head.getLong() != Nbd.OPTION_REPLY_MAGIC) {
                throw new IOException("an answer to an option that is none");
            }
            int type = head.getInt(12);
            wire.receive(ByteBuffer.allocate(bounded(head.getInt(16))));
            found |= type == wanted;
            if (type == Nbd.REP_ACK || type < 0) {
                return found;
            }
        }
    }

    private static int bounded(int length) throws IOException {
        if (length < 0 || length > MAX_ANSWER_BYTES) {
            throw new IOException("an answer of " + Integer.toUnsignedString(length) + " bytes");
        }
        return length;
    }

    /** As {@link org.dmera.tools.backup.copy.OriginSource#holeUntil}. */
    long holeUntil(long offset) throws IOException {
        search(offset);
        return offset >= holeBegin && offset < holeEnd ? holeEnd : offset;
    }

    /** As {@link org.dmera.tools.backup.copy.OriginSource#dataUntil}. */
    long dataUntil(long offset) throws IOException {
        search(offset);
        return holeBegin > offset ? holeBegin : sizeBytes;
    }

    /** Afterwards the hole is the first that is worth it and ends behind {@code offset}. */
    private void search(long offset) throws IOException {
        if (offset >= searchedFrom && offset < holeEnd) {
            return;
        }
        searchedFrom = offset;
        long align = OriginReader.ALIGNMENT_BYTES;
        long at = offset;
        while (tells && at < sizeBytes) {
            long begin = zeroAt(at, true);
            long end = zeroAt(begin, false);
            holeBegin = Math.min(sizeBytes, begin + align - 1 & -align);
            holeEnd = end == sizeBytes ? end : end & -align;
            if (holeEnd - holeBegin >= WORTH_BYTES || holeEnd == sizeBytes && holeBegin < holeEnd) {
                return;
            }
            at = end;
        }
        holeBegin = sizeBytes;
        holeEnd = sizeBytes;
    }

    /** The first byte from {@code offset} on that is known to be zero, or is not known to be, or the end. */
    private long zeroAt(long offset, boolean zero) throws IOException {
        long at = offset;
        while (at < sizeBytes) {
            if (!tells) {
                // A hole ends where nobody knows that it goes on.
                return zero ? sizeBytes : at;
            }
            ask(at);
            long end = answerFrom;
            for (int i = 0; i < answer.limit(); i += 8) {
                end += Integer.toUnsignedLong(answer.getInt(i));
                if (end > at) {
                    if ((answer.getInt(i + 4) & Nbd.STATE_ZERO) != 0 == zero) {
                        return at;
                    }
                    at = end;
                }
            }
        }
        return sizeBytes;
    }

    /** Afterwards the answer is about {@code offset}; a server that fails to report it is not asked again. */
    private void ask(long offset) throws IOException {
        long end = answerFrom;
        for (int i = 0; i < answer.limit(); i += 8) {
            end += Integer.toUnsignedLong(answer.getInt(i));
        }
        if (offset >= answerFrom && offset < end) {
            return;
        }
        answerFrom = offset;
        answer.limit(0);
        int length = (int) Math.min(QUESTION_BYTES, sizeBytes - offset);
        wire.request(Nbd.CMD_BLOCK_STATUS, offset, length);
        int flags;
        do {
            ByteBuffer head = wire.receive(ByteBuffer.allocate(20));
            if (head.getInt() != Nbd.STRUCTURED_REPLY_MAGIC) {
                throw new IOException("a reply that is not structured");
            }
            flags = head.getShort();
            int type = Short.toUnsignedInt(head.getShort());
            ByteBuffer body = wire.receive(ByteBuffer.allocate(bounded(head.getInt(16))));
            if (type == Nbd.CHUNK_BLOCK_STATUS && body.limit() >= 12 && (body.limit() - 4) % 8 == 0) {
                answer = body.position(4).slice();
            } else if ((type & CHUNK_ERROR) != 0) {
                answer.limit(0);
            }
        } while ((flags & Nbd.CHUNK_DONE) == 0);
        tells = answer.limit() > 0 && answer.getInt(0) != 0;
    }

    @Override
    public void close() throws IOException {
        wire.close();
    }
}
