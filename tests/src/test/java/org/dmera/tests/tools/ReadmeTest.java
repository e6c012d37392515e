// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.tests.backup.DocumentedCommands;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the README shows of the tools' output, by running them. */
class ReadmeTest {
    @TempDir
    private Path folder;

    @Test
    void theListsOfWhatChangedAreThoseOfOneDevice() throws Exception {
        Ran.needLaunchers();
        StringBuilder xml =
                new StringBuilder("<superblock block_size=\"8\" nr_blocks=\"30\" current_era=\"4\"><era_array>");
        for (int block = 0; block < 30; block++) {
            int era = block == 14 || block >= 20 && block < 23 ? 3 : 2;
            xml.append("<era block=\"")
                    .append(block)
                    .append("\" era=\"")
                    .append(era)
                    .append("\"/>");
        }
        Path dump = Files.writeString(folder.resolve("xml"), xml + "</era_array></superblock>");
        Path meta = Files.write(folder.resolve("meta"), new byte[1 << 20]);
        Ran.tool("era_restore", "-q", "-i", dump, "-o", meta).good();

        String shown = DocumentedCommands.block("README.md", "$ era_invalidate --written-since 3 --format ranges ");
        StringBuilder typed = new StringBuilder();
        for (String line : shown.lines().filter(each -> each.startsWith("$ ")).toList()) {
            typed.append(line).append('\n');
            typed.append(Ran.shell(line.substring(2).replace("/dev/vg/era_meta", meta.toString()))
                    .good()
                    .out());
        }
        assertEquals(shown, typed.toString());
    }
}
