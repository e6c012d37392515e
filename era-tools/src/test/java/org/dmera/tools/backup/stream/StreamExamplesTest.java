// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.dmera.testkit.Fixtures;
import org.dmera.testkit.WorkedExample;
import org.junit.jupiter.api.Test;

/** The layouts and the worked examples in the documentation are those of the classes that they stand beside. */
class StreamExamplesTest {
    private static final Path STREAM = Fixtures.folder().resolve("streams/format-1-history/data.000002.incr.erastream");

    /** What the text shows of the stream, {@code length} bytes from {@code from} on; −1 for its end. */
    private static WorkedExample example(Class<?> part, long from, int length) throws IOException {
        WorkedExample example = WorkedExample.of("era-tools", part);
        example.source("\\{@code data.000002.incr.erastream}");
        byte[] stream = Files.readAllBytes(STREAM);
        int begin = from < 0 ? stream.length - length : (int) from;
        assertArrayEquals(Arrays.copyOfRange(stream, begin, begin + length), example.bytes(length));
        return example;
    }

    @Test
    void header() throws IOException {
        WorkedExample example = example(StreamHeader.class, 0, StreamHeader.BYTES);
        assertEquals(10, example.checkValues(StreamHeader.decode(example.bytes(StreamHeader.BYTES), "example")));
        assertTrue(example.checkOffsets(StreamHeader.class) >= 14, "the text names where the fields are");
    }

    @Test
    void chunk() throws IOException {
        WorkedExample example = example(Chunk.class, StreamHeader.BYTES, 88);
        try (StreamFile file = StreamFile.open(STREAM);
                ChunkCursor cursor = new ChunkCursor()) {
            cursor.head(file, StreamHeader.BYTES, 0);
            assertEquals(13, example.checkValues(new Head(cursor.chunk())));
        }
        assertEquals(7, example.checkOffsets(Chunk.class));
    }

    /** A chunk and its table. */
    public record Head(Chunk chunk) {
        public long sequence() {
            return chunk.sequence();
        }

        public int dataBytes() {
            return chunk.dataBytes();
        }

        public int streamBytes() {
            return chunk.streamBytes();
        }

        public int size() {
            return chunk.extents().size();
        }

        public long offsetBytes(int i) {
            return chunk.extents().offsetBytes(i);
        }

        public long lengthBytes(int i) {
            return chunk.extents().lengthBytes(i);
        }

        public boolean isZero(int i) {
            return chunk.extents().isZero(i);
        }
    }

    @Test
    void footer() throws IOException {
        WorkedExample example = example(StreamFooter.class, -1, StreamFooter.BYTES);
        try (StreamFile file = StreamFile.open(STREAM)) {
            assertEquals(5, example.checkValues(file.footer()));
        }
        assertEquals(1, example.checkOffsets(StreamFooter.class));
    }
}
