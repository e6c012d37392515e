// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.List;

/** What a command does. */
interface Command {
    /**
     * Runs it.
     *
     * @param operands the words after its name
     * @return whether it succeeded; if not, {@code Command failed.} follows
     */
    boolean run(Session session, List<String> operands) throws IOException, CommandLineException;
}
