// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.revert;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import org.dmera.core.EraToken;
import org.dmera.core.content.BlockSet;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.tools.backup.copy.MetadataView;
import org.dmera.tools.backup.stream.StreamHeader;

/**
 * What was written to an origin since a backup, by the era device's metadata, which must be that which the backup was made
 * by. What is taken back is a write like any other, and later increments must hold it: where the device is in use it goes
 * through the device, which marks it; where it rests the marks are made here, in an era of their own, as if the device had
 * been in use for that.
 */
public final class WrittenSince implements Closeable {
    private static final int CACHE_BLOCKS = 1024;

    private final Path path;
    private final MetadataView metadata;
    private final long era;

    /**
     * Opens the metadata.
     *
     * @param snapshot the device is in use: look at the metadata snapshot that is held
     * @param willMark the device rests, and marks are going to be made
     */
    public WrittenSince(Path path, boolean snapshot, boolean willMark, long era) throws IOException {
        this.path = path;
        this.era = era;
        metadata = willMark && !snapshot ? MetadataView.writable(path) : new MetadataView(path, snapshot);
    }

    /**
     * Refuses a backup of another origin, of another moment than {@code era}, or one from before the metadata's records.
     *
     * @param backup the header of its last stream, called {@code name}
     * @param identity instead of the metadata device's own, or null
     */
    public void requireFit(StreamHeader backup, String name, String identity) throws IOException {
        if (backup.newEra() != era) {
            throw new IOException(name + ": the streams lead to the state from which era " + backup.newEra()
                    + " changed on, and what changed since era " + era + " was asked for: say --changed-since "
                    + backup.newEra() + ", or leave out the streams after the state to go back to");
        }
        String own = MetadataView.identity(identity, path);
        if (!backup.identity().equals(own)) {
            throw new IOException(name + ": it comes from another origin: its metadata is \"" + backup.identity()
                    + "\", " + path + " is \"" + own + "\" (if it was only renamed, say --identity '"
                    + backup.identity() + "')");
        }
        if (backup.blockSizeBytes() != metadata.blockSizeBytes()) {
            throw new IOException(name + ": its block size is " + backup.blockSizeBytes() + " bytes, that of " + path
                    + " is " + metadata.blockSizeBytes() + ": the metadata was made anew since; apply all of it");
        }
        EraToken token = backup.eraToken(name);
        String contradiction = token == null ? null : token.contradiction(metadata.device(), metadata.roots());
        if (contradiction != null) {
            throw new IOException(path + ": it is not the metadata that " + name
                    + " was made by, or was made anew since (" + contradiction + "); apply all of the backup");
        }
        if (metadata.roots().isToCome(era)) {
            throw new IOException(path + ": the current era is "
                    + metadata.roots().currentEra()
                    + ", before era " + era + ": the metadata was made anew since, or is another device's; apply all"
                    + " of the backup");
        }
        long fewest = Math.min(metadata.roots().nrBlocks(), metadata.fewestBlocksSince(era));
        if (fewest * metadata.blockSizeBytes() < backup.originSizeBytes()) {
            throw new IOException(path + ": since era " + era + " the origin had but " + fewest
                    + " blocks, fewer than the"
                    + " backup's " + backup.originSizeBytes() + " bytes, and what came back when it grew again is in no"
                    + " record; apply all of the backup");
        }
    }

    /**
     * The blocks that were written in the era or later, by now.
     *
     * @throws IOException also when the snapshot does not record all of them
     */
    public BlockSet blocks() throws IOException {
        if (metadata.isSnapshot()) {
            metadata.requireNothingSinceSnapshot();
        }
        return metadata.changedSince(era);
    }

    public long blockSizeBytes() {
        return metadata.blockSizeBytes();
    }

    /** Marks {@code blocks} as written in an era of their own, durably. For a device that rests. */
    public void mark(BlockSet blocks) throws IOException {
        EraMetadata marks = EraMetadata.open(metadata.device(), metadata.roots().dataBlockSizeSectors(), CACHE_BLOCKS);
        // Where the flush of the superblock had failed, the device has the state before, whose blocks are free here.
        marks.commit();
        marks.rollover();
        blocks.forEachRange((begin, end) -> {
            for (long block = begin; block < end; block++) {
                marks.mark(block);
            }
        });
        marks.archive();
        marks.commit();
    }

    @Override
    public void close() throws IOException {
        metadata.close();
    }
}
