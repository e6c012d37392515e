// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;

/**
 * The space map's index block: one entry for each bitmap block, in order. Little-endian; source:
 * {@code struct disk_metadata_index} and {@code struct disk_index_entry} in {@code dm-space-map-common.h}.
 *
 * <pre>
 *   0  u32  csum      see {@link Flyweight}, salt 160478
 *   4  u32  padding
 *   8  u64  BLOCK_NR  the block's own number
 *  16  255 × 16       ENTRIES_OFFSET
 *  each entry:
 *   +0  u64  the bitmap block; 0 for an entry that isn't in use
 *   +8  u32  nr_free: counts that are 0 among all 16320 of the bitmap, those past the device's end included
 *  +12  u32  none_free_before: no count below this one is 0 (a hint: some from it on may be taken, too)
 * </pre>
 *
 * <p>Worked example: block 1 of the kernel-made image {@code a_fresh_bs128.clean}. Block 3 is the only bitmap.
 *
 * <pre>
 *     0  1b 6f 8a 38 00 00 00 00 01 00 00 00 00 00 00 00
 *    16  03 00 00 00 00 00 00 00 bc 3f 00 00 04 00 00 00
 *
 *  checksum() = 0x388a6f1b   blockNr() = 1
 *  bitmapBlock(0) = 3   nrFree(0) = 16316   noneFreeBefore(0) = 4
 *  bitmapBlock(1) = 0   nrFree(1) = 0
 * </pre>
 */
public final class IndexBlock extends Flyweight {
    /** Offset of the block's own number (u64). */
    public static final int BLOCK_NR = 8;
    /** Offset of the first entry. */
    public static final int ENTRIES_OFFSET = 16;
    /** Bytes of an entry. */
    public static final int ENTRY_BYTES = 16;
    /** Bitmap blocks that one index can name. */
    public static final int ENTRIES = 255;
    /** Metadata blocks that can be used at all; the rest of a larger device is ignored. */
    public static final int MAX_METADATA_BLOCKS = ENTRIES * BitmapBlock.ENTRIES;

    /**
     * Looks at a block.
     *
     * @param buffer little-endian
     * @param offset where in it the block begins, in bytes
     * @return this
     */
    public IndexBlock wrap(ByteBuffer buffer, int offset) {
        view(buffer, offset);
        return this;
    }

    @Override
    public long blockNr() {
        return buffer.getLong(base + BLOCK_NR);
    }

    /**
     * {@return the bitmap block (u64) of an entry}
     *
     * @param index 0 to 254
     */
    public long bitmapBlock(int index) {
        return buffer.getLong(at(index));
    }

    /**
     * {@return how many of the bitmap's 16320 counts are 0, as stored}
     *
     * @param index 0 to 254
     */
    public int nrFree(int index) {
        return buffer.getInt(at(index) + 8);
    }

    /**
     * {@return the stored hint: no count of the bitmap below this one is 0}
     *
     * @param index 0 to 254
     */
    public int noneFreeBefore(int index) {
        return buffer.getInt(at(index) + 12);
    }

    /**
     * Stores an entry.
     *
     * @param index 0 to 254
     * @param bitmapBlock u64
     * @param nrFree 0 to 16320
     * @param noneFreeBefore 0 to 16320
     * @return this
     */
    public IndexBlock entry(int index, long bitmapBlock, int nrFree, int noneFreeBefore) {
        buffer.putLong(at(index), bitmapBlock);
        buffer.putInt(at(index) + 8, nrFree);
        buffer.putInt(at(index) + 12, noneFreeBefore);
        return this;
    }

    private int at(int index) {
        return base + ENTRIES_OFFSET + index * ENTRY_BYTES;
    }
}
