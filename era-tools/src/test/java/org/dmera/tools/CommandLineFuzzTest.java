// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** No command line that anybody can type is an internal error of ours. */
class CommandLineFuzzTest {
    private static final int LINES = Boolean.getBoolean("era.nightly") ? 100_000 : 3000;

    /** Options of all tools, and near ones; a value that follows one is a path of the scratch folder or nonsense. */
    private static final String[] OPTIONS = {
        "--output",
        "-o",
        "--input",
        "-i",
        "--metadata",
        "-m",
        "--after",
        "--format=json",
        "--format=xml",
        "--format=text",
        "--format=ranges",
        "--format=bitmap",
        "--format=",
        "--format=svg",
        "--repair",
        "-r",
        "--logical",
        "--compact",
        "--metadata-snapshot",
        "--written-since=1",
        "--written-since=+30",
        "--written-since=",
        "--written-before=2",
        "--written-since=4294967295",
        "--written-since=4294967296",
        "--block-size=8",
        "--block-size=",
        "--nr-blocks=9",
        "--nr-blocks=2147483647",
        "--current-era=9",
        "--current-era=x",
        "--auto-repair",
        "--super-block-only",
        "-q",
        "--quiet",
        "--ignore-non-fatal-errors",
        "--io-engine=sync",
        "--io-engine=x",
        "-v",
        "--full",
        "--since=1",
        "--merge",
        "--identity=",
        "--identity=a",
        "--bwlimit=0",
        "--bwlimit=1M",
        "--bwlimit=",
        "--base-size=0",
        "--base-size=4k",
        "--writesets=1",
        "--verify",
        "--force",
        "--width=400",
        "--width=0",
        "--width=",
        "--height=1",
        "--",
        "-",
        "",
        "--help=x",
        "--version=1",
        "-rq",
        "-qr",
        "-x",
        "--no-such",
        "=",
        "--=",
        "-o=",
        "--cache-metadata"
    };

    @TempDir
    private Path folder;

    @Test
    void everyLineEndsInAnAnswerOrInWordsForItsUser() throws IOException {
        byte[] image = Fixtures.imageBytes(Fixtures.image("c_snap_bs24.live"));
        String[] words = {"meta", "copy", "stream", "dump.xml", "short", "", "none", "folder", "folder/none"};
        SplittableRandom random = new SplittableRandom(22);
        List<String> tools = new ArrayList<>(Commands.names());
        int answered = 0;
        for (int line = 0; line < LINES; line++) {
            if (line % 50 == 0) {
                Files.write(folder.resolve("meta"), image);
                Files.write(folder.resolve("copy"), new byte[1 << 20]);
                Files.write(folder.resolve("dump.xml"), "<superblock".getBytes(StandardCharsets.UTF_8));
                Files.write(folder.resolve("short"), new byte[100]);
                Files.createDirectories(folder.resolve("folder"));
            }
            String tool = tools.get(random.nextInt(tools.size()));
            List<String> args = new ArrayList<>();
            for (int n = random.nextInt(6); n > 0; n--) {
                String option = OPTIONS[random.nextInt(OPTIONS.length)];
                args.add(option);
                boolean takesPath = option.startsWith("-") && option.length() > 1 && !option.contains("=");
                if (takesPath || random.nextInt(2) == 0) {
                    args.add(path(words[random.nextInt(words.length)]));
                }
            }
            if (random.nextInt(4) > 0) {
                args.add(path("meta"));
            }
            answered += run(tool, args) == 0 ? 1 : 0;
        }
        assertTrue(answered > LINES / 100, answered + " of " + LINES + " lines made sense");
    }

    private String path(String word) {
        return word.isEmpty() ? word : folder.resolve(word).toString();
    }

    private static int run(String tool, List<String> args) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = CommandLine.run(
                Commands.find(tool),
                args.toArray(new String[0]),
                new ByteArrayInputStream(new byte[0]),
                out,
                new PrintStream(err, true, StandardCharsets.UTF_8));
        String said = err.toString(StandardCharsets.UTF_8);
        String line = tool + " " + args + ": exit " + code + ", " + said;
        assertTrue(code == 0 || code == 1, line);
        assertFalse(said.contains("internal error") || said.contains("Exception") || said.contains("\tat "), line);
        boolean quiet = args.stream().anyMatch(arg -> arg.equals("--quiet") || arg.matches("-[a-z]*q[a-z]*"));
        assertTrue(code == 0 || quiet || !said.isEmpty() || out.size() > 0, line);
        return code;
    }

    @Test
    void anEmptyOperandIsNoFileInEveryTool() {
        for (String tool : Commands.names()) {
            if (!tool.startsWith("era_")) {
                continue;
            }
            assertEquals(1, run(tool, List.of("")), tool);
            assertEquals(1, run(tool, List.of("", "")), tool);
        }
    }
}
