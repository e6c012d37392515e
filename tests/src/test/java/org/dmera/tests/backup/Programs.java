// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.dmera.tests.Distribution;

/** Programs of this project, each in a JVM of its own, and programs of the machine. */
final class Programs {
    static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");
    private static final boolean CI = "true".equals(System.getenv("CI"));
    private static final long LIMIT_SECONDS = 600;

    private final Path folder;
    private final Map<String, String> environment;

    /** Programs run in {@code folder}, which also keeps their output. */
    Programs(Path folder, Map<String, String> environment) {
        this.folder = folder;
        this.environment = environment;
    }

    record Result(String command, int exitCode, String text) {
        /** What it printed, if it went well. */
        String good() {
            assertEquals(0, exitCode, () -> command + "\n" + text);
            return text;
        }
    }

    /** A program that runs. */
    record Running(String command, Process process, Path output) {
        /** Ends it as a power cut would. */
        void kill() {
            process.destroyForcibly();
        }

        Result await() throws IOException, InterruptedException {
            if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new IOException(command + " did not end:\n" + Files.readString(output));
            }
            return new Result(command, process.exitValue(), Files.readString(output));
        }
    }

    /** Skips, or fails where CI is set, unless the tests may mount file systems here. */
    static void needRootAnd(String... programs) {
        List<String> missing = new ArrayList<>();
        if (!"root".equals(System.getProperty("user.name"))) {
            missing.add("root");
        }
        if (!Files.exists(Path.of("/dev/loop-control"))) {
            missing.add("/dev/loop-control");
        }
        need(missing, programs);
    }

    static void need(String... programs) {
        need(new ArrayList<>(), programs);
    }

    private static void need(List<String> missing, String... programs) {
        for (String program : programs) {
            boolean found = Arrays.stream((System.getenv("PATH") + ":/usr/sbin:/sbin").split(":", -1))
                    .anyMatch(dir -> Files.isExecutable(Path.of(dir, program)));
            if (!found) {
                missing.add(program);
            }
        }
        if (!missing.isEmpty() && CI) {
            throw new AssertionError("this machine lacks " + missing);
        }
        assumeTrue(missing.isEmpty(), "this machine lacks " + missing + " (setup/packages.txt)");
    }

    /** Starts one of our programs. */
    Running start(String program, Object... args) throws IOException {
        return start(List.of(Distribution.program(program)), program, args);
    }

    private Running start(List<String> before, String name, Object... args) throws IOException {
        List<String> command = new ArrayList<>(before);
        for (Object arg : args) {
            command.add(arg.toString());
        }
        Path output = Files.createTempFile(folder, "output", ".txt");
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectInput(new File("/dev/null"))
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        builder.environment().putAll(environment);
        builder.environment().merge("PATH", "/usr/bin:/bin:/usr/sbin:/sbin", (old, system) -> system + ":" + old);
        return new Running(name + " " + Arrays.toString(args), builder.start(), output);
    }

    /** Runs one of our programs to its end. */
    Result run(String program, Object... args) throws IOException, InterruptedException {
        return start(program, args).await();
    }

    /** Runs a program of the machine to its end. */
    Result host(String program, Object... args) throws IOException, InterruptedException {
        return start(List.of(program), program, args).await();
    }
}
