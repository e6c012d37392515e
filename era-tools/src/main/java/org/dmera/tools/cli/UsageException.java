// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

/** The command line is wrong. The message is the whole text for the user, in the words of the Rust tools' parser. */
public final class UsageException extends Exception {
    private static final String HINT = "\n\nFor more information, try '--help'.";

    private UsageException(String message) {
        super(message, null, false, false);
    }

    /** {@code what} is wrong, and this is how the command is used. */
    static UsageException withSynopsis(String what, String synopsis) {
        return new UsageException("error: " + what + "\n\nUsage: " + synopsis + HINT);
    }

    /** {@code what} is wrong. */
    public static UsageException of(String what) {
        return new UsageException("error: " + what + HINT);
    }
}
