// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.dmera.testkit.Fixtures;

/** Where the lab's programs are, whether this machine can run it, and how one of them is run. */
final class Lab {
    static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");

    private static final boolean CI = "true".equals(System.getenv("CI"));

    private Lab() {}

    /** {@code tests/kernel}. */
    static Path folder() {
        return Fixtures.projectRoot().resolve("tests/kernel");
    }

    /** Where runs leave their files: below the build's own folder, so that {@code clean} takes them away. */
    static Path runs() {
        return Fixtures.projectRoot().resolve("tests/target/kernel-lab");
    }

    /** Skips, saying why, when this machine can't run the lab; where CI is set, what is missing is an error instead. */
    static void assumeUsable(Kernel kernel) throws IOException, InterruptedException {
        String why = whyUnusable(kernel);
        if (why != null && CI) {
            throw new AssertionError(why);
        }
        assumeTrue(why == null, why);
    }

    private static String whyUnusable(Kernel kernel) throws IOException, InterruptedException {
        List<String> needed = new ArrayList<>(List.of("busybox", "cpio", "gcc", "dmsetup", "losetup", "lvm"));
        needed.add(kernel == Kernel.USER_MODE_LINUX ? "linux.uml" : "qemu-system-x86_64");
        List<String> missing =
                needed.stream().filter(program -> !isInstalled(program)).toList();
        if (!missing.isEmpty()) {
            return "the kernel lab needs " + String.join(", ", missing) + " (setup/packages.txt)";
        }
        if (!"root".equals(System.getProperty("user.name"))) {
            return "the kernel lab shares this machine's root folder with its guest, so it needs root";
        }
        if (peer() == null) {
            return "the kernel lab compares with thin-provisioning-tools 1.x (tests/peers/fetch)";
        }
        if (kernel != Kernel.USER_MODE_LINUX) {
            Path output = Files.createTempFile("fetch-kernel", ".out");
            try {
                List<String> command = List.of(folder().resolve("fetch-kernel").toString(), kernel.release());
                if (run(command, output, Duration.ofMinutes(5)) != 0) {
                    return "the kernel package can't be had: " + Files.readString(output);
                }
            } finally {
                Files.delete(output);
            }
        }
        return null;
    }

    /** The Rust peer's folder, or null when it isn't there (fetched by {@code tests/peers/fetch}). */
    static Path peer() {
        String root = System.getenv().getOrDefault("ERA_PEER_RUST_ROOT", "/opt/tpt-1.1.0");
        Path tools = Path.of(root, "usr/sbin");
        return Files.isExecutable(tools.resolve("pdata_tools")) ? tools : null;
    }

    /** Runs a program of this machine to its end; its output goes to {@code output}. */
    static int run(List<String> command, Path output, Duration limit) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .redirectInput(Path.of("/dev/null").toFile())
                .start();
        if (!process.waitFor(limit.toSeconds(), TimeUnit.SECONDS)) {
            process.destroy();
            process.waitFor(10, TimeUnit.SECONDS);
            throw new IOException(command.get(0) + " did not end within " + limit);
        }
        return process.exitValue();
    }

    private static boolean isInstalled(String program) {
        for (String folder : (System.getenv("PATH") + ":/usr/sbin:/sbin").split(":", -1)) {
            if (Files.isExecutable(Path.of(folder, program))) {
                return true;
            }
        }
        return false;
    }
}
