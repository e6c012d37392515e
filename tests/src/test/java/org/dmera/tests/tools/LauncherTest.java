// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.dmera.testkit.Alone;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Which of its two archives a JVM starts {@code era-dmsetup} from: clients of an engine from the cache that was made ahead of
 * time, all else from the archive of classes. Either is known to be used, and neither is missed with a word.
 */
@Alone
class LauncherTest {
    private static final String ARCHIVE = "-XX:SharedArchiveFile=";
    private static final String CACHE = "-XX:AOTCache=";

    @TempDir
    Path folder;

    private Path home;

    /** A distribution with the launcher of this one, its jars, and nothing made for a JVM. */
    @BeforeEach
    void setUp() throws IOException {
        Ran.needLaunchers();
        home = folder.resolve("a home");
        Files.createDirectories(home.resolve("bin"));
        Files.createDirectories(home.resolve("lib/jvm"));
        Files.copy(Distribution.BIN.resolve("era-dmsetup"), home.resolve("bin/era-dmsetup"));
        try (Stream<Path> parts = Files.list(Distribution.BIN.resolveSibling("lib"))) {
            for (Path part : parts.toList()) {
                if (!part.endsWith("jvm")) {
                    Files.createSymbolicLink(home.resolve("lib").resolve(part.getFileName()), part);
                }
            }
        }
    }

    private Ran ran(Map<String, String> environment, String... words) throws IOException, InterruptedException {
        List<String> command =
                new ArrayList<>(List.of(home.resolve("bin/era-dmsetup").toString()));
        command.addAll(List.of(words));
        return Ran.of(command, environment);
    }

    /** What a client prints who asks for help, without a word of the JVM's before or after. */
    private void requireHelp(Map<String, String> environment) throws IOException, InterruptedException {
        Ran ran = ran(environment, "--control", "/x/control", "--help");
        assertEquals(0, ran.code(), ran.toString());
        assertEquals("", ran.out());
        assertTrue(ran.err().startsWith("Usage: era-dmsetup "), ran.err());
        assertTrue(ran.err().endsWith("See era-dmsetup(8).\n"), ran.err());
    }

    @Test
    void aFolderThatJavaCannotRunFromIsNamed() throws Exception {
        home = Files.move(home, folder.resolve("a:home"));
        Ran ran = ran(Map.of(), "--help");
        assertEquals(1, ran.code());
        assertEquals(
                "era-dmsetup: Java finds nothing in a folder with a colon in its path: move " + home.toRealPath()
                        + "\n",
                ran.err());
    }

    @Test
    void inAFolderThatIsGoneOneLineSaysSo() throws Exception {
        Path gone = Files.createDirectory(folder.resolve("gone"));
        String command =
                "cd " + gone + " && rmdir " + gone + " && exec '" + home.resolve("bin/era-dmsetup") + "' version";
        Ran ran = Ran.of(List.of("sh", "-c", command), Map.of());
        assertEquals(1, ran.code());
        // The shell, which starts before, may have said so in words of its own.
        List<String> said =
                ran.err().lines().filter(line -> !line.contains("getcwd")).toList();
        assertEquals(List.of("era-dmsetup: the working folder was deleted: change to another one"), said);
    }

