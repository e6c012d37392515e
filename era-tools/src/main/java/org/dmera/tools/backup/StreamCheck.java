// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.IOException;
import java.nio.file.Path;
import java.util.function.LongConsumer;
import org.dmera.tools.backup.apply.DecodedChunks;
import org.dmera.tools.backup.stream.Chunk;
import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamReader;

/** Reads a stream from end to end. */
public final class StreamCheck {
    private StreamCheck() {}

    /** As {@link #requireSound(StreamReader, LongConsumer)}, of a file. */
    public static StreamFooter requireSound(Path file) throws IOException {
        try (StreamReader stream = StreamReader.open(file.toString(), null)) {
            return requireSound(stream, bytes -> {});
        }
    }

    /**
     * Verifies every chunk and the whole; {@code progress} receives the bytes of data.
     *
     * @throws IOException naming the chunk, when a byte is not the one that was written
     */
    public static StreamFooter requireSound(StreamReader stream, LongConsumer progress) throws IOException {
        try (DecodedChunks chunks = new DecodedChunks(stream, chunk -> {})) {
            Chunk chunk;
            while ((chunk = chunks.next()) != null) {
                progress.accept(chunk.dataBytes());
            }
            return chunks.finish();
        }
    }
}
