// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a generation that fails leaves behind: what was there, so that the next one isn't refused for it. */
class GenerateCommandTest {
    @TempDir
    Path dir;

    private int generate(Path output, String... options) {
        String[] args = new String[options.length + 2];
        System.arraycopy(options, 0, args, 2, options.length);
        args[0] = "-o";
        args[1] = output.toString();
        return CommandLine.run(
                new GenerateCommand(),
                args,
                new ByteArrayInputStream(new byte[0]),
                new ByteArrayOutputStream(),
                new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8));
    }

    @Test
    void aNewFileGoesAgain() {
        Path made = dir.resolve("made");
        assertNotEquals(0, generate(made, "--block-size", "9"));
        assertFalse(Files.exists(made));
        assertNotEquals(0, generate(made, "--metadata-blocks", "3"));
        assertFalse(Files.exists(made));
        assertEquals(0, generate(made, "--nr-blocks", "100"));
    }

    @Test
    void aFileThatWasEmptyIsEmptyAgain() throws IOException {
        Path empty = Files.createFile(dir.resolve("empty"));
        assertNotEquals(0, generate(empty, "--block-size", "9"));
        assertEquals(0, Files.size(empty));
        assertEquals(0, generate(empty, "--nr-blocks", "100"));
        assertTrue(Files.size(empty) > 0);
    }

    @Test
    void whatALinkLeadsToGoesAndTheLinkStays() throws IOException {
        Path target = dir.resolve("target");
        Path link = Files.createSymbolicLink(dir.resolve("link"), target);
        assertNotEquals(0, generate(link, "--block-size", "9"));
        assertFalse(Files.exists(target));
        assertTrue(Files.isSymbolicLink(link));
    }
}
