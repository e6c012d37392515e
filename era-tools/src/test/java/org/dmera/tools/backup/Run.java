// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.CommandLine;

/** One run of a command in this process. */
record Run(int code, String out, String err) {
    static Run of(Command command, Object... args) {
        return of(command, new ByteArrayInputStream(new byte[0]), args);
    }

    static Run of(Command command, InputStream in, Object... args) {
        String[] words = new String[args.length];
        for (int i = 0; i < args.length; i++) {
            words[i] = args[i].toString();
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = CommandLine.run(command, words, in, out, new PrintStream(err, true, StandardCharsets.UTF_8));
        return new Run(code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }

    static Run apply(Object... args) {
        return of(new ApplyCommand(), args);
    }

    static Run copy(Object... args) {
        return of(new CopyCommand(), args);
    }

    Run ok() {
        if (code != 0 || !err.isEmpty()) {
            throw new AssertionError("exit " + code + "\n" + out + err);
        }
        return this;
    }

    /** Requires exit code 1 and every one of {@code texts} in one line on standard error. */
    Run refused(String... texts) {
        boolean oneLine = err.indexOf('\n') == err.length() - 1 && !err.isEmpty();
        for (String text : texts) {
            if (!err.contains(text)) {
                throw new AssertionError("no \"" + text + "\" in: exit " + code + " " + err + out);
            }
        }
        if (code != 1 || !oneLine) {
            throw new AssertionError("exit " + code + ": " + err);
        }
        return this;
    }
}
