// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.RawIo;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.device.IoRequest;
import org.dmera.dmsetup.targets.Client;

/** A change of a file that is completed in the background, with data, and then its answer, in memory that it gives back. */
final class FuseBackgroundRequest extends IoRequest {
    private final long unique;
    private final ByteBuffer taken;
    private final FuseRequests requests;
    private final NbdMemory memory;

    /** What {@code request} is, with a copy of its data; takes over {@code taken}, of the memory, and {@code answers}. */
    FuseBackgroundRequest(
            IoRequest request,
            long unique,
            ByteBuffer taken,
            FuseRequests requests,
            NbdMemory memory,
            Client client,
            AnswerScope answers) {
        super(client, answers);
        this.unique = unique;
        this.taken = taken;
        this.requests = requests;
        this.memory = memory;
        setAs(request, request.data() == null ? null : taken.put(request.data()).flip());
        requests.enter();
    }

    @Override
    protected void answer() {
        int bodyBytes = failure() == null && data() != null ? 8 : 0;
        taken.clear().order(ByteOrder.nativeOrder());
        int bytes = Fuse.putOutHeader(taken, Fuse.OUT_HEADER_BYTES, bodyBytes, errno(), unique);
        if (bodyBytes > 0) {
            taken.putInt(Fuse.OUT_HEADER_BYTES, (int) lengthBytes()).putInt(Fuse.OUT_HEADER_BYTES + 4, 0);
        }
        try {
            requests.answer(RawIo.address(taken), bytes);
        } catch (ErrnoException e) {
            requests.report(e);
        }
        memory.give(taken.order(ByteOrder.BIG_ENDIAN));
        answers().close();
        requests.leave();
    }
}
