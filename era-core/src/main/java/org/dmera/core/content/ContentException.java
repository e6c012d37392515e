// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

import java.io.IOException;

/** What a {@link MetadataVisitor} is given is no content of metadata: who reads it from a text can say where. */
public final class ContentException extends IOException {
    private static final long serialVersionUID = 1L;

    /** {@code message}: what can't be, and what was expected. */
    public ContentException(String message) {
        super(message);
    }
}
