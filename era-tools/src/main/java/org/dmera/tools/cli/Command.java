// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.io.IOException;

/**
 * One program of era-tools. {@link Commands} makes an instance only when its name was asked for, so a command may use
 * what it likes without slowing the others down.
 */
public interface Command {
    /** What it is called, what it is for, and which options and operands it takes. */
    Usage usage();

    /**
     * Does the work. Standard output is {@link Console#output()}; standard error {@link Console#error}, which says
     * nothing under {@code --quiet}.
     *
     * @return the exit code: 0 fine, 1 errors found
     * @throws IOException when it failed: its message is shown on one line, and the exit code is 1
     */
    int run(Arguments arguments, Console console) throws IOException;
}
