// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

/** rename(2) and unlink(2), whose errors Java's own file API tells in part only. */
public final class FileNames {
    private FileNames() {}

    /** Gives a file another name, replacing what has it. */
    public static void rename(String from, String to) throws ErrnoException {
        if (Libc.CALLS.rename(from, to) < 0) {
            throw new ErrnoException("rename " + from + " to " + to, Libc.errno());
        }
    }

    /** Takes a name away. */
    public static void unlink(String path) throws ErrnoException {
        if (Libc.CALLS.unlink(path) < 0) {
            throw new ErrnoException("unlink " + path, Libc.errno());
        }
    }
}
