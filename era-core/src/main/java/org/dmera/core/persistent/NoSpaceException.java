// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;

/** The metadata device has no block left that may be allocated (the kernel answers ENOSPC). */
public final class NoSpaceException extends IOException {
    private static final long serialVersionUID = 1L;

    /** {@code totalBlocks} is what the space map covers. */
    public NoSpaceException(long totalBlocks) {
        super("no space left on the metadata device: none of its " + totalBlocks
                + " blocks is free now and was free at the last commit; era_dump and era_restore onto a larger one keep all"
                + " marks");
    }
}
