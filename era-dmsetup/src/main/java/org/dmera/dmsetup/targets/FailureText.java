// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.EOFException;
import java.io.IOException;
import java.nio.channels.ClosedChannelException;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.util.regex.Pattern;

/**
 * What a failure says to people: its message, and never the name of a Java class, which would tell them nothing. Of an
 * error in this program it is the place in the source, which tells its authors enough.
 */
public final class FailureText {
    /** As messages of the Java library quote their causes: {@code java.security.cert.CertPathValidatorException: }. */
    private static final Pattern QUOTED = Pattern.compile("\\b(?:[a-z]\\w*\\.)+[A-Z]\\w*: ");

    private static final String OURS = "org.dmera.";

    private FailureText() {}

    /** One line. */
    public static String of(Throwable why) {
        if (why instanceof OutOfMemoryError) {
            return "out of memory: " + why.getMessage();
        }
        if (!(why instanceof IOException)) {
            return "internal error" + place(why);
        }
        String message = why.getMessage();
        if (why instanceof NoSuchFileException) {
            return message + ": no such file";
        }
        if (why instanceof AccessDeniedException) {
            return message + ": permission denied";
        }
        if (message != null) {
            return QUOTED.matcher(message).replaceAll("");
        }
        if (why instanceof ClosedChannelException) {
            return "it was closed meanwhile";
        }
        return why instanceof EOFException ? "it ends too early" : "I/O error" + place(why);
    }

    private static String place(Throwable why) {
        for (StackTraceElement call : why.getStackTrace()) {
            if (call.getClassName().startsWith(OURS)) {
                return " at " + call.getFileName() + ":" + call.getLineNumber();
            }
        }
        return "";
    }
}
