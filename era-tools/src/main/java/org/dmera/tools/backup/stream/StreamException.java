// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.io.IOException;

/** A stream that must not be applied: damaged, truncated, reordered or not a stream. The message says where. */
public final class StreamException extends IOException {
    private static final long serialVersionUID = 1L;

    /**
     * Joins the two parts of the message.
     *
     * @param where names the stream, and the chunk and byte if known
     * @param what was found, and what was expected
     */
    public StreamException(String where, String what) {
        super(where + ": " + what);
    }

    StreamException(String where, String what, Throwable cause) {
        super(where + ": " + what, cause);
    }
}
