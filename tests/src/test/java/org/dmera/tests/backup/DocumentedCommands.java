// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.dmera.testkit.Fixtures;

/** The commands that the documentation shows, word for word, so that a test runs what a reader would type. */
public final class DocumentedCommands {
    private DocumentedCommands() {}

    /**
     * The one indented block of {@code docs/backup.md} that begins with {@code begin}.
     *
     * @throws AssertionError when the text has no such block any more, or several
     */
    public static String block(String begin) throws IOException {
        return block("docs/backup.md", begin);
    }

    /** The one indented block of {@code document} that begins with {@code begin}. */
    public static String block(String document, String begin) throws IOException {
        List<String> found = new ArrayList<>();
        StringBuilder block = new StringBuilder();
        List<String> lines =
                new ArrayList<>(Files.readAllLines(Fixtures.projectRoot().resolve(document)));
        lines.add("");
        for (String line : lines) {
            if (line.startsWith("    ")) {
                block.append(line, 4, line.length()).append('\n');
            } else {
                if (block.toString().startsWith(begin)) {
                    found.add(block.toString());
                }
                block.setLength(0);
            }
        }
        if (found.size() != 1) {
            throw new AssertionError(document + " has " + found.size() + " blocks that begin with: " + begin);
        }
        return found.get(0);
    }

    /** What {@code era_backup(8)} shows as the content of {@code file}: the lines from {@code # cat FILE} to the next prompt. */
    public static String fileInManPage(String file) throws IOException {
        StringBuilder content = new StringBuilder();
        boolean inside = false;
        for (String line : Files.readAllLines(Fixtures.projectRoot().resolve("man/era_backup.8"))) {
            if (inside && line.startsWith("# ")) {
                return content.toString();
            }
            if (inside) {
                content.append(line).append('\n');
            }
            inside |= line.equals("# cat " + file);
        }
        throw new AssertionError("era_backup(8) does not show " + file);
    }
}
