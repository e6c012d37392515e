// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.dmera.dmsetup.backup.BackupCommand;
import org.dmera.dmsetup.serve.ServeCommand;
import org.dmera.testkit.Fixtures;
import org.dmera.tests.Distribution;
import org.dmera.tools.Commands;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The rules that hold for every tool: a table of rules and tools, so that none is forgotten. What a launcher adds (closed
 * descriptors, pipes, the disk) is in {@link ContractTest}.
 */
class ToolRulesTest {
    /** What a tool reads. */
    private enum Reads {
        METADATA,
        XML,
        STREAM,
        NO_FILE
    }

    /** A tool and how it is called: IN stands for what it reads, OUT for what it writes. */
    private enum Tool {
        ERA_CHECK(Reads.METADATA, "IN"),
        ERA_DUMP(Reads.METADATA, "-o OUT IN"),
        ERA_INVALIDATE(Reads.METADATA, "--written-since 1 -o OUT IN"),
        ERA_REPAIR(Reads.METADATA, "-i IN -o OUT"),
        ERA_STAT(Reads.METADATA, "IN"),
        ERA_PLOT(Reads.METADATA, "-o OUT.png IN"),
        ERA_COPY(Reads.METADATA, "--full -m IN origin -o OUT"),
        ERA_RESTORE(Reads.XML, "-i IN -o OUT"),
        ERA_APPLY(Reads.STREAM, "-o OUT IN"),
        ERA_SERVE(Reads.STREAM, "IN"),
        ERA_BACKUP(Reads.NO_FILE, "--to OUT device"),
        GENERATE(Reads.NO_FILE, "-o OUT");

        final Reads reads;
        private final String line;

        Tool(Reads reads, String line) {
            this.reads = reads;
            this.line = line;
        }

        List<String> words() {
            return List.of(line.split(" ", -1));
        }

        String commandName() {
            return name().toLowerCase(java.util.Locale.ROOT);
        }

        /** What users type. */
        String program() {
            return this == GENERATE ? "era-tools generate" : commandName();
        }

        Command command() {
            return switch (this) {
                case ERA_BACKUP -> new BackupCommand();
                case ERA_SERVE -> new ServeCommand();
                default -> Commands.find(commandName());
            };
        }

        boolean has(String option) {
            return run("--help").out.contains(option);
        }

        Result run(Object... args) {
            String[] words = Arrays.stream(args).map(Object::toString).toArray(String[]::new);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ByteArrayOutputStream err = new ByteArrayOutputStream();
            int code = CommandLine.run(
                    command(),
                    words,
                    new ByteArrayInputStream(new byte[0]),
                    out,
                    new PrintStream(err, true, StandardCharsets.UTF_8));
            return new Result(
                    program() + " " + String.join(" ", words),
                    code,
                    out.toString(StandardCharsets.UTF_8),
                    err.toString(StandardCharsets.UTF_8));
        }
    }

    private record Result(String line, int code, String out, String err) {
        /** One line on standard error, after the program's name, and nothing else. */
        void refused(Tool tool, String text) {
            assertEquals(1, code, toString());
            assertEquals("", out, toString());
            assertTrue(err.startsWith(tool.program() + ": "), toString());
            assertTrue(err.contains(text), toString());
            assertEquals(err.length() - 1, err.indexOf('\n'), toString());
            assertTrue(!err.contains("internal error") && !err.contains("Exception"), toString());
        }

        void misused(String text) {
            assertEquals(1, code, toString());
            assertEquals("", out, toString());
            assertTrue(err.startsWith("error: " + text), toString());
            assertTrue(err.endsWith("\n\nFor more information, try '--help'.\n"), toString());
        }
    }

    @TempDir
    private static Path inputs;

    @TempDir
    private Path folder;

    @BeforeAll
    static void prepare() throws IOException {
        Files.write(inputs.resolve("metadata"), Fixtures.imageBytes(Fixtures.image("e_crash_bs8.crash")));
        Files.writeString(inputs.resolve("xml"), "<superblock block_size=\"8\"/>" + " ".repeat(4096));
        Files.write(inputs.resolve("tiny"), new byte[1000]);
        Files.write(inputs.resolve("zeroes"), new byte[1 << 20]);
        Files.createDirectory(inputs.resolve("folder"));
    }

    @BeforeEach
    void makeOutput() throws IOException {
        Files.write(folder.resolve("origin"), new byte[1 << 20]);
    }

