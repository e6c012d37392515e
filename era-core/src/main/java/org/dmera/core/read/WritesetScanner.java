// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Limits;
import org.dmera.core.format.WritesetValue;

/** Lists the writesets that have not been digested, in ascending order of era, and reads their bits. */
public final class WritesetScanner implements TreeWalker.Listener, ArrayScanner.ValueVisitor {
    /** Receives writesets. */
    public interface WritesetVisitor {
        /**
         * A writeset.
         *
         * @param era below or equal to the current era
         * @param nrBits blocks that the origin had in that era: may differ from what it has now
         * @param root of its bitset; to be read with {@link #scanBits}
         */
        void writeset(long era, long nrBits, long root) throws IOException;
    }

    private final ReadOnce reading;
    private final ArrayScanner arrays;
    private long highestEra;
    private WritesetVisitor visitor;
    /** The bitset that is read. */
    private String structure;

    private long nrBits;
    private ArrayScanner.ValueVisitor bits;

    /** {@code reading}: shared by all scanners that read parts of the same trees. */
    public WritesetScanner(ReadOnce reading) {
        this.reading = reading;
        this.arrays = new ArrayScanner(reading);
    }

    /**
     * Visits the archived writesets, and after them the current one where there is one, under the current era.
     *
     * @throws DamagedMetadataException when the tree isn't one, or an era is above the current one
     */
    public void forEach(MetadataRoots roots, WritesetVisitor visitor) throws IOException {
        this.visitor = visitor;
        this.highestEra = roots.lastArchived();
        try {
            new TreeWalker(reading.source(), reading, WritesetValue.BYTES, TreeWalker.newBuffers(), this)
                    .walk(roots.writesetTreeRoot(), 0, true);
            if (roots.hasCurrentWriteset()) {
                visit(roots.currentEra(), roots.currentWritesetNrBits(), roots.currentWritesetRoot());
            }
        } catch (DamagedMetadataException e) {
            roots.requireStillHeld(reading.source().device());
            throw e.on(reading.source().device().name());
        }
    }

    private void visit(long era, long nrBits, long root) throws IOException {
        structure = "writeset of era " + era;
        if (nrBits > Limits.MAX_ORIGIN_BLOCKS) {
            throw damaged(
                    DamageKind.BAD_FIELD, "nr_bits is " + nrBits + ", expected at most " + Limits.MAX_ORIGIN_BLOCKS);
        }
        visitor.writeset(era, nrBits, root);
    }

    private DamagedMetadataException damaged(DamageKind kind, String detail) {
        return new DamagedMetadataException(kind, -1, structure, structure + ": " + detail);
    }

    /** Reads the words of a writeset's bitset, which has {@code nrBits} bits; past those the last word is 0. */
    public void scanBits(long era, long nrBits, long root, ArrayScanner.ValueVisitor visitor) throws IOException {
        scanBits(era, nrBits, root, 0, nrBits, visitor);
    }

    /** As {@link #scanBits(long, long, long, ArrayScanner.ValueVisitor)}, from word {@code firstWord} to below bit {@code end}. */
    public void scanBits(long era, long nrBits, long root, long firstWord, long end, ArrayScanner.ValueVisitor visitor)
            throws IOException {
        this.structure = "writeset of era " + era;
        this.nrBits = nrBits;
        this.bits = visitor;
        arrays.scanPart(root, firstWord, words(end), words(nrBits), ArrayBlock.WORD_BYTES, structure, this);
    }

    private static long words(long bits) {
        return (bits + Long.SIZE - 1) / Long.SIZE;
    }

    @Override
    public void values(long firstWord, ByteBuffer buffer, int offset, int count) throws IOException {
        boolean isEndCut = nrBits % Long.SIZE != 0 && firstWord + count == words(nrBits);
        if (isEndCut && buffer.getLong(offset + ArrayBlock.WORD_BYTES * (count - 1)) >>> nrBits != 0) {
            throw damaged(DamageKind.BITS_PAST_END, "bits are set past the last of " + nrBits);
        }
        bits.values(firstWord, buffer, offset, count);
    }

    @Override
    public void problem(Problem problem) throws IOException {
        problem.failFast("writeset tree");
    }

    @Override
    public boolean leaf(BTreeNode leaf, boolean isFirst) throws IOException {
        for (int i = 0, count = leaf.nrEntries(); i < count; i++) {
            long era = leaf.key(i);
            if (era < 0 || era > highestEra) {
                throw new DamagedMetadataException(
                        DamageKind.ERA_ABOVE_CURRENT,
                        leaf.blockNr(),
                        "writeset tree",
                        "writeset tree: btree node " + leaf.blockNr() + " has a writeset of era "
                                + Long.toUnsignedString(era) + ", expected at most " + highestEra);
            }
            int offset = leaf.valueOffset(i);
            visit(era, WritesetValue.nrBits(leaf.buffer(), offset), WritesetValue.root(leaf.buffer(), offset));
        }
        return true;
    }
}
