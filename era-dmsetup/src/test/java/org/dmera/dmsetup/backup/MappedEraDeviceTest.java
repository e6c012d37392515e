// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** That no write of the kernel's device is in flight is believed where the kernel counts them, and nowhere else. */
class MappedEraDeviceTest {
    @TempDir
    Path sys;

    private void write(String file, String text) throws IOException {
        Files.createDirectories(sys.resolve("queue"));
        Files.writeString(sys.resolve(file), text);
    }

    @Test
    void aCountOfNoWritesIsBelievedUnlessStatisticsAreOff() throws IOException {
        assertFalse(MappedEraDevice.isQuietOnce(sys), "nothing is counted");
        write("inflight", "       3        0\n");
        assertTrue(MappedEraDevice.isQuietOnce(sys), "reads don't matter");
        write("queue/iostats", "1\n");
        assertTrue(MappedEraDevice.isQuietOnce(sys));
        write("queue/iostats", "0\n");
        assertFalse(MappedEraDevice.isQuietOnce(sys), "the kernel doesn't look");
    }
}
