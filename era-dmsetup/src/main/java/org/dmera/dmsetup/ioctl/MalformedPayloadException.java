// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

import java.io.IOException;

/** A payload whose lengths, offsets or strings don't fit its buffer: what the kernel answers with EINVAL. */
public final class MalformedPayloadException extends IOException {
    private static final long serialVersionUID = 1L;

    private final String what;

    public MalformedPayloadException(String what) {
        super("device-mapper: malformed answer: " + what);
        this.what = what;
    }

    /** What is wrong with it, whether it is an answer or a request. */
    public String what() {
        return what;
    }
}
