// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NbdSourceTest {
    @TempDir
    Path folder;

    @Test
    void whereNoEngineAnswersTheSocketIsNamed() {
        Path socket = folder.resolve("nbd");
        IOException none = assertThrows(
                IOException.class, () -> new NbdSource("nbd+unix:///vol?socket=" + socket, folder, () -> ""));
        assertEquals("no engine answers at " + socket + ": No such file or directory", none.getMessage());
    }
}
