// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import org.dmera.core.linux.Errno;

/** Answers one client's BLOCK_STATUS requests: a chunk for each context that was agreed on, or that the request names. */
final class NbdBlockStatus extends NbdRequests {
    /** What a payload begins with: how many bytes the status is asked for of. */
    private static final int LENGTH_BYTES = 8;
    /** Longer is no payload that names each context once at most. */
    static final int MAX_PAYLOAD_BYTES = LENGTH_BYTES + NbdHandshake.MAX_CONTEXTS * Integer.BYTES;

    private final List<MetaContexts.Context> contexts;
    private final int[] all;

    NbdBlockStatus(Means means, List<MetaContexts.Context> contexts) {
        super(means);
        this.contexts = contexts;
        this.all = IntStream.range(0, contexts.size()).toArray();
    }

    /** Answers one request for all contexts, with runs or an error. */
    void answer(int flags, long cookie, long offset, long length) throws IOException {
        answer(flags, cookie, offset, length, all);
    }

    /** The same for one whose {@code payload} is the length, and the numbers of the contexts that it is about. */
    void answerChosen(int flags, long cookie, long offset, ByteBuffer payload) throws IOException {
        int bytes = payload.remaining();
        if (bytes <= LENGTH_BYTES || bytes % Integer.BYTES != 0) {
            refuse(
                    cookie,
                    offset,
                    "a BLOCK_STATUS with a payload of " + bytes + " bytes, " + LENGTH_BYTES + " and " + Integer.BYTES
                            + " for each context, one at least, were expected");
            return;
        }
        long length = payload.getLong();
        int[] ids = new int[payload.remaining() / Integer.BYTES];
        BitSet chosen = new BitSet();
        for (int i = 0; i < ids.length; i++) {
            ids[i] = payload.getInt();
            boolean agreed = ids[i] >= 0 && ids[i] < contexts.size();
            if (!agreed || chosen.get(ids[i])) {
                refuse(
                        cookie,
                        offset,
                        "metadata context " + Integer.toUnsignedString(ids[i])
                                + (agreed ? " is named twice" : " was not agreed on"));
                return;
            }
            chosen.set(ids[i]);
        }
        answer(flags, cookie, offset, length, ids);
    }

    private void refuse(long cookie, long offset, String refusal) throws IOException {
        refuse(cookie, offset, Errno.EINVAL, refusal);
    }

    private void answer(int flags, long cookie, long offset, long length, int[] ids) throws IOException {
        if (ids.length == 0 || length == 0 || isOutside(offset, length)) {
            refuse(cookie, offset, ids.length == 0 ? "no metadata context was agreed on" : "range outside the device");
            return;
        }
        boolean onlyOne = (flags & Nbd.CMD_FLAG_REQ_ONE) != 0;
        try (StatusRuns runs = new StatusRuns(memory, form == ReplyForm.EXTENDED)) {
            for (int i = 0; i < ids.length; i++) {
                answers.lend();
                try {
                    look(contexts.get(ids[i]), offset, length, onlyOne, runs);
                } catch (IOException e) {
                    answers.reclaim();
                    answers.fail(cookie, offset, e);
                    return;
                } finally {
                    answers.reclaim();
                }
                put(cookie, offset, ids[i], i == ids.length - 1, runs);
            }
        }
    }

    /** The request is the client's while this looks, and no longer when it is answered, which may take as long as it likes. */
    private void look(MetaContexts.Context context, long offset, long length, boolean onlyOne, StatusRuns runs)
            throws IOException {
        client.begin();
        try {
            BlockStatus.put(io, context, offset, length, onlyOne, runs);
        } finally {
            client.end();
        }
    }

    /** A short answer goes with others; a long one stands in memory of its own already, and is sent from there. */
    private void put(long cookie, long offset, int id, boolean last, StatusRuns runs) throws IOException {
        if (runs.isLong()) {
            ByteBuffer answer = runs.withHeader(headerBytes());
            int end = answer.limit();
            putHeader(answer, cookie, offset, id, last, runs);
            answers.sendAlone(answer.limit(end).position(end - runs.bytes() - headerBytes()));
        } else {
            ByteBuffer out = answers.room(runs.bytes());
            putHeader(out, cookie, offset, id, last, runs);
            runs.copyTo(out);
        }
    }

    private int headerBytes() {
        return form == ReplyForm.EXTENDED ? 40 : 24;
    }

    private void putHeader(ByteBuffer out, long cookie, long offset, int id, boolean last, StatusRuns runs) {
        if (form == ReplyForm.EXTENDED) {
            form.putChunkHeader(out, last, Nbd.CHUNK_BLOCK_STATUS_EXT, cookie, offset, 8 + runs.bytes());
            out.putInt(id).putInt(runs.count());
        } else {
            form.putChunkHeader(out, last, Nbd.CHUNK_BLOCK_STATUS, cookie, offset, 4 + runs.bytes());
            out.putInt(id);
        }
    }
}
