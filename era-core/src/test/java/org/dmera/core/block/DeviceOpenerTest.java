// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.block;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DeviceOpenerTest {
    @TempDir
    private Path folder;

    private static String refusal(Path path) {
        return assertThrows(
                        IOException.class,
                        () -> DeviceOpener.open(path, false, DeviceOpener.Claim.EXCLUSIVE)
                                .close())
                .getMessage();
    }

    @Test
    void onlyWhatIsNotThereIsCalledMissing() throws IOException {
        Path file = Files.createFile(folder.resolve("file"));
        for (Path missing : new Path[] {folder.resolve("none"), folder.resolve("none/file"), file.resolve("file")}) {
            assertEquals("Couldn't find input file " + missing, refusal(missing));
        }
        // As any other reason why nobody can look whether it is there.
        Path unanswerable = folder.resolve("x".repeat(300));
        assertEquals(unanswerable + ": File name too long", refusal(unanswerable));
    }
}
