// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.dmera.testkit.Alone;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What makes short runs short: every class comes out of the archive, and none is loaded that the run could do without. Times
 * differ from machine to machine; which classes are loaded does not.
 */
@Alone
class StartTest {
    /** By which the first lambda of a process is linked, which takes as long as checking a small device. */
    private static final String LINKS_LAMBDAS = "java.lang.invoke.InnerClassLambdaMetafactory";

    /** Classes come out of the archive, and help texts out of files. */
    private static final String OPENS_JARS = "jdk.internal.loader.URLClassPath$JarLoader";

    @TempDir
    Path folder;

    private Path metadata;

    @BeforeEach
    void setUp() throws Exception {
        Ran.needLaunchers();
        metadata = folder.resolve("metadata");
        Ran.tool("era-tools", "generate", "--nr-blocks", 1000, "-o", metadata).good();
    }

    /** The classes that a run loads, and where from: the JVM's own list. */
    private List<String> classes(int code, String tool, Object... args) throws IOException, InterruptedException {
        Path log = folder.resolve("log");
        List<String> command =
                new ArrayList<>(List.of(Distribution.BIN.resolve(tool).toString()));
        for (Object arg : args) {
            command.add(arg.toString());
        }
        Ran ran = Ran.of(command, Map.of("ERA_JAVA_OPTS", "-Xlog:class+load:file=" + log + ":none"));
        assertEquals(code, ran.code(), ran.toString());
        return Files.readAllLines(log);
    }

    private static void requireFromArchive(List<String> classes, String... others) {
        List<String> elsewhere = new ArrayList<>(classes);
        elsewhere.removeIf(line -> line.contains("source: shared objects file"));
        elsewhere.removeIf(line -> line.contains("__JVM_LookupDefineClass__"));
        for (String other : others) {
            elsewhere.removeIf(line -> line.startsWith(other));
        }
        assertEquals(List.of(), elsewhere, "not out of the archive");
    }

    private static void requireNone(List<String> classes, String... prefixes) {
        for (String prefix : prefixes) {
            assertTrue(classes.stream().noneMatch(line -> line.startsWith(prefix)), prefix + " was loaded");
        }
    }

    @Test
    void toolsLoadLittleAndAllOfItFromTheArchive() throws Exception {
        record Line(int code, List<Object> words) {}
        for (Line line : List.of(
                new Line(0, List.of("era_check", metadata)),
                new Line(0, List.of("era_invalidate", "--written-since", 2, metadata)),
                new Line(0, List.of("era_dump", "-o", folder.resolve("dump"), metadata)),
                new Line(0, List.of("era_check", "--version")),
                new Line(0, List.of("era_copy", "--help")),
                new Line(0, List.of("era-tools", "generate", "--help")),
                new Line(1, List.of("era_apply", "--wrong")),
                new Line(0, List.of("era_backup", "--version")))) {
            List<Object> words = line.words;
            List<String> classes = classes(
                    line.code,
                    words.get(0).toString(),
                    words.subList(1, words.size()).toArray());
            requireFromArchive(classes);
            requireNone(classes, LINKS_LAMBDAS, OPENS_JARS, "java.util.regex.Pattern ", "jnr.", "com.kenai.");
            assertTrue(classes.size() < 720, words + " loads " + classes.size() + " classes");
        }
    }

    @Test
    void clientsOfAnEngineLoadNoSystemCallLibrary() throws Exception {
        Path control = folder.resolve("run/control");
        Process engine = new ProcessBuilder(
                        Distribution.program("era-dmsetup"),
                        "engine",
                        "--control",
                        control.toString(),
                        "--state",
                        folder.resolve("state").toString())
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("engine.log").toFile())
                .start();
        try {
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
            while (!Files.exists(control)) {
                assertTrue(engine.isAlive() && System.nanoTime() < deadline, () -> "the engine does not listen");
                Thread.sleep(20);
            }
            String table = "0 1000 zero";
            Ran.tool("era-dmsetup", "--control", control, "create", "vol", "--table", table)
                    .good();
            for (String command : List.of("status", "table", "--version")) {
                List<String> classes = classes(0, "era-dmsetup", "--control", control, command);
                // Java's sockets ask for random numbers, and those who ask are watched by classes that no archive
                // takes.
                requireFromArchive(
                        classes, "jdk.internal.event.", "java.nio.channels.spi.SelectorProvider$Holder$$Lambda");
                requireNone(
                        classes,
                        "jnr.",
                        "com.kenai.",
                        "java.util.ServiceLoader",
                        "java.util.regex.Pattern ",
                        "java.net.InetAddress ");
            }
        } finally {
            engine.destroy();
            assertTrue(engine.waitFor(60, TimeUnit.SECONDS), "the engine does not end");
        }
    }

    @Test
    void noKernelDriverIsToldWithoutASystemCallLibrary() throws Exception {
        Ran ran = Ran.tool("era-dmsetup", "--control", "kernel", "version");
        assumeTrue(ran.code() == 1, "there is a device-mapper here");
        assertTrue(ran.err().startsWith("/dev/mapper/control: open failed: "), ran.err());
        requireNone(classes(1, "era-dmsetup", "--control", "kernel", "version"), "jnr.", "com.kenai.");
    }
}
