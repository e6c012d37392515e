// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.build;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.IndexBlock;

/** Gives out metadata blocks from 1 on and writes them in runs of {@value #RUN_BLOCKS}. Block 0 is zeroed first. */
final class SequentialWriter {
    private static final int RUN_BLOCKS = 256;

    private final BlockDevice device;
    private final long limitBlocks;
    private final BlockSeal seal = new BlockSeal();
    private final ByteBuffer run;
    private long runBegin = 1;
    private long next = 1;
    private boolean begun;
    /** Nothing is written any more: what is appended is only counted. */
    private boolean counting;

    SequentialWriter(BlockDevice device) {
        this.device = device;
        this.limitBlocks = Math.min(device.sizeBlocks(), IndexBlock.MAX_METADATA_BLOCKS);
        this.run = newBuffer((int) Math.max(1, Math.min(RUN_BLOCKS, limitBlocks)));
    }

    static ByteBuffer newBuffer(int blocks) {
        return ByteBuffer.allocateDirect((blocks + 1) * BlockDevice.BLOCK_BYTES)
                .alignedSlice(BlockDevice.BLOCK_BYTES)
                .limit(blocks * BlockDevice.BLOCK_BYTES)
                .slice()
                .order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Metadata blocks that can be used. */
    long limitBlocks() {
        return limitBlocks;
    }

    /** The number that the next {@link #append} gets. */
    long next() {
        return next;
    }

    /**
     * Room for one block, zeroed, at {@link #stagedOffset} in {@link #staged}.
     */
    void stage() throws IOException {
        if (next >= limitBlocks) {
            countOnly();
        }
        if (stagedOffset() == run.capacity()) {
            writeRun();
        }
        int offset = stagedOffset();
        for (int i = 0; i < BlockDevice.BLOCK_BYTES; i += Long.BYTES) {
            run.putLong(offset + i, 0);
        }
    }

    ByteBuffer staged() {
        return run;
    }

    int stagedOffset() {
        return (int) (next - runBegin) * BlockDevice.BLOCK_BYTES;
    }

    /** Seals the staged block and returns its number. */
    long append(BlockType type) {
        seal.seal(type, run, stagedOffset(), next);
        return next++;
    }

    /** Appends a block that was made elsewhere: the first 4096 bytes of {@code block}. */
    long append(BlockType type, ByteBuffer block) throws IOException {
        if (next >= limitBlocks) {
            countOnly();
        }
        if (stagedOffset() == run.capacity()) {
            writeRun();
        }
        run.put(stagedOffset(), block, 0, BlockDevice.BLOCK_BYTES);
        return append(type);
    }

    /**
     * Writes what is staged.
     *
     * <p>Whatever block 0 held goes before anything else is overwritten, and is durable by then: a device that was
     * metadata must not look like it while its blocks are replaced.
     */
    void writeRun() throws IOException {
        if (counting) {
            runBegin = next;
            return;
        }
        if (!begun) {
            invalidateSuperblock();
            begun = true;
        }
        if (next > runBegin) {
            device.write(runBegin, run.clear().limit(stagedOffset()));
            runBegin = next;
            run.clear();
        }
    }

    /** Zeroes block 0, durably. */
    void invalidateSuperblock() throws IOException {
        device.write(0, newBuffer(1));
        device.flush();
    }

    /**
     * It doesn't fit: from now on blocks are counted, so that what it would have needed can be named in the end. What is on
     * the device stays as it is.
     */
    void countOnly() {
        counting = true;
    }

    /** Whether more blocks were asked for than there are. */
    boolean isCounting() {
        return counting;
    }

    /** Everything durable, then the superblock, durable too. */
    void commit(ByteBuffer superblock) throws IOException {
        writeRun();
        device.flush();
        seal.seal(BlockType.SUPERBLOCK, superblock, 0, 0);
        device.write(0, superblock.clear());
        device.flush();
    }

    /** Says that {@code blocks} are needed, no more and no less. */
    IOException tooSmall(long blocks) {
        return tooSmall("", blocks);
    }

    /** Says that {@code blocks} are needed, and probably more. */
    IOException tooSmallByFar(long blocks) {
        return tooSmall("at least ", blocks);
    }

    private IOException tooSmall(String about, long blocks) {
        String needed = about + blocks + " blocks of 4096 bytes (" + blocks * BlockDevice.BLOCK_BYTES + " bytes)";
        return new IOException(
                blocks > IndexBlock.MAX_METADATA_BLOCKS
                        ? "The metadata needs " + needed + ", the format has room for " + IndexBlock.MAX_METADATA_BLOCKS
                        : "Output file too small: it has " + device.sizeBlocks() + " blocks, the metadata needs "
                                + needed);
    }
}
