// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.dmera.tools.Commands;
import org.dmera.tools.cli.CommandLine;

/** Commands run inside the test's own process, which is faster when nothing is to be killed. */
final class InProcess {
    private InProcess() {}

    /** Exit code and what was printed on both streams. */
    record Result(int code, String text) {}

    static Result tryRun(String program, Object... args) {
        String[] words = Arrays.stream(args).map(Object::toString).toArray(String[]::new);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        PrintStream err = new PrintStream(out, true, StandardCharsets.UTF_8);
        int code = CommandLine.run(Commands.find(program), words, new ByteArrayInputStream(new byte[0]), out, err);
        return new Result(code, out.toString(StandardCharsets.UTF_8));
    }

    /** What it printed, if it went well. */
    static String run(String program, Object... args) {
        Result result = tryRun(program, args);
        assertEquals(0, result.code, () -> program + " " + Arrays.toString(args) + "\n" + result.text);
        return result.text;
    }
}
