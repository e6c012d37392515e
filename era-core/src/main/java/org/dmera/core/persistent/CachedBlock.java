// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;

/**
 * A metadata block in memory, with a view of its own for each layout, so that several blocks can be looked at side by
 * side without allocation.
 *
 * <p>A reference to one is good until the next {@link BlockCache#trim()}, or as long as it is pinned.
 */
final class CachedBlock {
    final byte[] bytes = new byte[BlockDevice.BLOCK_BYTES];
    final ByteBuffer data = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);

    private final BTreeNode node = new BTreeNode();
    private final ArrayBlock array = new ArrayBlock();
    private final BitmapBlock bitmap = new BitmapBlock();

    long number;
    BlockType type;
    boolean dirty;
    /** Above 0: not to be evicted. */
    int pins;
    /** The value size for which the header has been found sane, 0 when it has not been looked at. */
    int shapeCheckedFor;

    CachedBlock older;
    CachedBlock newer;

    BTreeNode node() {
        return node.wrap(data, 0);
    }

    ArrayBlock array() {
        return array.wrap(data, 0);
    }

    BitmapBlock bitmap() {
        return bitmap.wrap(data, 0);
    }
}
