// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.cli.ShellWords;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The real dmsetup, side by side with era-dmsetup. Each runs the same commands on an engine of its own; what it would open
 * as the kernel's control device is redirected to the engine's socket by a small preloaded library. That the real one
 * gets along with the engine proves the engine's answers; that both print the same proves era-dmsetup.
 */
class RealDmsetupTest {
    /** By which each complains. */
    private static final String NAME = "/usr/sbin/dmsetup";

    private static final Path TESTS = Fixtures.projectRoot().resolve("tests/dmsetup");

    /** Releases of dmsetup, and how each is called. */
    private enum Release {
        /** Debian 12's, which is the host's own. */
        DEBIAN_12("1.02.185", "setup/packages.txt") {
            @Override
            List<String> command() {
                return List.of(NAME);
            }
        },
        /** Debian 13's, with the C library that it was built for. */
        DEBIAN_13("1.02.205", "tests/peers/fetch-dmsetup") {
            @Override
            List<String> command() {
                String set = System.getenv("ERA_PEER_DMSETUP_ROOT");
                String root = set == null ? "/opt/dmsetup-1.02.205" : set;
                String libraries = root + "/usr/lib/x86_64-linux-gnu";
                return List.of(
                        libraries + "/ld-linux-x86-64.so.2",
                        "--library-path",
                        libraries,
                        "--argv0",
                        NAME,
                        root + "/usr/sbin/dmsetup");
            }
        };

        final String version;
        final String whence;

        Release(String version, String whence) {
            this.version = version;
            this.whence = whence;
        }

        abstract List<String> command();
    }

    @TempDir
    Path folder;

    @ParameterizedTest
    @EnumSource
    @Timeout(600)
    void bothPrintTheSameAndLeaveTheSameDevices(Release release) throws Exception {
        List<String> dmsetup = release.command();
        for (String part : List.of(dmsetup.get(0), dmsetup.get(dmsetup.size() - 1))) {
            need(Files.isExecutable(Path.of(part)), "needs " + part + ": " + release.whence);
        }
        need(Files.isExecutable(Path.of("/usr/bin/gcc")), "needs gcc");
        Path library = folder.resolve("redirect.so");
        Path source = TESTS.resolve("redirect.c");
        DmSetupOnEngine.Result compiled = run(
                List.of("/usr/bin/gcc", "-shared", "-fPIC", "-o", library.toString(), source.toString(), "-ldl"),
                "",
                null,
                null);
        assertEquals(0, compiled.exit(), compiled.stderr().toString());
        try (TestEngine real = new TestEngine(Files.createDirectory(folder.resolve("real")));
                TestEngine ours = new TestEngine(Files.createDirectory(folder.resolve("ours")))) {
            List<String> asked = new ArrayList<>(dmsetup);
            asked.add("version");
            List<String> hello = run(asked, "", library, real.socket).stdout();
            need(hello.get(0).contains(release.version), "needs dmsetup " + release.version + ", not: " + hello);
            Path realImage = real.file("image", 65_536);
            Path ourImage = ours.file("image", 65_536);
            DmSetupOnEngine program = new DmSetupOnEngine(ours);
            int commands = 0;
            List<String> differences = new ArrayList<>();
            for (String line : Files.readAllLines(TESTS.resolve("commands.txt"))) {
                if (!line.startsWith("dmsetup")) {
                    continue;
                }
                ShellWords words = ShellWords.of(line);
                List<String> command = new ArrayList<>(dmsetup);
                words.words().forEach(word -> command.add(word.replace("IMAGE", realImage.toString())));
                DmSetupOnEngine.Result theirs = run(command, words.stdin(), library, real.socket);
                DmSetupOnEngine.Result mine = program.run(
                        words.words().stream()
                                .map(word -> word.replace("IMAGE", ourImage.toString()))
                                .toList(),
                        words.stdin());
                DmSetupOnEngine.Result expected = comparable(theirs, realImage);
                DmSetupOnEngine.Result actual = comparable(mine, ourImage);
                if (!expected.equals(actual)) {
                    differences.add(
                            "# " + commands + ": " + line + "\n  theirs: " + expected + "\n  ours:   " + actual);
                }
                commands++;
            }
            assertTrue(differences.isEmpty(), () -> String.join("\n", differences));
            assertTrue(commands > 250, commands + " commands were run");
        }
    }

    private static void need(boolean condition, String what) {
        assertTrue(condition || !"true".equals(System.getenv("CI")), what);
        assumeTrue(condition, what);
    }

    private static final String POSSIBILITIES = "; possibilities:";

    /** getopt names the options that an abbreviation may stand for in an order that each release has its own of. */
    private static String sorted(String line) {
        int at = line.indexOf(POSSIBILITIES);
        if (at < 0) {
            return line;
        }
        String[] options = line.substring(at + POSSIBILITIES.length()).trim().split(" ", -1);
        Arrays.sort(options);
        return line.substring(0, at) + POSSIBILITIES + " " + String.join(" ", options);
    }

    /** Without what must differ: the release, paths, the text of usage, and what dmsetup sees of device nodes, which there are none of. */
    private DmSetupOnEngine.Result comparable(DmSetupOnEngine.Result result, Path image) {
        List<String> out = new ArrayList<>();
        for (String line : result.stdout()) {
            if (!line.startsWith("Read Ahead:") && !line.startsWith("Library version:")) {
                out.add(line.replace(image.toString(), "IMAGE").replace(folder.resolve("dev") + "/", "/dev/"));
            }
        }
        List<String> err = new ArrayList<>();
        for (String line : result.stderr()) {
            if (line.startsWith("Usage:")) {
                // Of a command that there is not one line says enough.
                if (!err.contains("Unknown command.")) {
                    err.add("Usage:");
                }
                break;
            }
            // dmsetup says some things a second time, in other words.
            boolean again = line.startsWith("Failed to mangle ") || line.startsWith("Parsed ");
            boolean channel = line.startsWith("Control: ");
            if (!again && !channel && !line.contains(": open failed: No such ")) {
                err.add(sorted(line.startsWith(NAME + ":") ? "dmsetup" + line.substring(NAME.length()) : line));
            }
        }
        return new DmSetupOnEngine.Result(result.exit(), out, err);
    }

    private DmSetupOnEngine.Result run(List<String> command, String stdin, Path library, Path socket)
            throws IOException, InterruptedException {
        Path in = Files.writeString(folder.resolve("in"), stdin);
        Path out = folder.resolve("out");
        Path err = folder.resolve("err");
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectInput(in.toFile())
                .redirectOutput(out.toFile())
                .redirectError(err.toFile());
        builder.environment().put("LC_ALL", "C.UTF-8");
        if (library != null) {
            builder.environment().put("LD_PRELOAD", library.toString());
            builder.environment().put("ERA_REDIRECT", socket.toString());
            // Nodes are made here, not in this machine's /dev.
            builder.environment()
                    .put(
                            "DM_DEV_DIR",
                            Files.createDirectories(folder.resolve("dev/mapper"))
                                    .getParent()
                                    .toString());
        }
        Process process = builder.start();
        if (!process.waitFor(240, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError(command + " does not end");
        }
        return new DmSetupOnEngine.Result(
                process.exitValue(),
                Files.readString(out, StandardCharsets.UTF_8).lines().toList(),
                Files.readString(err, StandardCharsets.UTF_8).lines().toList());
    }
}
