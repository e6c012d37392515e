// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The origin snapshot command that {@code era_backup(8)} shows leaves no file system frozen, whatever ends it. */
class SnapshotHookTest {
    @TempDir
    private Path folder;

    private Path frozen;
    /** There as long as a snapshot is being created: a test ends that by deleting it. */
    private Path creating;

    /** Commands that note what they would have done. */
    @BeforeEach
    void putCommandsInItsPath() throws IOException {
        frozen = folder.resolve("frozen");
        creating = folder.resolve("creating");
        command("fsfreeze", "case $1 in -f) >" + frozen + " ;; -u) rm " + frozen + " ;; esac");
        command("lvcreate", ">" + creating + "; while [ -e " + creating + " ]; do sleep 0.01; done");
        command("lvs", "exit 1");
    }

    private void command(String name, String does) throws IOException {
        Path file = Files.writeString(folder.resolve(name), "#!/bin/sh\n" + does + "\n");
        assertTrue(file.toFile().setExecutable(true));
    }

    private Process start(String action) throws IOException {
        Path hook = folder.resolve("hook");
        Files.writeString(hook, DocumentedCommands.fileInManPage("/etc/era-backup/lvm-snapshot"));
        ProcessBuilder builder = new ProcessBuilder("sh", hook.toString());
        builder.environment()
                .putAll(Map.of(
                        "PATH",
                        folder + ":" + System.getenv("PATH"),
                        "ERA_BACKUP_ACTION",
                        action,
                        "ERA_BACKUP_SNAPSHOT",
                        ""));
        return builder.redirectErrorStream(true).start();
    }

    private Process startAndWaitUntilItCreates() throws Exception {
        Process hook = start("create");
        while (!Files.exists(creating)) {
            assertTrue(hook.isAlive(), "it ended before it created anything");
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
        }
        assertTrue(Files.exists(frozen));
        return hook;
    }

    @Test
    void whenItHasCreatedTheSnapshotTheFileSystemIsFreeAgain() throws Exception {
        Process hook = startAndWaitUntilItCreates();
        Files.delete(creating);
        assertEquals(0, hook.waitFor());
        assertEquals(
                "/dev/vg/data_backup\n", new String(hook.getInputStream().readAllBytes(), StandardCharsets.US_ASCII));
        assertFalse(Files.exists(frozen));
    }

    @Test
    void aTerminatedOneThawsTheFileSystem() throws Exception {
        Process hook = startAndWaitUntilItCreates();
        hook.destroy();
        Files.delete(creating);
        assertTrue(hook.waitFor() != 0);
        assertFalse(Files.exists(frozen));
    }

    @Test
    void whatAKilledOneHasFrozenIsThawedWhenTheSnapshotIsRemoved() throws Exception {
        Process hook = startAndWaitUntilItCreates();
        hook.destroyForcibly();
        hook.waitFor();
        assertTrue(Files.exists(frozen));
        assertEquals(0, start("remove").waitFor());
        assertFalse(Files.exists(frozen));
    }
}
