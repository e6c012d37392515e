// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.packages;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.testkit.Alone;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is built here works on another processor, and metadata, state folders and streams go from one to the other. */
@Alone
class OtherProcessorsTest {
    private static final Path ROOT = Fixtures.projectRoot();

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"arm64", "s390x"})
    void toolsEnginesAndBackupsOfAnotherProcessorGoOnWithOurs(String processor) throws Exception {
        assumeTrue(Boolean.getBoolean("era.nightly"), "runs Java on a processor that is emulated: nightly");
        for (String program : new String[] {"mmdebstrap", "qemu-aarch64-static"}) {
            assertTrue(Files.isExecutable(Path.of("/usr/bin", program)), "the nightly tests need Debian's " + program);
        }
        Path out = folder.resolve("out");
        Path work = Files.createDirectory(folder.resolve("work"));
        Process process = new ProcessBuilder(
                        ROOT.resolve("tests/processors/other-processor").toString(), processor, work.toString())
                .redirectErrorStream(true)
                .redirectOutput(out.toFile())
                .start();
        int code = process.waitFor();
        String said = Files.readString(out);
        assertEquals(0, code, said);
        assertTrue(said.contains("theirs backups, applied there"), said);
    }
}
