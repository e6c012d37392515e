// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import java.io.Closeable;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Random;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.RefusedException;

/**
 * An origin with its era metadata, both files. What changes in {@link #working} becomes, by {@link #catchUp}, writes to the
 * origin, marked by the engine's metadata as an era device would mark them.
 */
final class TrackedImage implements Closeable {
    static final int BLOCK_BYTES = 4096;

    final Path origin;
    final Path metadata;
    /** A copy that tests change as they like: mount it, write to it. */
    final Path working;

    private final FileBlockDevice device;
    private final EraMetadata era;

    TrackedImage(Path folder, long sizeBytes) throws IOException {
        origin = sized(folder.resolve("origin"), sizeBytes);
        metadata = sized(folder.resolve("metadata"), 4 << 20);
        working = sized(folder.resolve("working"), sizeBytes);
        device = FileBlockDevice.open(metadata, true);
        era = EraMetadata.openOrFormat(device, BLOCK_BYTES / 512);
        era.resize(sizeBytes / BLOCK_BYTES);
        checkpoint();
    }

    private static Path sized(Path file, long bytes) throws IOException {
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
            f.setLength(bytes);
        }
        return file;
    }

    /** Writes {@code writes} stretches of noise to {@link #working}. */
    void scribble(Random random, int writes) throws IOException {
        try (RandomAccessFile f = new RandomAccessFile(working.toFile(), "rw")) {
            for (int i = 0; i < writes; i++) {
                byte[] bytes = new byte[1 + random.nextInt(100_000)];
                random.nextBytes(bytes);
                f.seek((long) (random.nextDouble() * (f.length() - bytes.length)));
                f.write(bytes);
            }
        }
    }

    /** Begins a new era: what was written before is in the one before. */
    void checkpoint() throws IOException {
        era.rollover();
        era.commit();
    }

    /** As the message take_metadata_snap. */
    void takeSnapshot() throws IOException, RefusedException {
        era.takeSnapshot();
        era.commit();
    }

    /** Writes the blocks that differ from {@link #working} to the origin, and marks them; returns how many. */
    int catchUp() throws IOException {
        int changed = 0;
        ByteBuffer is = ByteBuffer.allocate(BLOCK_BYTES);
        ByteBuffer was = ByteBuffer.allocate(BLOCK_BYTES);
        try (FileChannel from = FileChannel.open(working, StandardOpenOption.READ);
                FileChannel to = FileChannel.open(origin, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            for (long block = 0; block < from.size() / BLOCK_BYTES; block++) {
                from.read(is.clear(), block * BLOCK_BYTES);
                to.read(was.clear(), block * BLOCK_BYTES);
                if (!is.flip().equals(was.flip())) {
                    era.mark(block);
                    to.write(is, block * BLOCK_BYTES);
                    changed++;
                }
            }
        }
        era.commit();
        return changed;
    }

    /** A copy of the metadata as it is now, taken to be a device that rests. */
    Path metadataCopy(Path to) throws IOException {
        return Files.copy(metadata, to, StandardCopyOption.REPLACE_EXISTING);
    }

    @Override
    public void close() throws IOException {
        device.close();
    }
}
