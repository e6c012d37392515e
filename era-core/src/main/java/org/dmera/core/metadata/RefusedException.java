// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

/** A request that can't be met as things are, and that changed nothing (the kernel answers EINVAL). */
public final class RefusedException extends Exception {
    private static final long serialVersionUID = 1L;

    /** {@code reason} in the kernel's words. */
    public RefusedException(String reason) {
        super(reason);
    }
}
