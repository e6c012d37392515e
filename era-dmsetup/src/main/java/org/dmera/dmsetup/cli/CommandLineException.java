// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;

/** A command that can't go on: the lines for standard error, perhaps none because they have been written. */
final class CommandLineException extends IOException {
    private static final long serialVersionUID = 1L;

    CommandLineException(String message) {
        super(message);
    }

    CommandLineException(String message, Throwable cause) {
        super(message, cause);
    }
}