    private Result read(Tool tool, Object input, Object... more) {
        List<Object> args = new ArrayList<>(List.of(more));
        for (String word : tool.words()) {
            args.add(
                    switch (word) {
                        case "IN" -> input;
                        case "OUT", "OUT.png", "origin" -> folder.resolve(word);
                        default -> word;
                    });
        }
        return tool.run(args.toArray());
    }

    private static Stream<Tool> readers() {
        return Stream.of(Tool.values()).filter(tool -> tool.reads != Reads.NO_FILE);
    }

    /** What there is in the folder, with its content. */
    private Map<String, List<Byte>> content() throws IOException {
        Map<String, List<Byte>> content = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                byte[] bytes = Files.isRegularFile(file) ? Files.readAllBytes(file) : new byte[0];
                List<Byte> list = new ArrayList<>(bytes.length);
                for (byte b : bytes) {
                    list.add(b);
                }
                content.put(file.getFileName().toString(), list);
            }
        }
        return content;
    }

    @ParameterizedTest
    @MethodSource("readers")
    void whatItCantReadIsRefusedInTheWordsThatScriptsKnowAndNothingIsWritten(Tool tool) throws IOException {
        // These two write in place, into what is there.
        if (tool == Tool.ERA_RESTORE || tool == Tool.ERA_REPAIR) {
            Files.write(folder.resolve("OUT"), new byte[1 << 20]);
        }
        Map<String, List<Byte>> before = content();
        read(tool, inputs.resolve("nothing")).refused(tool, "Couldn't find input file");
        read(tool, inputs.resolve("tiny").resolve("below a file")).refused(tool, "Couldn't find input file");
        read(tool, inputs.resolve("folder")).refused(tool, "Not a block device or regular file");
        read(tool, "").misused("a value is required for '");
        switch (tool.reads) {
            case METADATA -> {
                read(tool, "/dev/null").refused(tool, "Not a block device or regular file");
                read(tool, inputs.resolve("tiny"))
                        .refused(tool, "Metadata device/file too small.  Is this binary metadata?");
                read(tool, inputs.resolve("xml"))
                        .refused(tool, "This looks like XML.  This tool only supports the binary metadata format.");
                read(tool, inputs.resolve("zeroes")).refused(tool, "bad checksum in superblock");
            }
            case XML -> {
                read(tool, "/dev/null").refused(tool, "XML line ");
                read(tool, inputs.resolve("metadata")).refused(tool, "XML line 1: ");
            }
            default -> {
                read(tool, "/dev/null").refused(tool, "not an era stream");
                read(tool, inputs.resolve("metadata")).refused(tool, "not an era stream");
            }
        }
        assertEquals(before, content());
    }

    @Test
    void aSnapshotThatIsNotHeldIsRefused() {
        List<Tool> tools = readers()
                .filter(tool -> tool.reads == Reads.METADATA && tool.has("--metadata-snapshot"))
                .toList();
        assertEquals(
                List.of(
                        Tool.ERA_CHECK,
                        Tool.ERA_DUMP,
                        Tool.ERA_INVALIDATE,
                        Tool.ERA_STAT,
                        Tool.ERA_PLOT,
                        Tool.ERA_COPY),
                tools);
        for (Tool tool : tools) {
            read(tool, inputs.resolve("metadata"), "--metadata-snapshot").refused(tool, "no current metadata snap");
        }
    }

    @ParameterizedTest
    @MethodSource("readers")
    void anOutputThatIsTheInputIsRefusedAndStaysAsItWas(Tool tool) throws IOException {
        if (!tool.words().contains("OUT")) {
            return;
        }
        byte[] before = Fixtures.imageBytes(Fixtures.image("e_crash_bs8.crash"));
        Path both = Files.write(folder.resolve("OUT"), before);
        String refusal = tool == Tool.ERA_REPAIR ? "input and output are the same" : "The output is the input";
        read(tool, both).refused(tool, refusal);
        Path link = Files.createSymbolicLink(folder.resolve("link"), both);
        read(tool, link).refused(tool, refusal);
        assertArrayEquals(before, Files.readAllBytes(both));
    }

    @ParameterizedTest
    @MethodSource("all")
    void aWrongCommandLineIsWordedAsTheRustToolsDo(Tool tool) {
        tool.run("--no-such-option").misused("unexpected argument '--no-such-option' found");
        tool.run("-Z").misused("unexpected argument '-Z' found");
        tool.run("--help=x").misused("unexpected value 'x' for '--help' found; no more were expected");
        tool.run("--version=1").misused("unexpected value '1' for '--version' found; no more were expected");
        tool.run().misused("the following required arguments were not provided:\n  ");
        if (tool.words().contains("-o")) {
            tool.run("-o").misused("a value is required for '--output <FILE>' but none was supplied");
            tool.run("-o", "a", "--output=b").misused("the argument '--output <FILE>' cannot be used multiple times");
        }
        if (tool.has("--format")) {
            tool.run("--format", "jsn").misused("invalid value 'jsn' for '--format <FORMAT>'\n  [possible values: ");
            assertTrue(tool.run("--format", "jsn").err.contains("tip: a similar value exists: 'json'"));
        }
    }

    @ParameterizedTest
    @MethodSource("all")
    void helpAndTheBareVersionAreAnsweredWhateverElseIsThere(Tool tool) {
        for (String[] line : new String[][] {{"--help"}, {"-h"}, {"--foo", "-h"}, {"", "--help", "-V"}}) {
            Result help = tool.run((Object[]) line);
            assertEquals(0, help.code, help.toString());
            assertTrue(help.out.startsWith("Usage: " + tool.program() + " "), help.toString());
            assertEquals("", help.err);
        }
        for (String[] line : new String[][] {{"--version"}, {"-V"}, {"--foo", "-V"}}) {
            Result version = tool.run((Object[]) line);
            assertEquals(0, version.code, version.toString());
            assertTrue(version.out.matches("\\d+\\.\\d+\\.\\d+\\S*\n"), version.toString());
        }
    }

    private static Stream<Tool> all() {
        return Stream.of(Tool.values());
    }

    @Test
    void quietIsSilentWhateverHappens() {
        List<Tool> tools = all().filter(tool -> tool.has("--quiet")).toList();
        assertEquals(
                List.of(
                        Tool.ERA_CHECK,
                        Tool.ERA_REPAIR,
                        Tool.ERA_COPY,
                        Tool.ERA_RESTORE,
                        Tool.ERA_APPLY,
                        Tool.ERA_SERVE,
                        Tool.ERA_BACKUP,
                        Tool.GENERATE),
                tools);
        for (Tool tool : tools) {
            for (String quiet : List.of("-q", "--quiet")) {
                for (Result result : List.of(
                        tool.run(quiet, "--no-such-option"),
                        tool.run(quiet),
                        read(tool, inputs.resolve("nothing"), quiet),
                        read(tool, inputs.resolve("zeroes"), quiet))) {
                    assertTrue(result.code != 0 || tool == Tool.GENERATE, result.toString());
                    assertEquals("", result.out + result.err, result.toString());
                }
            }
        }
    }

    @Test
    void anOptionWithoutItsPartnerIsRefused() {
        Path metadata = inputs.resolve("metadata");
        for (String option : List.of("--block-size=8", "--nr-blocks=9", "--current-era=9")) {
            read(Tool.ERA_DUMP, metadata, option).refused(Tool.ERA_DUMP, "--repair");
        }
        for (String option : List.of("--dry-run", "--force", "--state=x")) {
            read(Tool.ERA_APPLY, inputs.resolve("xml"), "--verify", option).refused(Tool.ERA_APPLY, "--verify");
        }
        read(Tool.ERA_COPY, metadata, "--merge").refused(Tool.ERA_COPY, "--merge");
        read(Tool.ERA_COPY, metadata, "--bwlimit=0").misused("invalid value '0' for '--bwlimit <RATE>'");
        read(Tool.ERA_COPY, metadata, "--identity=").misused("a value is required for '--identity <TEXT>'");
    }

    /** The first time, Java asks fontconfig which fonts there are. */
    @Test
    void drawingIsSilentAlsoTheFirstTimeThatAUserDraws() throws Exception {
        Ran.needLaunchers();
        Ran.of(
                        List.of(
                                Distribution.program("era_plot"),
                                "-o",
                                folder.resolve("picture.png").toString(),
                                inputs.resolve("metadata").toString()),
                        Map.of("ERA_JAVA_OPTS", "-Duser.home=" + folder))
                .good();
    }

    @Test
    void theTableHasEveryTool() {
        List<String> missing = new ArrayList<>(Commands.names());
        missing.removeAll(all().map(Tool::commandName).toList());
        // It reads and writes nothing, and its one operand is one of three words.
        assertEquals(List.of("generate-completion"), missing);
    }
}
