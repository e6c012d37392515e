// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.build;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.content.ContentException;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;

/**
 * Writes metadata to a device while its content comes in. All writesets become archived ones, that of the current era
 * included: the target archives the current one anyway when it starts.
 *
 * <p>It takes nothing on trust that would make bad metadata: sizes, the order of eras and the completeness of arrays are
 * checked, and a violation is a {@link ContentException} with the reason. After a failure call {@link #abandon}.
 */
public final class MetadataBuilder implements MetadataVisitor {
    /** Of what needs more, the exact size isn't found out: 256 MiB. */
    private static final long MAX_COUNTED_BLOCKS = 1 << 16;

    private final SequentialWriter out;
    private final ByteBuffer superblockBuffer = SequentialWriter.newBuffer(1);
    private final Superblock superblock = new Superblock().wrap(superblockBuffer, 0);
    private final ByteBuffer lastWord = ByteBuffer.allocate(Long.BYTES).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    private final TreeBuilder writesets;

    private long nrBlocks = -1;
    private long currentEra;
    private long lastEra = -1;
    private long era = -1;
    private long nrBits;
    private ArrayBuilder bits;
    private ArrayBuilder eras;
    private boolean eraArrayDone;
    private boolean committing;

    /** Builds on {@code device}, whose every block may be overwritten. */
    public MetadataBuilder(BlockDevice device) {
        out = new SequentialWriter(device);
        writesets = new TreeBuilder(out, WritesetValue.BYTES);
    }

    @Override
    public void superblock(long dataBlockSizeSectors, long nrBlocks, long currentEra) throws IOException {
        require(this.nrBlocks < 0, "superblock: there are two");
        require(
                Limits.isBlockSize(dataBlockSizeSectors),
                "superblock: block_size is " + dataBlockSizeSectors + ", expected a multiple of 8 above 0");
        String impossible = Limits.whyNoOrigin(nrBlocks, dataBlockSizeSectors);
        require(impossible == null, "superblock: " + impossible);
        require(
                currentEra >= 0 && currentEra <= 0xFFFFFFFFL,
                "superblock: current_era is " + currentEra + ", expected at most 4294967295");
        this.nrBlocks = nrBlocks;
        this.currentEra = currentEra;
        superblock
                .flags(Superblock.FLAG_CLEAN_SHUTDOWN)
                .magic(Superblock.MAGIC)
                .version(Superblock.VERSION)
                .dataBlockSizeSectors(dataBlockSizeSectors)
                .metadataBlockSizeSectors(Superblock.METADATA_BLOCK_SIZE_SECTORS)
                .nrBlocks(nrBlocks)
                .currentEra(currentEra);
        // Known at once, so nothing is touched on a device that can't hold it.
        requireRoom(0);
    }

    /**
     * Writes no more when not even {@code blocks} more, and what has to come in any case, have room: what was needed is named
     * in the end, when it is known.
     *
     * @throws IOException at once when so much is needed that reading on would take long
     */
    private void requireRoom(long blocks) throws IOException {
        long least = out.next()
                + blocks
                + arrayBlocks(nrBlocks, ArrayBlock.ERAS_PER_BLOCK)
                + 1
                + SpaceMapBuilder.sizeBlocks(out.limitBlocks());
        if (least > out.limitBlocks()) {
            if (least > MAX_COUNTED_BLOCKS) {
                throw out.tooSmallByFar(least);
            }
            out.countOnly();
        }
    }

    /** Blocks of an array of {@code values} values: its array blocks and the tree above them. */
    private static long arrayBlocks(long values, int perBlock) {
        long blocks = (values + perBlock - 1) / perBlock;
        return blocks + treeBlocks(blocks, BTreeNode.BLOCK_VALUE_BYTES);
    }

    /** Nodes of a tree of {@code entries} entries. */
    private static long treeBlocks(long entries, int leafValueSize) {
        int max = BTreeNode.maxEntries(leafValueSize);
        long level = Math.max(1, (entries + max - 1) / max);
        long sum = level;
        while (level > 1) {
            max = BTreeNode.maxEntries(BTreeNode.BLOCK_VALUE_BYTES);
            level = (level + max - 1) / max;
            sum += level;
        }
        return sum;
    }

