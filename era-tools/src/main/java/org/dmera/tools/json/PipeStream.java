// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.json;

import java.io.IOException;
import java.io.OutputStream;
import org.dmera.tools.io.OutputPipe;

/** An {@link OutputPipe} as the stream that Jackson writes to. */
public final class PipeStream extends OutputStream {
    private static final int PIECE_BYTES = 8192;

    private final OutputPipe pipe;

    /** What is written goes to {@code pipe}, which the caller finishes. */
    public PipeStream(OutputPipe pipe) {
        this.pipe = pipe;
    }

    @Override
    public void write(int b) throws IOException {
        pipe.room(1).put((byte) b);
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
        for (int done = 0; done < length; ) {
            int n = Math.min(PIECE_BYTES, length - done);
            pipe.room(n).put(bytes, from + done, n);
            done += n;
        }
    }
}
