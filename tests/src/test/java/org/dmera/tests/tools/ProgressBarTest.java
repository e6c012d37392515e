// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The progress bar on a real terminal, which script(1) makes; shown at once here, not only after a second. */
class ProgressBarTest {
    private static final Map<String, String> AT_ONCE = Map.of("ERA_JAVA_OPTS", "-Dera.progress.millis=0");

    @TempDir
    static Path made;

    @TempDir
    Path folder;

    @BeforeAll
    static void make() throws IOException, InterruptedException {
        Ran.needLaunchers();
        Ran.need(Path.of("/usr/bin/script"), "it is in bsdutils");
        Path metadata = made.resolve("meta");
        assertEquals(
                0,
                Ran.tool("era-tools", "generate", "--nr-blocks", 3_000_000, "-o", metadata)
                        .code());
        assertEquals(
                0,
                Ran.tool("era_dump", "--compact", "-o", made.resolve("xml"), metadata)
                        .code());
    }

    @BeforeEach
    void prepare() throws IOException {
        for (String name : List.of("meta", "xml")) {
            Files.createLink(folder.resolve(name), made.resolve(name));
        }
        Files.write(folder.resolve("out"), new byte[64 << 20]);
    }

    private Ran onTerminal(String line) throws IOException, InterruptedException {
        String inFolder = "cd " + folder + " && PATH=" + Distribution.BIN + ":$PATH && " + line;
        return Ran.of(List.of("script", "-qec", inFolder, "/dev/null"), AT_ONCE);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "era_check meta",
                "era_repair -i meta -o out",
                "era_restore -i xml -o out",
                "era_dump -o dumped meta",
                "era_invalidate --written-since 10 -o ranges meta"
            })
    void aTerminalShowsABarWhichIsGoneInTheEnd(String line) throws IOException, InterruptedException {
        Ran ran = onTerminal(line);
        assertEquals(0, ran.code(), ran.out());
        String tool = line.substring(0, line.indexOf(' '));
        assertTrue(ran.out().contains(tool + " "), () -> "no bar: " + ran.out());
        assertTrue(ran.out().contains("blocks/s") || ran.out().contains("MiB/s"), () -> "no rate: " + ran.out());
        assertEquals("", screen(ran.out()), () -> "left on the screen by " + ran.out());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "era_check -q meta",
                "era_repair -q -i meta -o out",
                "era_restore -q -i xml -o out",
                "era_check meta 2>err",
                "era_repair -i meta -o out 2>err",
                "era_restore -i xml -o out 2>err"
            })
    void nothingIsShownWhenQuietOrWhenStandardErrorIsNoTerminal(String line) throws IOException, InterruptedException {
        Files.createFile(folder.resolve("err"));
        Ran ran = onTerminal(line);
        assertEquals(0, ran.code(), ran.out());
        assertEquals("", ran.out());
        assertEquals("", Files.readString(folder.resolve("err")));
    }

    @Test
    void shortWorkShowsNoBar() throws IOException, InterruptedException {
        // So short that it takes no second on a busy machine either.
        Ran.tool("era-tools", "generate", "--nr-blocks", 1000, "-o", folder.resolve("small"))
                .good();
        assertTrue(onTerminal("era_check small").out().contains("era_check "), "a bar that is shown at once");
        Ran ran = Ran.of(
                List.of(
                        "script",
                        "-qec",
                        Distribution.BIN.resolve("era_check") + " " + folder.resolve("small"),
                        "/dev/null"),
                Map.of());
        assertEquals(0, ran.code(), ran.out());
        assertEquals("", ran.out());
    }

    /** What a terminal shows after it has been sent {@code text}: cursor up and down, colours, and plain lines. */
    private static String screen(String text) {
        List<StringBuilder> lines = new ArrayList<>(List.of(new StringBuilder()));
        int row = 0;
        int column = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == 0x1b) {
                int end = i + 2;
                while (!Character.isLetter(text.charAt(end))) {
                    end++;
                }
                int n = end > i + 2 && text.charAt(end) != 'm' ? Integer.parseInt(text.substring(i + 2, end)) : 1;
                row += text.charAt(end) == 'A' ? -n : text.charAt(end) == 'B' ? n : 0;
                i = end;
            } else if (c == '\r') {
                column = 0;
            } else if (c == '\n') {
                row++;
            } else {
                while (lines.get(row).length() <= column) {
                    lines.get(row).append(' ');
                }
                lines.get(row).setCharAt(column++, c);
            }
            while (lines.size() <= row) {
                lines.add(new StringBuilder());
            }
        }
        return String.join("\n", lines).strip();
    }
}
