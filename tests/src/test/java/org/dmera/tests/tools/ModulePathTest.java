// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A program of others that is a module itself, and has ours on its module path: there a module sees what is exported, and has
 * only those modules at run time that somebody requires.
 */
class ModulePathTest {
    private static final Pattern JAR = Pattern.compile("era-[a-z]+-[0-9.]+(-SNAPSHOT)?\\.jar");

    private static final String PROGRAM = """
            package consumer;

            import java.nio.file.Path;
            import java.util.List;
            import org.dmera.core.EraSnapshot;
            import org.dmera.tools.backup.apply.Applier;
            import org.dmera.tools.backup.copy.ByteRanges;
            import org.dmera.tools.backup.copy.CopyEngine;
            import org.dmera.tools.backup.copy.OriginReader;
            import org.dmera.tools.backup.copy.StreamOutput;
            import org.dmera.tools.backup.stream.StreamHeader;
            import org.dmera.tools.backup.stream.StreamReader;
            import org.dmera.tools.backup.stream.StreamWriter;

            /** A full copy of an origin, applied to a target. */
            public final class Program {
                private record All(boolean[] begun, long endBytes) implements ByteRanges {
                    @Override
                    public boolean next() {
                        return !begun[0] && (begun[0] = true);
                    }

                    @Override
                    public long beginBytes() {
                        return 0;
                    }
                }

                public static void main(String[] args) throws Exception {
                    Path metadata = Path.of(args[0]);
                    Path stream = Path.of(args[2]);
                    byte[] id = new byte[StreamHeader.ID_BYTES];
                    try (EraSnapshot snapshot = EraSnapshot.openOffline(metadata);
                            OriginReader origin = OriginReader.open(Path.of(args[1]));
                            CopyEngine engine =
                                    new CopyEngine(origin, id, snapshot.blockBytes(), CopyEngine.Options.DEFAULT);
                            StreamOutput out = new StreamOutput(stream)) {
                        StreamHeader header = new StreamHeader(
                                id, origin.sizeBytes(), 0, snapshot.blockBytes(), StreamHeader.FULL, 0,
                                snapshot.token().era(), 0, new byte[16], "consumer", 1, snapshot.token().encode());
                        StreamWriter writer = new StreamWriter(out, header);
                        engine.copy(new All(new boolean[1], origin.sizeBytes()), writer, bytes -> {});
                        writer.finish();
                        out.commit();
                    }
                    try (Applier applier = new Applier(Path.of(args[3]), Path.of(args[4]));
                            StreamReader reader = StreamReader.open(stream.toString(), System.in)) {
                        applier.apply(List.of(reader), false, bytes -> {});
                    }
                    System.out.println("copied");
                }
            }
            """;

    @TempDir
    Path folder;

    @Test
    void aModuleOfOthersCopiesAnOriginAndAppliesTheStream() throws Exception {
        Ran.needLaunchers();
        Path metadata = folder.resolve("metadata");
        Ran.tool("era-tools", "generate", "--nr-blocks", 10, "-o", metadata).good();
        Path origin = Files.write(folder.resolve("origin"), new byte[5000]);
        Path target = folder.resolve("target");
        Path sources = Files.createDirectories(folder.resolve("sources"));
        Path declared =
                Files.writeString(sources.resolve("module-info.java"), "module consumer { requires org.dmera.tools; }");
        Path program = Files.writeString(sources.resolve("Program.java"), PROGRAM);
        String path = modulePath();
        Path classes = folder.resolve("classes");
        int code = ToolProvider.getSystemJavaCompiler()
                .run(null, null, null, "-p", path, "-d", classes.toString(), declared.toString(), program.toString());
        assertEquals(0, code);
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin/java").toString(), "-XX:TieredStopAtLevel=1"));
        command.addAll(List.of("-p", path + File.pathSeparator + classes, "-m", "consumer/consumer.Program"));
        for (Path file : List.of(metadata, origin, folder.resolve("stream"), target, folder.resolve("state"))) {
            command.add(file.toString());
        }
        Ran ran = Ran.of(command, Map.of());
        assertEquals("copied\n", ran.out(), ran::toString);
        assertEquals(-1, Files.mismatch(origin, target));
    }

    /** The modules' own jars, and what they need: era.jar in the distribution is the programs', of all modules together. */
    private static String modulePath() throws IOException {
        Path root = Fixtures.projectRoot();
        List<Path> jars = new ArrayList<>();
        for (String module : List.of("era-core", "era-tools")) {
            try (Stream<Path> built = Files.list(root.resolve(module).resolve("target"))) {
                built.filter(jar -> JAR.matcher(jar.getFileName().toString()).matches())
                        .forEach(jars::add);
            }
        }
        assertEquals(2, jars.size(), jars::toString);
        try (Stream<Path> needed = Files.list(root.resolve("dist/lib"))) {
            needed.filter(file -> file.toString().endsWith(".jar") && !file.endsWith("era.jar"))
                    .forEach(jars::add);
        }
        return jars.stream().map(Path::toString).collect(Collectors.joining(File.pathSeparator));
    }
}
