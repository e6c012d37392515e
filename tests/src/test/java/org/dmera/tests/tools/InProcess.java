// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.dmera.tools.Commands;
import org.dmera.tools.cli.CommandLine;

/** Runs a tool in this process, where starting a JVM for each run would take most of a test's time. */
final class InProcess {
    private InProcess() {}

    /** Requires success without a word. */
    static void run(String tool, Object... args) {
        String[] words = new String[args.length];
        for (int i = 0; i < args.length; i++) {
            words[i] = args[i].toString();
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream err = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        int code = CommandLine.run(Commands.find(tool), words, InputStream.nullInputStream(), bytes, err);
        if (code != 0 || bytes.size() != 0) {
            throw new AssertionError(tool + ": exit " + code + ": " + bytes.toString(StandardCharsets.UTF_8));
        }
    }
}
