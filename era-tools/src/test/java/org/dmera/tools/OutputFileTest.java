// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code --output} names is there whole, or as it was before. */
class OutputFileTest {
    private static final int BLOCK_BYTES = 4096;

    @TempDir
    private Path folder;

    private Path metadata;
    private Path output;

    @BeforeEach
    void make() throws IOException {
        metadata = folder.resolve("metadata");
        output = folder.resolve("output");
        ToolRun.of("generate", "--nr-blocks", 50_000, "--writesets", 3, "-q", "-o", metadata)
                .product();
    }

    /** All that comes after the superblock and the first blocks is overwritten. */
    private void damage() throws IOException {
        try (FileChannel file = FileChannel.open(metadata, StandardOpenOption.WRITE)) {
            for (long at = 20 * BLOCK_BYTES; at < file.size(); at += BLOCK_BYTES) {
                file.write(ByteBuffer.wrap(new byte[BLOCK_BYTES]), at);
            }
        }
    }

    private void assertOnly(String... names) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            Set<String> found = new TreeSet<>();
            files.forEach(f -> found.add(f.getFileName().toString()));
            assertEquals(new TreeSet<>(Set.of(names)), found);
        }
    }

    @Test
    void aDumpThatFailsLeavesTheOneBefore() throws IOException {
        Files.writeString(output, "the last good dump");
        damage();
        ToolRun.of("era_dump", "-o", output, metadata).refused("found zeroes");
        ToolRun.of("era_invalidate", "--written-since", 0, "-o", output, metadata)
                .refused("found zeroes");
        assertEquals("the last good dump", Files.readString(output));
        assertOnly("metadata", "output");
    }

    @Test
    void aDumpThatFailsMakesNoFile() throws IOException {
        damage();
        ToolRun.of("era_dump", "-o", output, metadata).refused("found zeroes");
        assertOnly("metadata");
    }

    @Test
    void aDumpReplacesTheFileThatALinkLeadsToAndKeepsItsMode() throws IOException {
        byte[] expected = ToolRun.of("era_dump", metadata).product();
        Path real = Files.createDirectory(folder.resolve("deep")).resolve("real");
        Files.writeString(real, "x".repeat(expected.length + 1));
        Files.setPosixFilePermissions(real, PosixFilePermissions.fromString("rw-r-x---"));
        Files.createSymbolicLink(folder.resolve("hop"), Path.of("deep/real"));
        Files.createSymbolicLink(output, Path.of("hop"));
        ToolRun.of("era_dump", "-o", output, metadata).product();
        assertTrue(Files.isSymbolicLink(output));
        assertArrayEquals(expected, Files.readAllBytes(real));
        assertEquals("rw-r-x---", PosixFilePermissions.toString(Files.getPosixFilePermissions(real)));
        assertOnly("deep", "hop", "metadata", "output");
    }

    @Test
    void aLinkThatLeadsNowhereYetIsFollowed() throws IOException {
        Files.createSymbolicLink(output, Path.of("new"));
        ToolRun.of("era_invalidate", "--written-since", 0, "-o", output, metadata)
                .product();
        assertTrue(Files.isSymbolicLink(output));
        assertTrue(Files.size(folder.resolve("new")) > 0);
        assertOnly("metadata", "new", "output");
    }

    @Test
    void aPartialFileOfAnotherRunIsLeftAlone() throws IOException {
        Path other = folder.resolve(".output." + ProcessHandle.current().pid() + ".partial");
        Files.writeString(other, "another's");
        byte[] expected = ToolRun.of("era_dump", metadata).product();
        ToolRun.of("era_dump", "-o", output, metadata).product();
        assertArrayEquals(expected, Files.readAllBytes(output));
        assertEquals("another's", Files.readString(other));
        assertOnly(other.getFileName().toString(), "metadata", "output");
    }
}
