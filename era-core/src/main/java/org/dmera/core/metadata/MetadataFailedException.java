// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import java.io.IOException;

/**
 * An earlier change failed half-way, so the state in memory is unknown and no further change is accepted. The device
 * holds the last committed state: open it again.
 */
public final class MetadataFailedException extends IOException {
    private static final long serialVersionUID = 1L;

    MetadataFailedException(Throwable cause) {
        super("metadata is in fail mode since: " + cause.getMessage(), cause);
    }
}
