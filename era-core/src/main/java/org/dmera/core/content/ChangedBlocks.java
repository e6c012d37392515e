// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.check.PlacesCheck;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Eras;
import org.dmera.core.read.ArrayScanner;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.read.ReadOnce;
import org.dmera.core.read.SharedReading;
import org.dmera.core.read.WritesetScanner;

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

    /** Below so many blocks for each, more threads cost more than they gain. */
    private static final long MIN_BLOCKS_PER_THREAD = 1 << 21;

    private final BlockDevice device;
    private final MetadataRoots roots;
    private final long since;
    private final long before;
    private final BlockSet set;

    private ChangedBlocks(BlockDevice device, MetadataRoots roots, long since, long before) {
        this.device = device;
        this.roots = roots;
        this.since = since;
        this.before = before;
        this.set = new BlockSet(roots.nrBlocks());
    }

    /**
     * The blocks last written in an era of at least {@code writtenSince} and below {@code writtenBefore}.
     *
     * @param roots of the live metadata ({@link MetadataRoots#read}), or of the held snapshot
     *     ({@link MetadataRoots#readSnapshot})
     * @throws org.dmera.core.format.DamagedMetadataException when the metadata can't be read to the end: there is no
     *     partial answer
     * @throws IOException when {@code writtenSince} is later than the era after the current one: the metadata was made
     *     anew since, or is another device's, and "nothing was written" would be wrong
     */
    public static BlockSet find(BlockDevice device, MetadataRoots roots, long writtenSince, long writtenBefore)
            throws IOException {
        return find(device, roots, writtenSince, writtenBefore, 1, null);
    }

    /** As {@link #find(BlockDevice, MetadataRoots, long, long)}, without an upper bound. */
    public static BlockSet since(BlockDevice device, MetadataRoots roots, long writtenSince) throws IOException {
        return find(device, roots, writtenSince, NO_BOUND);
    }

    /**
     * As {@link #find(BlockDevice, MetadataRoots, long, long)}, on several threads when there is work enough.
     *
     * @param threads how many at most, the caller's among them
     * @param executor runs the others; not used for a small device
     */
    public static BlockSet find(
            BlockDevice device,
            MetadataRoots roots,
            long writtenSince,
            long writtenBefore,
            int threads,
            Executor executor)
            throws IOException {
        if (writtenSince < 0 || writtenBefore < 0 || writtenBefore > NO_BOUND) {
            throw new IllegalArgumentException("eras from " + writtenSince + " to below " + writtenBefore);
        }
        if (writtenSince > roots.currentEra() + 1) {
            throw notReached(writtenSince, roots);
        }
        ChangedBlocks changed = new ChangedBlocks(device, roots, writtenSince, writtenBefore);
        if (writtenSince < writtenBefore) {
            int parts = (int) Math.max(1, Math.min(threads, roots.nrBlocks() / MIN_BLOCKS_PER_THREAD));
            changed.new Parts(parts).share(parts, executor);
        }
        PlacesCheck.refuse(device, roots);
        return changed.set;
    }

    /** What to throw when changes are asked for since an era that the metadata has not got to. */
    public static IOException notReached(long since, MetadataRoots roots) {
        return new IOException("changes since era " + since + " were asked for, and the current era is "
                + roots.currentEra() + ": the metadata was made anew since, or is another device's");
    }

    /** Each part is a range of blocks of its own, and so of words of the set: threads share nothing that they change. */
    private final class Parts extends SharedReading {
        private final int count;
        private final int wordsEach;
        private final AtomicInteger next = new AtomicInteger();

        Parts(int count) {
            super("the era array");
            this.count = count;
            this.wordsEach = (set.wordCount() + count - 1) / count;
        }

        @Override
        protected void read() throws IOException {
            for (int i = next.getAndIncrement(); i < count && !hasFailed(); i = next.getAndIncrement()) {
                new Part(64L * wordsEach * i, Math.min(64L * wordsEach * (i + 1), roots.nrBlocks())).collect();
            }
        }
    }

    /** Collects the blocks from {@code begin} (a multiple of 64) to below {@code end}. */
    private final class Part {
        private final long begin;
        private final long end;
        private boolean eraArrayReachesBefore;

        Part(long begin, long end) {
            this.begin = begin;
            this.end = end;
        }

        void collect() throws IOException {
            ReadOnce reading = new ReadOnce(device);
            scanEras(reading, new EraAdder(this));
            new WritesetFolder(this, reading, since, before, true).fold();
            if (before <= roots.currentEra()) {
                removeLater(new ReadOnce(device));
            }
        }

        /** Takes out what was written again in an era that is too late. */
        private void removeLater(ReadOnce reading) throws IOException {
            new WritesetFolder(this, reading, before, NO_BOUND, false).fold();
            if (eraArrayReachesBefore) {
                scanEras(reading, new EraRemover());
            }
        }

        private void scanEras(ReadOnce reading, ArrayScanner.ValueVisitor visitor) throws IOException {
            new ArrayScanner(reading).scanEras(roots, begin, end, visitor);
        }
    }

    /** Adds, or removes, the bits of writesets of some eras. (Classes, not lambdas: the first lambda costs 10 ms.) */
    private final class WritesetFolder implements WritesetScanner.WritesetVisitor, ArrayScanner.ValueVisitor {
        private final Part part;
        private final WritesetScanner writesets;
        private final long lowestEra;
        private final long endEra;
        private final boolean add;
        private int lastWord;
        private long lastMask;

        WritesetFolder(Part part, ReadOnce reading, long lowestEra, long endEra, boolean add) {
            this.part = part;
            this.writesets = new WritesetScanner(reading);
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
                long bits = Math.min(nrBits, part.end);
                lastWord = (int) (bits / 64);
                lastMask = (1L << bits) - 1;
                writesets.scanBits(era, nrBits, root, part.begin / 64, bits, this);
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
        private final Part part;
        private final boolean bounded = before <= 0xFFFFFFFFL;

        /** Copied out of the buffer in one go: short runs are over before a JIT makes single reads of buffers cheap. */
        private final int[] eras = new int[ArrayBlock.maxEntries(ArrayBlock.ERA_BYTES)];

        private ByteBuffer buffer;
        private IntBuffer values;
        private final long lastArchived = roots.lastArchived();
        /** Below 0 when an era was above the last that can have been digested. */
        private long beyond;

        EraAdder(Part part) {
            this.part = part;
        }

        @Override
        @SuppressWarnings("ReferenceEquality") // Another buffer with the same content is another buffer.
        public void values(long firstBlock, ByteBuffer run, int offset, int count) throws DamagedMetadataException {
            if (buffer != run) {
                buffer = run;
                values = run.duplicate().clear().order(run.order()).asIntBuffer();
            }
            values.get(offset / ArrayBlock.ERA_BYTES, eras, 0, count);
            int at = 0;
            while (at < count) {
                long block = firstBlock + at;
                int bit = (int) (block & 63);
                int end = Math.min(count, at + 64 - bit);
                set.or((int) (block >>> 6), bounded ? boundedBits(at, end, bit) : bits(at, end, bit));
                at = end;
            }
            if (beyond < 0) {
                Eras.requireDigested(run, offset, count, firstBlock, lastArchived);
            }
        }

        /** Without a branch: which side an era falls on is random to a predictor. */
        private long bits(int begin, int end, int firstBit) {
            long word = 0;
            long low = since;
            long high = lastArchived;
            long above = 0;
            int[] from = eras;
            for (int i = begin, bit = firstBit; i < end; i++, bit++) {
                long era = from[i] & 0xFFFFFFFFL;
                word |= ((era - low) >>> 63 ^ 1) << bit;
                above |= high - era;
            }
            beyond |= above;
            return word;
        }

        private long boundedBits(int begin, int end, int firstBit) {
            long word = 0;
            long reached = 0;
            for (int i = begin, bit = firstBit; i < end; i++, bit++) {
                long era = eras[i] & 0xFFFFFFFFL;
                beyond |= lastArchived - era;
                long tooLate = (era - before) >>> 63 ^ 1;
                word |= (((era - since) >>> 63 ^ 1) & ~tooLate) << bit;
                reached |= tooLate;
            }
            part.eraArrayReachesBefore |= reached != 0;
            return word;
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
