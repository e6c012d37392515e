// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;

/** What is left of the metadata doesn't record its current era, only that it is no lower than another. */
final class UnknownEraException extends IOException {
    private static final long serialVersionUID = 1;

    private final String evidence;
    private final long least;

    /**
     * @param evidence why the era that is recorded isn't the current one, or may not be
     * @param least the current era is this or a later one
     */
    UnknownEraException(String evidence, long least) {
        super(evidence + ": say what the current era is with --current-era; it is at least " + least
                + "; when in doubt, a higher one loses nothing");
        this.evidence = evidence;
        this.least = least;
    }

    String evidence() {
        return evidence;
    }

    long least() {
        return least;
    }
}
