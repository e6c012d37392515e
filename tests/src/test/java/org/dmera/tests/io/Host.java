// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The programs of this machine, and what it lets us do. */
public final class Host {
    static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");
    private static final boolean CI = "true".equals(System.getenv("CI"));
    private static final long LIMIT_SECONDS = 300;

    /** How a program ended. */
    record Result(List<String> command, int exitCode, String out, String err) {
        /** Its output, if it went well. */
        String good() {
            assertEquals(0, exitCode, () -> String.join(" ", command) + "\n" + out + err);
            return out;
        }

        /** Its output as JSON, if it went well; what programs say before the JSON is skipped. */
        JsonNode json() throws IOException {
            String text = good();
            int object = text.indexOf('{');
            int array = text.indexOf('[');
            int from = object < 0 ? array : array < 0 ? object : Math.min(object, array);
            return new ObjectMapper().readTree(text.substring(from));
        }
    }

    private Host() {}

    /** Skips when a program is missing, saying which; where CI is set, that is an error instead. */
    static void need(String... programs) {
        List<String> missing =
                Arrays.stream(programs).filter(p -> !isInstalled(p)).toList();
        demand(missing.isEmpty(), "needs " + String.join(", ", missing) + " (setup/packages.txt)");
    }

    /** Skips when this is not root on a host with FUSE and loop devices. */
    public static void needAttach() {
        demand("root".equals(System.getProperty("user.name")), "attaching a device needs root");
        demand(
                Files.exists(Path.of("/dev/nbd0"))
                        || Files.exists(Path.of("/dev/fuse")) && Files.exists(Path.of("/dev/loop-control")),
                "attaching a device needs /dev/nbd0, or /dev/fuse and /dev/loop-control");
    }

    private static void demand(boolean condition, String otherwise) {
        if (!condition && CI) {
            throw new AssertionError(otherwise);
        }
        assumeTrue(condition, otherwise);
    }

    private static boolean isInstalled(String program) {
        for (String folder : (System.getenv("PATH") + ":/usr/sbin:/sbin").split(":", -1)) {
            if (Files.isExecutable(Path.of(folder, program))) {
                return true;
            }
        }
        return false;
    }

    /** Runs a program to its end. */
    static Result run(Path folder, String... command) throws IOException, InterruptedException {
        File out = File.createTempFile("era-io", ".out");
        File err = File.createTempFile("era-io", ".err");
        try {
            ProcessBuilder builder = new ProcessBuilder(command);
            // The system's own programs first: another python3 has no libnbd.
            builder.environment().merge("PATH", "/usr/bin:/bin:/usr/sbin:/sbin", (old, system) -> system + ":" + old);
            Process process = builder.directory(folder.toFile())
                    .redirectInput(new File("/dev/null"))
                    .redirectOutput(out)
                    .redirectError(err)
                    .start();
            if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new IOException(String.join(" ", command) + " did not end");
            }
            return new Result(
                    List.of(command),
                    process.exitValue(),
                    Files.readString(out.toPath()),
                    Files.readString(err.toPath()));
        } finally {
            Files.delete(out.toPath());
            Files.delete(err.toPath());
        }
    }
}
