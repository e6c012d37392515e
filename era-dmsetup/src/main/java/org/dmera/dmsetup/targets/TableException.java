// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

/** A table line that can't be loaded: the reason in the kernel's words, and the errno of the failing ioctl. */
public final class TableException extends Exception {
    private static final long serialVersionUID = 1L;

    private final int errno;

    public TableException(String reason, int errno) {
        super(reason);
        this.errno = errno;
    }

    public TableException(String reason, int errno, Throwable cause) {
        super(reason, cause);
        this.errno = errno;
    }

    /** The positive errno. */
    public int errno() {
        return errno;
    }
}
