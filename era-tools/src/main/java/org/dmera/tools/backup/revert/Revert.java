// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.revert;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.function.LongConsumer;
import org.dmera.core.content.BlockSet;
import org.dmera.tools.backup.apply.Target;
import org.dmera.tools.backup.copy.ByteRanges;
import org.dmera.tools.backup.copy.ChangedRanges;
import org.dmera.tools.backup.copy.OriginReader;
import org.dmera.tools.backup.copy.Zeroes;
import org.dmera.tools.backup.image.StreamImage;
import org.dmera.tools.backup.stream.Chunk;

/**
 * Writes blocks of the last state of a chain of streams to the origin that it is a copy of.
 *
 * <p>All that is going to be written is read from the streams first, so that a damaged chunk stops it before anything has
 * changed. An interruption is finished by doing the same again: what was written meanwhile only adds blocks to those that
 * were written since.
 */
public final class Revert {
    /** Blocks that were not written since which are looked at. */
    private static final long MAX_LOOKS = 256;

    private static final long MIN_LOOKS = 8;
    private static final long LOOKED_AT_BYTES = 32 << 20;

    private final StreamImage image;
    private final int state;
    private final OriginReader target;
    private final long blockSizeBytes;
    private final long sizeBytes;
    private final ByteBuffer wanted = Chunk.aligned(Chunk.MAX_DATA_BYTES);
    private final ByteBuffer there = Chunk.aligned(Chunk.MAX_DATA_BYTES + Chunk.ALIGNMENT_BYTES);

    /**
     * A revert of what {@code target} reads; it stays open, because to close it would give up the claim on a file that is
     * written.
     *
     * @param blockSizeBytes of the sets of blocks
     * @param isOrigin whether the target is the origin, and not the era device, which may end before it within its last block;
     *     what a copy holds behind that is no part of the device
     * @throws IOException when the target is smaller than the state
     */
    public Revert(StreamImage image, OriginReader target, long blockSizeBytes, boolean isOrigin) throws IOException {
        this.image = image;
        this.state = image.states() - 1;
        this.target = target;
        this.blockSizeBytes = blockSizeBytes;
        long wanted = image.sizeBytes(state);
        this.sizeBytes = Math.min(wanted, target.sizeBytes());
        if (isOrigin ? sizeBytes < wanted : blocks(sizeBytes) < blocks(wanted)) {
            throw new IOException("Output file too small: " + target.path() + " has " + target.sizeBytes()
                    + " bytes, the backup " + wanted + ": it is not the origin, or shrank since");
        }
    }

    private long blocks(long bytes) {
        return (bytes + blockSizeBytes - 1) / blockSizeBytes;
    }

    /** Receives each stretch, with {@link #wanted} holding the bytes that belong there. */
    private interface Stretch {
        void at(long offset, int length) throws IOException;
    }

    private void forEach(BlockSet blocks, LongConsumer progress, Stretch stretch) throws IOException {
        ByteRanges ranges = new ChangedRanges(blocks, blockSizeBytes, sizeBytes, sizeBytes);
        while (ranges.next()) {
            int length;
            for (long at = ranges.beginBytes(); at < ranges.endBytes(); at += length) {
                length = (int) Math.min(ranges.endBytes() - at, Chunk.MAX_DATA_BYTES);
                image.read(state, at, wanted.clear().limit(length));
                stretch.at(at, length);
                progress.accept(length);
            }
        }
    }

    /**
     * Looks at a sample of the blocks that were not written since, all over the target: each must be as in the streams.
     *
     * @throws IOException when one is not: another disk was meant, or this one was written past its era device
     */
    public void requireSameElsewhere(BlockSet since) throws IOException {
        long blocks = Math.min(since.nrBlocks(), blocks(sizeBytes));
        long others = 0;
        for (long block = 0; block < blocks; block++) {
            others += since.contains(block) ? 0 : 1;
        }
        long step = Math.max(1, others / Math.max(MIN_LOOKS, Math.min(MAX_LOOKS, LOOKED_AT_BYTES / blockSizeBytes)));
        BlockSet sample = new BlockSet(since.nrBlocks());
        long other = 0;
        for (long block = 0; block < blocks; block++) {
            if (!since.contains(block) && other++ % step == 0) {
                sample.add(block);
            }
        }
        BlockSet differing = differing(sample, bytes -> {});
        if (differing.count() > 0) {
            throw new IOException(target.path() + ": " + differing.count() + " of " + sample.count()
                    + " blocks differ from the streams that were not written since, by the metadata: it is not the origin, or"
                    + " was written past its era device; nothing is written (to put all of the backup onto it, leave out"
                    + " --changed-since)");
        }
    }

    /** How many bytes the blocks have in the state. */
    public long bytes(BlockSet blocks) {
        return new ChangedRanges(blocks, blockSizeBytes, sizeBytes, sizeBytes).totalBytes();
    }

    /** Reads all of {@code blocks} from the streams; throws when it can't. */
    public void requireReadable(BlockSet blocks, LongConsumer progress) throws IOException {
        forEach(blocks, progress, (offset, length) -> {});
    }

    /** Those of {@code blocks} in which the target differs from the streams. */
    public BlockSet differing(BlockSet blocks, LongConsumer progress) throws IOException {
        BlockSet differing = new BlockSet(blocks.nrBlocks());
        forEach(blocks, progress, (offset, length) -> {
            if (!isThere(offset, length)) {
                addDiffering(offset, length, differing);
            }
        });
        return differing;
    }

    private boolean isThere(long offset, int length) throws IOException {
        int skew = (int) (offset % OriginReader.ALIGNMENT_BYTES);
        target.read(offset - skew, length + skew, there, 0);
        return there.limit(skew + length)
                .position(skew)
                .equals(wanted.position(0).limit(length));
    }

    /** After {@link #isThere}: which blocks of the stretch it is that differ. */
    private void addDiffering(long offset, int length, BlockSet differing) {
        int skew = (int) (offset % OriginReader.ALIGNMENT_BYTES);
        int block;
        for (int at = 0; at < length; at += block) {
            block = (int) Math.min(length - at, blockSizeBytes - (offset + at) % blockSizeBytes);
            if (!wanted.clear().slice(at, block).equals(there.clear().slice(skew + at, block))) {
                differing.add((offset + at) / blockSizeBytes);
            }
        }
    }

    /** Writes {@code blocks} as they are in the streams, durably. */
    public void write(BlockSet blocks, Target to, LongConsumer progress) throws IOException {
        forEach(blocks, progress, (offset, length) -> {
            if (Zeroes.fill(wanted, 0, length)) {
                to.zero(offset, length);
            } else {
                to.write(offset, wanted.position(0).limit(length));
            }
        });
        to.flush();
    }
}
