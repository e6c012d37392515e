// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.block;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A device that is read past the page cache, into buffers of any kind. Needs a file system with O_DIRECT for TMPDIR. */
class LiveDeviceTest {
    private static final int BLOCKS = 40;

    @TempDir
    private Path folder;

    @Test
    void buffersOnTheHeapAreFilledAndNothingIsLeftThatOtherReadsTripOver() throws IOException {
        byte[] content = new byte[BLOCKS * BlockDevice.BLOCK_BYTES];
        new Random(1).nextBytes(content);
        Path file = Files.write(folder.resolve("device"), content);
        String why = whyNoDirect(file);
        assumeTrue(why == null, why);
        try (FileBlockDevice device = FileBlockDevice.openLive(file);
                FileChannel other = FileChannel.open(file)) {
            for (int blocks : new int[] {1, 16, 17, BLOCKS}) {
                ByteBuffer heap = ByteBuffer.allocate(blocks * BlockDevice.BLOCK_BYTES);
                device.read(0, heap);
                assertArrayEquals(Arrays.copyOf(content, heap.capacity()), heap.array());
                // Java's own temporary buffers grow here, and the smaller ones are let go.
                other.read(ByteBuffer.allocate(blocks * BlockDevice.BLOCK_BYTES * 3 / 2), 0);
            }
        }
    }

    private static String whyNoDirect(Path file) {
        try {
            FileChannel.open(file, Set.of(StandardOpenOption.READ, DirectIo.DIRECT))
                    .close();
            return null;
        } catch (IOException | UnsupportedOperationException e) {
            return "no O_DIRECT for " + file + ": " + e;
        }
    }
}
