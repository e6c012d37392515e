// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.dmera.core.linux.TrustedFolder;
import org.dmera.dmsetup.device.EngineLog;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An engine starts only where nobody else can put files that it would believe. */
class TrustedFoldersTest {
    @TempDir
    Path folder;

    private Path with(String name, String permissions) throws IOException {
        Path made = Files.createDirectories(folder.resolve(name));
        return Files.setPosixFilePermissions(made, PosixFilePermissions.fromString(permissions));
    }

    private EngineOptions options(Path run, Path nbd, Path state) {
        return new EngineOptions(
                run.resolve("control"), state, nbd.resolve("nbd"), EngineLog.Level.ERROR, null, TcpAccess.NONE);
    }

    private void assertRefused(EngineOptions options, Path culprit, String expected) throws IOException {
        IOException e = assertThrows(IOException.class, () -> new Engine(options, EngineLog.silent()));
        assertTrue(e.getMessage().contains(culprit.toRealPath().toString()), e.getMessage());
        assertTrue(e.getMessage().contains(expected), e.getMessage());
        assertFalse(e.getMessage().contains("\n"), e.getMessage());
    }

    @Test
    void foldersThatOthersCanWriteAreRefusedForSocketsAndState() throws IOException {
        Path good = with("good", "rwxr-xr-x");
        for (String permissions : List.of("rwxrwxrwx", "rwxrwx---", "rwx----w-")) {
            Path bad = with("bad", permissions);
            String expected = "expected a folder that only its owner can write";
            assertRefused(options(bad, good, good.resolve("state")), bad, expected);
            assertRefused(options(good, bad, good.resolve("state")), bad, expected);
            assertRefused(options(good, good, bad), bad, expected);
        }
        try (Engine engine = new Engine(options(good, good, good.resolve("state")), EngineLog.silent())) {
            assertEquals(List.of(), engine.registry().devices());
        }
    }

    @Test
    void soAreTheirParentsUnlessOnlyOwnersCanMoveWhatIsThere() throws Exception {
        Path open = with("open", "rwxrwxrwx");
        Path inside = Files.createDirectory(open.resolve("inside"));
        Path good = with("good", "rwx------");
        assertRefused(options(inside, good, good), open, "can be written by others");
        assertRefused(options(good, good, Files.createSymbolicLink(good.resolve("link"), inside)), open, "others");
        // As /tmp is.
        assertEquals(
                0, new ProcessBuilder("chmod", "1777", open.toString()).start().waitFor());
        TrustedFolder.require(inside);
        IOException e = assertThrows(IOException.class, () -> TrustedFolder.require(open));
        assertTrue(e.getMessage().contains("1777"), e.getMessage());
    }

    @Test
    void soAreFoldersOfAnotherUser() throws Exception {
        assumeTrue("root".equals(System.getProperty("user.name")), "only root gives files away");
        Path good = with("good", "rwx------");
        Path his = with("his", "rwx------");
        assertEquals(
                0, new ProcessBuilder("chown", "65534", his.toString()).start().waitFor());
        assertRefused(options(his, good, good), his, "expected root or this user");
        assertRefused(options(good, good, his), his, "expected root or this user");
    }
}
