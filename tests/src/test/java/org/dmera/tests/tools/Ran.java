// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.dmera.tests.Distribution;

/** A process that has ended. */
record Ran(String command, int code, String out, String err) {
    private static final long LIMIT_SECONDS = 300;

    /** Skips, or fails where CI is set, unless {@code program} can be run. */
    static void need(Path program, String whence) {
        boolean there = Files.isExecutable(program);
        if (!there && "true".equals(System.getenv("CI"))) {
            throw new AssertionError("needs " + program + ": " + whence);
        }
        assumeTrue(there, "needs " + program + ": " + whence);
    }

    static void needLaunchers() {
        need(Distribution.BIN.resolve("era_dump"), "mvn package makes it");
    }

    /** Runs a launcher of the distribution. */
    static Ran tool(String tool, Object... args) throws IOException, InterruptedException {
        List<String> command =
                new ArrayList<>(List.of(Distribution.BIN.resolve(tool).toString()));
        for (Object arg : args) {
            command.add(arg.toString());
        }
        return of(command, Map.of());
    }

    /** Runs a line of bash with the launchers in the PATH. */
    static Ran shell(String line) throws IOException, InterruptedException {
        return of(List.of("bash", "-c", line), Map.of("PATH", Distribution.BIN + ":" + System.getenv("PATH")));
    }

    static Ran of(List<String> command, Map<String, String> environment) throws IOException, InterruptedException {
        Path out = Files.createTempFile("era", ".out");
        Path err = Files.createTempFile("era", ".err");
        try {
            ProcessBuilder builder = new ProcessBuilder(command)
                    .redirectInput(new java.io.File("/dev/null"))
                    .redirectOutput(out.toFile())
                    .redirectError(err.toFile());
            builder.environment().putAll(environment);
            Process process = builder.start();
            if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
                process.descendants().forEach(ProcessHandle::destroyForcibly);
                process.destroyForcibly();
                throw new IOException(command + " did not end within " + LIMIT_SECONDS + " s");
            }
            return new Ran(
                    String.join(" ", command), process.exitValue(), Files.readString(out), Files.readString(err));
        } finally {
            Files.delete(out);
            Files.delete(err);
        }
    }

    /** Requires success without a word on standard error. */
    Ran good() {
        if (code != 0 || !err.isEmpty()) {
            throw new AssertionError(command + ": exit " + code + ": " + err);
        }
        return this;
    }

    /** Requires exit code 1, nothing on standard output, and one line on standard error that contains {@code text}. */
    Ran refused(String text) {
        if (code != 1 || !out.isEmpty() || !err.contains(text) || err.indexOf('\n') != err.length() - 1) {
            throw new AssertionError("expected \"" + text + "\"\n" + this);
        }
        return this;
    }

    /** Requires exit code 1 and the wording of a wrong command line. */
    Ran misused(String text) {
        if (code != 1 || !out.isEmpty() || !err.startsWith("error: ") || !err.contains(text)) {
            throw new AssertionError("expected \"" + text + "\"\n" + this);
        }
        return this;
    }

    /** Requires failure without a word. */
    Ran silentFailure() {
        if (code != 1 || !out.isEmpty() || !err.isEmpty()) {
            throw new AssertionError("expected silence\n" + this);
        }
        return this;
    }
}