    /**
     * Metadata blocks with which the content of so many origin blocks and full writesets surely fits, capped at the
     * format's limit: for who makes a file for it.
     */
    public static long sufficientBlocks(long nrBlocks, long writesets) {
        long content = 1
                + arrayBlocks(nrBlocks, ArrayBlock.ERAS_PER_BLOCK)
                + writesets * arrayBlocks((nrBlocks + 63) / 64, ArrayBlock.WORDS_PER_BLOCK)
                + treeBlocks(writesets, WritesetValue.BYTES);
        return Math.min(SpaceMapBuilder.withSpaceMap(content), IndexBlock.MAX_METADATA_BLOCKS);
    }

    @Override
    public void beginWriteset(long era, long nrBits) throws IOException {
        require(nrBlocks >= 0 && bits == null && eras == null, "a writeset where none can begin");
        require(era >= 0 && era <= currentEra, "writeset of era " + era + ": above the current era, " + currentEra);
        require(era > lastEra, "writeset of era " + era + " follows that of era " + lastEra + ", eras must ascend");
        require(
                nrBits >= 0 && nrBits <= Integer.MAX_VALUE,
                "writeset of era " + era + ": nr_bits is " + nrBits + ", expected at most 2147483647");
        requireRoom(arrayBlocks((nrBits + 63) / 64, ArrayBlock.WORDS_PER_BLOCK));
        this.era = era;
        this.lastEra = era;
        this.nrBits = nrBits;
        bits = new ArrayBuilder(out, ArrayBlock.WORD_BYTES);
    }

    @Override
    public void words(long firstWord, ByteBuffer buffer, int offset, int count) throws IOException {
        require(bits != null && firstWord == bits.size(), "writeset of era " + era + ": words out of order");
        boolean partial = nrBits % 64 != 0 && firstWord + count == (nrBits + 63) / 64;
        bits.add(buffer, offset, partial ? count - 1 : count);
        if (partial) {
            // What follows the last bit is zero in what the kernel writes.
            lastWord.putLong(0, buffer.getLong(offset + 8 * (count - 1)) & (1L << nrBits) - 1);
            bits.add(lastWord, 0, 1);
        }
    }

    @Override
    public void endWriteset() throws IOException {
        require(
                bits != null && bits.size() == (nrBits + 63) / 64,
                "writeset of era " + era + ": it ended before its last bit");
        long root = bits.finish();
        bits = null;
        int entry = writesets.addKey(era);
        WritesetValue.put(writesets.valueBuffer(), writesets.valueOffset(entry), nrBits, root);
    }

    @Override
    public void beginEraArray() throws IOException {
        require(nrBlocks >= 0 && bits == null && eras == null && !eraArrayDone, "an era array where none can begin");
        eras = new ArrayBuilder(out, ArrayBlock.ERA_BYTES);
    }

    @Override
    public void eras(long firstBlock, ByteBuffer buffer, int offset, int count) throws IOException {
        require(eras != null && firstBlock == eras.size(), "era array: values out of order");
        require(eras.size() + count <= nrBlocks, "era array: more values than nr_blocks, which is " + nrBlocks);
        for (int i = 0; i < count; i++) {
            long value = buffer.getInt(offset + 4 * i) & 0xFFFFFFFFL;
            if (value > currentEra) {
                throw new ContentException("era array: block " + (firstBlock + i) + " has era " + value
                        + ", above the current era, " + currentEra);
            }
        }
        eras.add(buffer, offset, count);
    }

    @Override
    public void endEraArray() throws IOException {
        require(eras != null, "an era array ends that did not begin");
        require(eras.size() == nrBlocks, "era array: it has " + eras.size() + " values, nr_blocks is " + nrBlocks);
        superblock.eraArrayRoot(eras.finish());
        eras = null;
        eraArrayDone = true;
    }

    /** Completes the metadata: it is durable when this returns. */
    @Override
    public void end() throws IOException {
        require(eraArrayDone, "the era array is missing");
        superblock.writesetTreeRoot(writesets.finish());
        SpaceMapBuilder.build(out, superblock);
        committing = true;
        out.commit(superblockBuffer);
        committing = false;
    }

    /**
     * To be called when anything failed: sees to it that what lies on the device isn't taken for metadata.
     *
     * @throws IOException when even that failed
     */
    public void abandon() throws IOException {
        if (committing) {
            // The superblock may have got there; what it leads to may not be durable.
            out.invalidateSuperblock();
        }
    }

    private static void require(boolean holds, String otherwise) throws ContentException {
        if (!holds) {
            throw new ContentException(otherwise);
        }
    }
}
