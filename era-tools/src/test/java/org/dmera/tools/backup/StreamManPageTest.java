// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.luben.zstd.Zstd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.CRC32C;
import java.util.zip.Checksum;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * era-stream(5) suffices to read a stream: a decoder that takes the offsets and types of all fields from the page's own
 * tables, and knows no class of ours.
 */
class StreamManPageTest {
    /** A row of a table. */
    private record Field(int offset, String type) {}

    @TempDir
    Path dir;

    private final Map<String, Field> header = new LinkedHashMap<>();
    private final Map<String, Field> chunk = new LinkedHashMap<>();
    private final Map<String, Field> footer = new LinkedHashMap<>();
    private ByteBuffer stream;
    private byte[] id;

    private void readThePage() throws IOException {
        Map<String, Field> table = Map.of();
        for (String line : Files.readAllLines(Fixtures.projectRoot().resolve("man/era-stream.5"))) {
            if (line.startsWith(".Ss ")) {
                table = line.contains("Header") ? header : line.contains("Chunk") ? chunk : footer;
            } else if (line.matches("\\.It [0-9]+ Ta .*")) {
                String[] cells = line.substring(4).split(" Ta ", 3);
                table.put(cells[2], new Field(Integer.parseInt(cells[0]), cells[1]));
            }
        }
        assertEquals(17, header.size());
        assertEquals(9, chunk.size());
        assertEquals(9, footer.size());
    }

    /** The number in the field whose description begins with {@code name}, of the part that begins at {@code at}. */
    private long number(Map<String, Field> table, int at, String name) {
        Field f = field(table, name);
        return switch (f.type) {
            case "u32" -> Integer.toUnsignedLong(stream.getInt(at + f.offset));
            case "u64" -> stream.getLong(at + f.offset);
            default -> throw new AssertionError(name + " is " + f.type + ", no number");
        };
    }

    private byte[] bytes(Map<String, Field> table, int at, String name) {
        Field f = field(table, name);
        return bytes(at + f.offset, Integer.parseInt(f.type.substring(0, f.type.indexOf(' '))));
    }

    private byte[] bytes(int at, int count) {
        byte[] bytes = new byte[count];
        stream.get(at, bytes);
        return bytes;
    }

    private static Field field(Map<String, Field> table, String name) {
        return table.entrySet().stream()
                .filter(e -> e.getKey().startsWith(name))
                .findFirst()
                .orElseThrow(() -> new AssertionError("the page has no field \"" + name + "\""))
                .getValue();
    }

    private static long sum(Checksum checksum, byte[]... parts) {
        for (byte[] part : parts) {
            checksum.update(part);
        }
        return checksum.getValue();
    }

