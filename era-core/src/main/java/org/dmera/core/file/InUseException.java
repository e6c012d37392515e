// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.file;

import java.io.IOException;

/** A file or device that somebody else has. The message says who, and not what could be done instead: whoever asks knows. */
public final class InUseException extends IOException {
    private static final long serialVersionUID = 1L;

    private final boolean toBeRead;

    /** @param toBeRead whether it was only to be read */
    public InUseException(String message, boolean toBeRead, Throwable cause) {
        super(message, cause);
        this.toBeRead = toBeRead;
    }

    /** Whether it was only to be read: then a snapshot of it might do. */
    public boolean wasToBeRead() {
        return toBeRead;
    }
}
