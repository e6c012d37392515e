// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import org.dmera.tools.backup.copy.OriginReader;
import org.dmera.tools.backup.image.StreamImage;
import org.dmera.tools.backup.stream.StreamFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A copy of a file that was never written in most places reads what was, and names the rest as zero. */
class OriginHolesTest {
    private static final long HUGE = 1L << 40;

    @TempDir
    Path dir;

    private final long seed = System.nanoTime();
    private final Random random = new Random(seed);

    /** To read all of it would take minutes. */
    @Test
    @Timeout(60)
    void holesAreNotRead() throws IOException {
        ScratchOrigin origin = new ScratchOrigin(dir.resolve("origin"), HUGE + 512, 1 << 20, 1 << 21, seed);
        TreeMap<Long, byte[]> written = new TreeMap<>();
        try (RandomAccessFile file = new RandomAccessFile(origin.path.toFile(), "rw")) {
            for (int i = 0; i < 40; i++) {
                byte[] bytes = new byte[1 + random.nextInt(300_000)];
                random.nextBytes(bytes);
                long at = i == 0
                        ? 0
                        : i == 1 ? HUGE + 512 - bytes.length : (long) (random.nextDouble() * (HUGE - bytes.length));
                written.put(at, bytes);
                file.seek(at);
                file.write(bytes);
            }
        }
        Path stream = dir.resolve("stream");
        origin.full(stream);
        try (StreamFile made = StreamFile.open(stream);
                StreamImage image = StreamImage.open(List.of(stream), 1 << 20, line -> {})) {
            assertEquals(HUGE + 512, made.footer().dataBytes() + made.footer().zeroBytes(), "every byte is named");
            assertTrue(made.footer().dataBytes() < 40 * 500_000, made.footer().toString());
            long end = 0;
            for (Long at : written.keySet()) {
                byte[] bytes = written.get(at);
                int before = (int) Math.min(100_000, at - end);
                ByteBuffer read = ByteBuffer.allocate(before + bytes.length);
                image.read(0, at - Math.max(0, before), read);
                byte[] expected = new byte[before + bytes.length];
                System.arraycopy(bytes, 0, expected, before, bytes.length);
                assertEquals(ByteBuffer.wrap(expected), read.flip(), "at " + at + ", seed " + seed);
                end = at + bytes.length;
            }
        }
    }

    @Test
    void aHoleOfAFileThatWasCutIsNone() throws IOException {
        Path file = dir.resolve("file");
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
            f.setLength(4 << 20);
            f.write(1);
            try (OriginReader origin = OriginReader.open(file)) {
                assertEquals(0, origin.holeUntil(0));
                assertEquals(4 << 20, origin.holeUntil(1 << 20));
                f.setLength(2 << 20);
                assertEquals(1 << 20, origin.holeUntil(1 << 20), "what is cut off is no hole: reading it fails");
                ByteBuffer into = ByteBuffer.allocateDirect(2 << 20).alignedSlice(4096);
                assertThrows(IOException.class, () -> origin.read(2 << 20, 4096, into, 0));
                f.setLength((1 << 20) + 1000);
                IOException cut = assertThrows(IOException.class, () -> origin.read(1 << 20, 8192, into, 0));
                assertTrue(cut.getMessage().contains("it ends at byte " + ((1 << 20) + 1000)), cut::getMessage);
            }
        }
        assertTrue(Files.size(file) > 0);
    }
}
