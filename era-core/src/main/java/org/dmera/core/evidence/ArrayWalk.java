// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockType;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.HeaderRules;
import org.dmera.core.read.ArrayWalker;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.Problem;

/**
 * A walk of an array that reports every broken rule and goes on, with what is known of each block already. The visitor learns
 * of every block of the array exactly once and in order: present, or lost.
 */
public final class ArrayWalk extends Walk implements ArrayWalker.Policy {
    private final ArrayWalker walker;
    private final int valueBytes;

    private long root;
    private long entries;

    public ArrayWalk(BlockReader reader, TreeSpec spec, ArrayWalker.Visitor visitor) {
        super(reader, spec);
        this.valueBytes = spec.entryBytes();
        this.walker = new ArrayWalker(reader.source(), this, this, valueBytes, reader.arrayBuffers(), visitor);
    }

    /** Walks the array at {@code root}, which should have {@code entries} entries. */
    public ArrayWalker.Length walk(long root, long entries, boolean counted) {
        this.root = root;
        this.entries = entries;
        try {
            return walker.walk(root, entries, counted);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    String keys() {
        return walker.path();
    }

    @Override
    public short verdict(BTreeNode leaf, int index) {
        long blockNr = leaf.valueLong(index);
        return reader.table().isOutdated(blockNr) ? BlockVerdict.UNSEALED : reader.verdict(blockNr);
    }

    @Override
    public Problem explain(long blockNr, int code) {
        if (reader.table().isOutdated(blockNr)) {
            return MisdirectedWrites.problem(blockNr);
        }
        // Reading it again gives the reason in full.
        ByteBuffer block = BlockReader.newBuffer();
        Problem problem = reader.problem(blockNr, block, BlockType.ARRAY_BLOCK);
        return problem != null
                ? problem
                : Problem.badHeader(blockNr, HeaderRules.problems(new ArrayBlock().wrap(block, 0), valueBytes));
    }

    /**
     * Whether the leaf leads to a sound block of the other kind of array, and half of its entries or more do so or lie past the
     * end: then what fits is chance.
     */
    @Override
    public boolean isDistrusted(BTreeNode leaf) {
        int other = 0;
        int past = 0;
        int n = leaf.nrEntries();
        Content own = Content.of(spec);
        long needed = (entries + ArrayBlock.maxEntries(valueBytes) - 1) / ArrayBlock.maxEntries(valueBytes);
        for (int i = 0; i < n; i++) {
            long blockNr = leaf.valueLong(i);
            Content content = reader.table().isUsable(blockNr) ? Content.of(reader.code(blockNr)) : null;
            boolean isOther = content != null && content != own;
            other += isOther ? 1 : 0;
            past += !isOther && entries > 0 && Long.compareUnsigned(leaf.key(i), needed) >= 0 ? 1 : 0;
        }
        return other > 0 && 2 * (other + past) >= n;
    }

    @Override
    public void unreferenced(long index) {
        reader.log().lost(new MissingArrayBlock(spec, root, index));
    }
}
