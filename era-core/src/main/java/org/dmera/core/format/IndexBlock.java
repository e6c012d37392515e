// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;

/**
 * The space map's index block: a header of 16 bytes (u32 checksum, u32 padding, u64 own number), then 255 entries of 16
 * bytes, one for each bitmap block: u64 block, u32 nr_free, u32 none_free_before.
 *
 * <p>nr_free counts the zero counts among all 16320 of the bitmap, those past the end of the device included;
 * none_free_before is a hint: no entry below it is free. Source: the kernel's persistent-data library.
 */
public final class IndexBlock extends Flyweight {
    public static final int BLOCK_NR = 8;
    public static final int ENTRIES_OFFSET = 16;
    public static final int ENTRY_BYTES = 16;
    /** Bitmap blocks that one index can name. */
    public static final int ENTRIES = 255;
    /** Metadata blocks that can be used at all; the rest of a larger device is ignored. */
    public static final int MAX_METADATA_BLOCKS = ENTRIES * BitmapBlock.ENTRIES;

    /** Looks at the block at {@code offset}; returns this. */
    public IndexBlock wrap(ByteBuffer buffer, int offset) {
        view(buffer, offset);
        return this;
    }

    @Override
    public long blockNr() {
        return buffer.getLong(base + BLOCK_NR);
    }

    /** The bitmap block of entry {@code index}. */
    public long bitmapBlock(int index) {
        return buffer.getLong(at(index));
    }

    public int nrFree(int index) {
        return buffer.getInt(at(index) + 8);
    }

    public int noneFreeBefore(int index) {
        return buffer.getInt(at(index) + 12);
    }

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