    /** Puts the stream onto {@code target} and checks every sum and count on the way. */
    private void apply(byte[] file, byte[] target) throws NoSuchAlgorithmException {
        stream = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        assertArrayEquals(HexFormat.of().parseHex("894552410d0a1a0a"), bytes(header, 0, "magic"));
        assertEquals(1, number(header, 0, "version"));
        assertEquals(sum(new CRC32C(), bytes(0, 252)), number(header, 0, "CRC32C"));
        assertEquals(target.length, number(header, 0, "size of the origin"));
        id = bytes(header, 0, "the stream's id");
        MessageDigest whole = MessageDigest.getInstance("SHA-256");
        int at = (int) number(header, 0, "length of the header");
        assertTrue(at >= 256, at + " bytes");
        whole.update(bytes(0, at));

        long chunks = 0;
        long dataBytes = 0;
        long zeroBytes = 0;
        long extents = 0;
        long end = 0;
        while (stream.getInt(at) == 0x4b4e4843) {
            int table = at + 40;
            int count = (int) number(chunk, at, "number of extents");
            int tableEnd = table + 16 * count;
            int dataLength = (int) number(chunk, at, "bytes of data, at most");
            int storedLength = (int) number(chunk, at, "bytes of data as stored");
            byte[] stored = bytes(tableEnd, storedLength);
            assertEquals(chunks, number(chunk, at, "the chunk's number"));
            assertTrue(count >= 1 && count <= 4096 && dataLength <= 1 << 20 && storedLength <= 1 << 20);
            assertEquals(sum(new CRC32C(), stored), number(chunk, at, "CRC32C of the data"));
            assertEquals(
                    sum(new CRC32C(), id, bytes(at, 36), bytes(table, 16 * count)),
                    number(chunk, at, "CRC32C of bytes 0 to 35"));
            byte[] data = number(chunk, at, "encoding") == 1 ? Zstd.decompress(stored, dataLength) : stored;
            assertEquals(dataLength, data.length);
            int from = 0;
            for (int i = 0; i < count; i++) {
                long offset = stream.getLong(table + 16 * i);
                long length = stream.getLong(table + 16 * i + 8) & Long.MAX_VALUE;
                boolean zero = stream.getLong(table + 16 * i + 8) < 0;
                assertTrue(length > 0 && offset >= end && offset + length <= target.length);
                end = offset + length;
                if (zero) {
                    Arrays.fill(target, (int) offset, (int) end, (byte) 0);
                    zeroBytes += length;
                } else {
                    System.arraycopy(data, from, target, (int) offset, (int) length);
                    from += (int) length;
                }
            }
            assertEquals(dataLength, from);
            MessageDigest one = MessageDigest.getInstance("SHA-256");
            one.update(bytes(at, 40 + 16 * count));
            one.update(ByteBuffer.allocate(4)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putInt((int) sum(new CRC32(), stored))
                    .flip());
            whole.update(one.digest());
            chunks++;
            dataBytes += dataLength;
            extents += count;
            at = tableEnd + storedLength;
        }

        assertEquals(0x544f4f46, stream.getInt(at));
        assertEquals(file.length, at + 96, "nothing follows the footer");
        assertEquals(96, number(footer, at, "length of the footer"));
        assertEquals(chunks, number(footer, at, "number of chunks"));
        assertEquals(dataBytes, number(footer, at, "bytes of data"));
        assertEquals(zeroBytes, number(footer, at, "bytes in zero extents"));
        assertEquals(extents, number(footer, at, "number of extents"));
        assertEquals(at, number(footer, at, "bytes of the stream"));
        assertArrayEquals(whole.digest(), bytes(footer, at, "digest"));
        assertEquals(sum(new CRC32C(), id, bytes(at, 92)), number(footer, at, "CRC32C"));
    }

    @Test
    void thePageSaysEnoughToReadAFullStreamAndAnIncrement() throws Exception {
        readThePage();
        ScratchOrigin origin = new ScratchOrigin(dir.resolve("origin"), 5_000_001, 64 << 10, 100, 31);
        origin.scribble(60);
        Path file = dir.resolve("stream");
        origin.full(file);
        byte[] target = new byte[5_000_001];
        new java.util.Random(1).nextBytes(target);
        apply(Files.readAllBytes(file), target);
        assertArrayEquals(Files.readAllBytes(origin.path), target);
        assertEquals(1, number(header, 0, "flags"));
        assertEquals(0, number(header, 0, "base size"));
        assertEquals(0, number(header, 0, "base era"));
        long history = number(header, 0, "history");
        assertTrue(history != 0);

        for (int i = 0; i < 6; i++) {
            long base = origin.era;
            origin.scribble(10);
            origin.increment(file, base, origin.size());
            apply(Files.readAllBytes(file), target);
            assertArrayEquals(Files.readAllBytes(origin.path), target);
            assertEquals(0, number(header, 0, "flags"));
            assertEquals(base, number(header, 0, "base era"));
            assertEquals(origin.era, number(header, 0, "new era"));
            assertEquals(64 << 10, number(header, 0, "size of an era device's block"));
            assertEquals(5_000_001, number(header, 0, "base size"));
            assertEquals(1700000000, number(header, 0, "when the copy began"));
            assertArrayEquals(new byte[16], bytes(header, 0, "uuid"));
            assertEquals(history, number(header, 0, "history"));
            int length = (int) number(header, 0, "length of the identity");
            byte[] identity = bytes(field(header, "the identity").offset, length);
            assertEquals("scratch", new String(identity, StandardCharsets.UTF_8));
        }
    }
}
