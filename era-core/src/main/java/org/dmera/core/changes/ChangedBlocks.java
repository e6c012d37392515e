// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.changes;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.scan.ArrayScanner;
import org.dmera.core.scan.BlockReader;
import org.dmera.core.scan.MetadataRoots;
import org.dmera.core.scan.WritesetScanner;

/**
 * Answers the question that dm-era exists for: which blocks were written in an era from {@code writtenSince} on?
 *
 * <p>A block was last written in the highest era whose writeset has its bit, the current writeset included, or, when
 * none has, in the era that the era array gives. Metadata in which the era array is ahead of a writeset can't come from
 * the kernel; there the higher of the two counts, so that no write is missed. Memory is one bit a block.
 */
public final class ChangedBlocks {
    /** {@code writtenBefore} for no upper bound: above every era. */
    public static final long NO_BOUND = 1L << 32;

    private final MetadataRoots roots;
    private final long since;
    private final long before;
    private final BlockReader reader;
    private final BlockSet set;
    private boolean eraArrayReachesBefore;

    private ChangedBlocks(BlockDevice device, MetadataRoots roots, long since, long before) {
        this.roots = roots;
        this.since = since;
        this.before = before;
        this.reader = new BlockReader(device);
        this.set = new BlockSet(roots.nrBlocks());
    }

    /**
     * The blocks last written in an era of at least {@code writtenSince} and below {@code writtenBefore}.
     *
     * @param roots of the live metadata ({@link MetadataRoots#read}), or of the held snapshot
     *     ({@link MetadataRoots#readSnapshot})
     * @throws org.dmera.core.scan.DamagedMetadataException when the metadata can't be read to the end: there is no
     *     partial answer
     */
    public static BlockSet find(BlockDevice device, MetadataRoots roots, long writtenSince, long writtenBefore)
            throws IOException {
        ChangedBlocks changed = new ChangedBlocks(device, roots, writtenSince, writtenBefore);
        changed.collect();
        return changed.set;
    }

    /** As {@link #find(BlockDevice, MetadataRoots, long, long)}, without an upper bound. */
    public static BlockSet since(BlockDevice device, MetadataRoots roots, long writtenSince) throws IOException {
        return find(device, roots, writtenSince, NO_BOUND);
    }

    private void collect() throws IOException {
        if (since >= before) {
            return;
        }
        new ArrayScanner(reader)
                .scan(roots.eraArrayRoot(), roots.nrBlocks(), ArrayBlock.ERA_BYTES, "era array", new EraAdder());
        new WritesetFolder(reader, since, before, true).fold();
        if (before <= roots.currentEra()) {
            removeLater();
        }
    }

    /** Takes out what was written again in an era that is too late. */
    private void removeLater() throws IOException {
        BlockReader again = new BlockReader(reader.device());
        new WritesetFolder(again, before, NO_BOUND, false).fold();
        if (eraArrayReachesBefore) {
            new ArrayScanner(again)
                    .scan(roots.eraArrayRoot(), roots.nrBlocks(), ArrayBlock.ERA_BYTES, "era array", new EraRemover());
        }
    }

    /** Adds, or removes, the bits of writesets of some eras. (Classes, not lambdas: the first lambda costs 10 ms.) */
    private final class WritesetFolder implements WritesetScanner.WritesetVisitor, ArrayScanner.ValueVisitor {
        private final WritesetScanner writesets;
        private final long lowestEra;
        private final long endEra;
        private final boolean add;
        private int lastWord;
        private long lastMask;

        WritesetFolder(BlockReader reader, long lowestEra, long endEra, boolean add) {
            this.writesets = new WritesetScanner(reader);
            this.lowestEra = lowestEra;
            this.endEra = endEra;
            this.add = add;
        }

        void fold() throws IOException {
            writesets.forEach(roots, this);
        }

        @Override
        public void writeset(long era, long nrBits, long root) throws IOException {
            if (era >= lowestEra && era < endEra) {
                // Only blocks that the origin has now: one that shrank has writesets with more.
                long bits = Math.min(nrBits, roots.nrBlocks());
                lastWord = (int) (bits / 64);
                lastMask = (1L << bits) - 1;
                writesets.scanBits(era, bits, root, this);
            }
        }

        @Override
        public void values(long firstWord, ByteBuffer buffer, int offset, int count) {
            for (int i = 0; i < count; i++) {
                int index = (int) firstWord + i;
                long word = buffer.getLong(offset + 8 * i);
                if (index == lastWord) {
                    word &= lastMask;
                }
                if (add) {
                    set.or(index, word);
                } else {
                    set.andNot(index, word);
                }
            }
        }
    }

    /** Adds the blocks whose value in the era array is in the range. */
    private final class EraAdder implements ArrayScanner.ValueVisitor {
        private final boolean bounded = before <= 0xFFFFFFFFL;

        @Override
        public void values(long firstBlock, ByteBuffer buffer, int offset, int count) {
            long word = 0;
            int block = (int) firstBlock;
            for (int i = 0; i < count; i++, block++) {
                long era = buffer.getInt(offset + 4 * i) & 0xFFFFFFFFL;
                // Without a branch: which side an era falls on is random to a predictor.
                long in = ((era - since) >>> 63) ^ 1;
                if (bounded) {
                    long tooLate = ((era - before) >>> 63) ^ 1;
                    in &= ~tooLate;
                    eraArrayReachesBefore |= tooLate != 0;
                }
                word |= in << block;
                if ((block & 63) == 63) {
                    set.or(block >>> 6, word);
                    word = 0;
                }
            }
            if (word != 0) {
                set.or((block - 1) >>> 6, word);
            }
        }
    }

    /** Removes the blocks whose value in the era array is too late. */
    private final class EraRemover implements ArrayScanner.ValueVisitor {
        @Override
        public void values(long firstBlock, ByteBuffer buffer, int offset, int count) {
            for (int i = 0; i < count; i++) {
                long block = firstBlock + i;
                if ((buffer.getInt(offset + 4 * i) & 0xFFFFFFFFL) >= before) {
                    set.andNot((int) (block >>> 6), 1L << block);
                }
            }
        }
    }
}
