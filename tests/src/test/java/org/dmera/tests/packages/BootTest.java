// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.packages;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.testkit.Alone;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A machine with the packages installed boots, loses its power, and boots again: what eratab(5) is for. */
@Alone
class BootTest {
    private static final Path ROOT = Fixtures.projectRoot();

    @ParameterizedTest
    @ValueSource(strings = {"kernel", "engine"})
    void aFileSystemOfEratabIsThereAfterEachBootWithEveryMark(String kind) throws Exception {
        assumeTrue(Boolean.getBoolean("era.nightly"), "boots a whole system three times: nightly");
        assertTrue(Files.isExecutable(Path.of("/usr/bin/mmdebstrap")), "the nightly tests need Debian's mmdebstrap");
        Path folder = Files.createDirectories(ROOT.resolve("tests/target/boot/" + kind));
        try (var old = Files.list(folder)) {
            for (Path file : old.toList()) {
                Files.delete(file);
            }
        }
        Path packages = Files.createDirectories(ROOT.resolve("tests/target/boot/packages"));
        run(folder, ROOT.resolve("packaging/build-deb"), "--fast", packages);
        String said = run(folder, ROOT.resolve("tests/boot/boot-and-power-cut"), packages, kind, folder);
        assertTrue(said.contains(kind + ": and every change is still in the record"), said);
    }

    private static String run(Path folder, Object... command) throws Exception {
        Path out = folder.resolve("said");
        Process process = new ProcessBuilder(
                        java.util.Arrays.stream(command).map(Object::toString).toList())
                .redirectErrorStream(true)
                .redirectOutput(out.toFile())
                .start();
        int code = process.waitFor();
        String said = Files.readString(out);
        assertEquals(0, code, said);
        return said;
    }
}
