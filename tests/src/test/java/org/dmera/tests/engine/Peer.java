// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.engine;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The two lines of thin-provisioning-tools that people have installed. */
enum Peer {
    CPP_0_9("thin-provisioning-tools 0.9 (the host's package)") {
        @Override
        List<String> command(String tool) {
            return List.of("/usr/sbin/" + tool);
        }
    },
    RUST_1_1("thin-provisioning-tools 1.x (tests/peers/fetch)") {
        @Override
        List<String> command(String tool) {
            String root = System.getenv().getOrDefault("ERA_PEER_RUST_ROOT", "/opt/tpt-1.1.0");
            return List.of(root + "/usr/sbin/pdata_tools", tool);
        }
    };

    private static final long LIMIT_SECONDS = 300;

    private final String what;

    Peer(String what) {
        this.what = what;
    }

    /** What a tool of a peer said. */
    record Result(int exitCode, String out, String err) {}

    abstract List<String> command(String tool);

    /** Skips, saying why, when it isn't there; where CI is set that is an error instead. */
    void assumeThere() {
        boolean there = Files.isExecutable(Path.of(command("era_check").get(0)));
        if (!there && "true".equals(System.getenv("CI"))) {
            throw new AssertionError("needs " + what);
        }
        assumeTrue(there, "needs " + what);
    }

    Result run(String tool, Path metadata) throws IOException, InterruptedException {
        Path out = Files.createTempFile("peer", ".out");
        Path err = Files.createTempFile("peer", ".err");
        try {
            List<String> command = new java.util.ArrayList<>(command(tool));
            command.add(metadata.toString());
            Process process = new ProcessBuilder(command)
                    .redirectOutput(out.toFile())
                    .redirectError(err.toFile())
                    .start();
            if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
                process.destroy();
                throw new IOException(command + " did not end within " + LIMIT_SECONDS + " s");
            }
            return new Result(process.exitValue(), text(out), text(err));
        } finally {
            Files.delete(out);
            Files.delete(err);
        }
    }

    private static String text(Path file) throws IOException {
        return Files.readString(file, StandardCharsets.UTF_8);
    }
}
