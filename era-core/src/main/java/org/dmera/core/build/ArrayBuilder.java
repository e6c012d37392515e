// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.build;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;

/** Builds an array from its values in order. */
final class ArrayBuilder {
    private final SequentialWriter out;
    private final int valueSize;
    private final TreeBuilder tree;
    private final ArrayBlock block = new ArrayBlock();
    private long blocks;
    private int inBlock;

    ArrayBuilder(SequentialWriter out, int valueSize) {
        this.out = out;
        this.valueSize = valueSize;
        this.tree = new TreeBuilder(out, BTreeNode.BLOCK_VALUE_BYTES);
    }

    /** Values appended so far. */
    long size() {
        return blocks * ArrayBlock.maxEntries(valueSize) + inBlock;
    }

    /** Appends {@code count} values, packed from {@code offset} in {@code buffer}. */
    void add(ByteBuffer buffer, int offset, int count) throws IOException {
        int max = ArrayBlock.maxEntries(valueSize);
        int done = 0;
        while (done < count) {
            if (inBlock == 0) {
                out.stage();
                block.format(out.staged(), out.stagedOffset(), valueSize);
            }
            int n = Math.min(count - done, max - inBlock);
            out.staged()
                    .put(
                            out.stagedOffset() + ArrayBlock.VALUES + inBlock * valueSize,
                            buffer,
                            offset + done * valueSize,
                            n * valueSize);
            inBlock += n;
            done += n;
            if (inBlock == max) {
                closeBlock();
            }
        }
    }

    private void closeBlock() throws IOException {
        block.nrEntries(inBlock);
        inBlock = 0;
        tree.add(blocks++, out.append(BlockType.ARRAY_BLOCK));
    }

    /** Writes what is open and returns the root. */
    long finish() throws IOException {
        if (inBlock > 0) {
            closeBlock();
        }
        return tree.finish();
    }
}