    @Test
    void theCacheIsForClientsOfAnEngine() throws Exception {
        // A JVM that prints what it is started with.
        Path java = folder.resolve("bin/java");
        Files.createDirectories(java.getParent());
        Files.writeString(java, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
        assertTrue(java.toFile().setExecutable(true));
        Files.writeString(
                home.resolve("lib/jvm/flags.sh"),
                "case $java in " + java + ") archive=" + ARCHIVE + "$home/a cache=" + CACHE + "$home/c ;; esac #99\n");
        record Line(String wanted, String control, List<String> words) {}
        for (Line line : List.of(
                new Line(CACHE, "", List.of("--control", "/x/control", "status")),
                new Line(CACHE, "", List.of("status", "--control=/x/control")),
                new Line(CACHE, "", List.of("--control", "engine", "status")),
                new Line(CACHE, "engine", List.of("status")),
                new Line(CACHE, "kernel", List.of("--control", "/x/control", "status")),
                new Line(ARCHIVE, "", List.of("--control", "kernel", "status")),
                new Line(ARCHIVE, "engine", List.of("--control=kernel", "status")),
                new Line(ARCHIVE, "kernel", List.of("status")),
                new Line(ARCHIVE, "", List.of("--control", "/x/control", "engine")),
                new Line(ARCHIVE, "", List.of("engine", "--control", "/x/control")),
                new Line(ARCHIVE, "", List.of("status")))) {
            Ran ran = ran(
                            Map.of(
                                    "JAVA_HOME",
                                    folder.toString(),
                                    "ERA_CONTROL",
                                    line.control,
                                    "XDG_RUNTIME_DIR",
                                    folder.toString()),
                            line.words.toArray(new String[0]))
                    .good();
            if (!line.words.equals(List.of("status")) || !Files.exists(Path.of("/run/era/control"))) {
                assertEquals(
                        List.of(line.wanted + home + (line.wanted.equals(CACHE) ? "/c" : "/a")),
                        ran.out()
                                .lines()
                                .filter(word -> word.startsWith(ARCHIVE) || word.startsWith(CACHE))
                                .toList(),
                        line.toString());
            }
        }
        Files.createDirectory(folder.resolve("era"));
        try (ServerSocketChannel engine = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            engine.bind(UnixDomainSocketAddress.of(folder.resolve("era/control")));
            Ran ran = ran(Map.of("JAVA_HOME", folder.toString(), "XDG_RUNTIME_DIR", folder.toString()), "status")
                    .good();
            assertTrue(ran.out().contains(CACHE), ran.out());
        }
    }

    /** A JVM that makes caches: the one that the launchers were made for, or by night any of the machine's. */
    private static Optional<Path> makerOfCaches() throws IOException, InterruptedException {
        String here = System.getProperty("java.home");
        if (Runtime.version().feature() >= 24) {
            return Optional.of(Path.of(here));
        }
        Path jvms = Path.of("/usr/lib/jvm");
        if (!Boolean.getBoolean("era.nightly") || !Files.isDirectory(jvms)) {
            return Optional.empty();
        }
        try (Stream<Path> found = Files.list(jvms)) {
            for (Path jvm : found.toList()) {
                Path java = jvm.resolve("bin/java");
                if (Files.isExecutable(java)
                        && Ran.of(List.of(java.toString(), "-XX:AOTMode=auto", "-version"), Map.of())
                                        .code()
                                == 0) {
                    return Optional.of(jvm);
                }
            }
        }
        return Optional.empty();
    }

    @Test
    void aCacheIsMadeAndUsedAndNotMissed() throws Exception {
        Optional<Path> jvm = makerOfCaches();
        assumeTrue(jvm.isPresent(), "needs a JVM of version 24 or newer (on 17, by night, any in /usr/lib/jvm)");
        // Not the scripts' links, by which they would find the other home; and every command, for the training.
        for (String script : List.of("make-archive", "training")) {
            Path link = home.resolve("lib").resolve(script);
            Path file = link.toRealPath();
            Files.delete(link);
            Files.copy(file, link);
        }
        try (Stream<Path> commands = Files.list(Distribution.BIN)) {
            for (Path command : commands.toList()) {
                Path copy = home.resolve("bin").resolve(command.getFileName());
                if (!Files.exists(copy)) {
                    Files.copy(command, copy);
                }
            }
        }
        Map<String, String> environment = Map.of("JAVA_HOME", jvm.get().toString());
        Ran.of(List.of(home.resolve("lib/make-archive").toString()), environment)
                .good();

        Path log = folder.resolve("log");
        Map<String, String> strict = Map.of(
                "JAVA_HOME",
                jvm.get().toString(),
                "ERA_JAVA_OPTS",
                "-XX:AOTMode=on -Xlog:class+load:file=" + log + ":none");
        requireHelp(strict);
        assertEquals(
                List.of(),
                Files.readAllLines(log).stream()
                        .filter(line -> !line.contains("source: shared objects file"))
                        .toList());

        // Nor where the folder lies elsewhere.
        Path moved = folder.resolve("moved");
        Files.move(home, moved);
        home = moved;
        requireHelp(strict);

        // What the JVM can't use it does without, and without a word; told to insist, it fails, so that the above says
        // much.
        Path cache;
        try (Stream<Path> made = Files.list(home.resolve("lib/jvm"))) {
            cache = made.filter(file -> file.toString().endsWith(".aot"))
                    .findAny()
                    .orElseThrow();
        }
        Files.write(cache, java.util.Arrays.copyOf(Files.readAllBytes(cache), 1 << 20));
        requireHelp(environment);
        assertEquals(1, ran(strict, "--control", "/x/control", "--help").code());
        Files.delete(cache);
        requireHelp(environment);
    }
}
