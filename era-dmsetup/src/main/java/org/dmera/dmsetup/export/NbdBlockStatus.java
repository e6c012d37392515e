// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceIo;

/** Answers one client's BLOCK_STATUS requests: a chunk for each context that was agreed on. */
final class NbdBlockStatus {
    private final DeviceIo io;
    private final ReplyForm form;
    private final AnswerBuffer answers;
    private final List<MetaContexts.Context> contexts;
    private final BufferPool pool;

    NbdBlockStatus(
            DeviceIo io, ReplyForm form, AnswerBuffer answers, List<MetaContexts.Context> contexts, BufferPool pool) {
        this.io = io;
        this.form = form;
        this.answers = answers;
        this.contexts = contexts;
        this.pool = pool;
    }

    /** Answers one request, with runs or an error. */
    void answer(int flags, long cookie, long offset, long length) throws IOException {
        if (contexts.isEmpty() || length <= 0 || offset < 0 || offset > io.sizeBytes() - length) {
            String refusal = contexts.isEmpty() ? "no metadata context was agreed on" : "range outside the device";
            answers.fail(cookie, offset, new ErrnoException(refusal, Errno.EINVAL.number()));
            return;
        }
        boolean wide = form == ReplyForm.EXTENDED;
        boolean onlyOne = (flags & Nbd.CMD_FLAG_REQ_ONE) != 0;
        ByteBuffer runs = pool.take(BlockStatus.MAX_BYTES);
        try {
            for (int id = 0; id < contexts.size(); id++) {
                runs.clear();
                int count;
                answers.lend();
                try {
                    count = BlockStatus.put(io, contexts.get(id), offset, length, wide, onlyOne, runs);
                } catch (IOException e) {
                    answers.reclaim();
                    answers.fail(cookie, offset, e);
                    return;
                } finally {
                    answers.reclaim();
                }
                put(cookie, offset, id, count, runs.flip());
            }
        } finally {
            pool.give(runs);
        }
    }

    private void put(long cookie, long offset, int id, int count, ByteBuffer runs) throws IOException {
        ByteBuffer out = answers.room(runs.remaining());
        boolean last = id == contexts.size() - 1;
        if (form == ReplyForm.EXTENDED) {
            form.putChunkHeader(out, last, Nbd.CHUNK_BLOCK_STATUS_EXT, cookie, offset, 8 + runs.remaining());
            out.putInt(id).putInt(count);
        } else {
            form.putChunkHeader(out, last, Nbd.CHUNK_BLOCK_STATUS, cookie, offset, 4 + runs.remaining());
            out.putInt(id);
        }
        out.put(runs);
    }
}
