// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

/** A payload whose lengths, offsets or strings don't fit its buffer: what the kernel answers with EINVAL. */
public final class MalformedPayloadException extends Exception {
    private static final long serialVersionUID = 1L;

    public MalformedPayloadException(String what) {
        super(what);
    }
}
