// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.dmera.tools.cli.CommandLine;

/**
 * Runs many command lines in one process. A JVM that makes its cache ahead of time takes what one process loaded and linked,
 * and each of our commands is a process of its own: {@code make-archive} has them all run here while it watches.
 */
final class Rehearsal {
    /** What stands between two command lines. */
    private static final String END = ";";

    private Rehearsal() {}

    /**
     * Runs the command lines in {@code args}, each ended by a word {@code ;}. Each begins with the program's name, and with
     * {@code !} before that if it is to fail. Fails when one of them ends otherwise.
     */
    public static void main(String[] args) {
        List<String> rest = Arrays.asList(args);
        List<String> surprises = new ArrayList<>();
        while (!rest.isEmpty()) {
            int end = rest.indexOf(END);
            List<String> line = rest.subList(0, end < 0 ? rest.size() : end);
            rest = end < 0 ? Collections.emptyList() : rest.subList(end + 1, rest.size());
            boolean toFail = line.get(0).equals("!");
            List<String> words = toFail ? line.subList(1, line.size()) : line;
            int code = Main.run(words.toArray(new String[0]));
            if (code != (toFail ? 1 : 0)) {
                surprises.add(String.join(" ", words) + ": exit code " + code);
            }
        }
        for (String surprise : surprises) {
            System.err.println(surprise);
        }
        CommandLine.leave(surprises.isEmpty() ? 0 : 1);
    }
}
