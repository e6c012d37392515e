// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.file.FileClaim;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Engine and tools don't use one file at a time, whoever comes first and whatever they call it. */
class FileBackingsTest {
    @TempDir
    Path folder;

    private final FileBackings backings = new FileBackings();
    private Path file;
    private Path link;

    @BeforeEach
    void make() throws IOException {
        file = Files.write(folder.resolve("file"), new byte[1 << 20]);
        link = Files.createSymbolicLink(folder.resolve("link"), file);
    }

    private void assertBusy(Path name) {
        ErrnoException e = assertThrows(
                ErrnoException.class, () -> backings.open(name.toString(), true).close());
        assertTrue(e.is(Errno.EBUSY), e.getMessage());
    }

    @Test
    void aFileThatAToolWritesIsBusyForTheEngine() throws IOException {
        for (Path name : new Path[] {file, link}) {
            // Claimed anew each time: what the engine opened in this same process, and closed, gave the tool's lock up.
            try (FileChannel tool = FileChannel.open(file, StandardOpenOption.WRITE)) {
                assertTrue(FileClaim.takeForWriting(tool));
                assertBusy(name);
            }
        }
        backings.open(link.toString(), true).close();
    }

    @Test
    void aFileThatAToolReadsIsBusyForTheEngine() throws IOException {
        try (var tool = DeviceOpener.open(file, false, DeviceOpener.Claim.EXCLUSIVE)) {
            assertEquals(256, tool.sizeBlocks());
            assertBusy(link);
        }
        backings.open(file.toString(), true).close();
    }

    @Test
    void aFileThatTheEngineHasIsInUseForTools() throws IOException {
        try (Backing backing = backings.open(file.toString(), true)) {
            assertEquals(1 << 20, backing.sizeBytes());
            for (boolean writable : new boolean[] {false, true}) {
                IOException e = assertThrows(
                        IOException.class,
                        () -> DeviceOpener.open(link, writable, DeviceOpener.Claim.EXCLUSIVE)
                                .close());
                assertTrue(e.getMessage().contains("is in use"), e.getMessage());
            }
            // To close another descriptor of the file in the engine's own process doesn't give it up.
            Files.readAllBytes(file);
            try (FileChannel tool = FileChannel.open(file, StandardOpenOption.WRITE)) {
                assertFalse(FileClaim.takeForWriting(tool));
            }
        }
        DeviceOpener.open(file, true, DeviceOpener.Claim.EXCLUSIVE).close();
    }

    @Test
    void twoTargetsOfOneEngineShareAFile() throws IOException {
        try (Backing one = backings.open(file.toString(), true);
                Backing two = backings.open(link.toString(), true)) {
            assertEquals(one.identity(), two.identity());
        }
    }
}
