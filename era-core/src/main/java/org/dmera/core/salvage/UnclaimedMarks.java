// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.BiPredicate;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.evidence.ArrayMap;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.evidence.TreeWalk;
import org.dmera.core.evidence.UnclaimedParts;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.evidence.UnclaimedParts.Subtree;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.Limits;
import org.dmera.core.mend.TreeSurvey;

/**
 * The marks in parts that are in use and have lost their reference, to be laid over what the trees record.
 *
 * <p>The keys of a subtree show which origin blocks it is for; an array block without its leaf could be any of its
 * kind. So there are two answers: what certainly belongs to a window of the origin, and, for a place whose block isn't
 * known, the most that any candidate records of it.
 */
final class UnclaimedMarks {
    /** Origin blocks that are asked for at a time. */
    static final int WINDOW = ArrayBlock.WORDS_PER_BLOCK * Long.SIZE;

    private static final int ERA_BLOCKS = WINDOW / ArrayBlock.ERAS_PER_BLOCK;
    /** Of a bitset that may belong to any era. */
    private static final long ANY_ERA = -1;

    /**
     * The array blocks below a subtree, those from {@code low} to {@code high}.
     *
     * @param isDoubted whether the subtree has too many references, rather than too few
     */
    private record Piece(Content content, long low, long high, long era, ArrayMap map, boolean isDoubted) {}

    private final BlockDevice device;
    private final BlockUse trust;
    private final BlockReader reader;
    private final ByteBuffer block = BlockReader.newBuffer();
    private final ArrayBlock array = new ArrayBlock();
    private final Map<Long, Long> knownEras;
    private final List<Piece> pieces = new ArrayList<>();
    private final UnattachedBlocks unattached;
    private boolean complete;
    private final long[] bound = new long[ArrayBlock.WORDS_PER_BLOCK];

    /**
     * Reads the parts.
     *
     * @param trust the blocks that nobody believes in
     * @param knownEras roots of bitsets whose eras a snapshot records
     * @param doubted blocks to which more references lead than are counted, so that some are wrong
     */
    UnclaimedMarks(
            BlockDevice device,
            BlockUse trust,
            UnclaimedParts missed,
            Map<Long, Long> knownEras,
            List<Integer> doubted) {
        this.device = device;
        this.trust = trust;
        this.knownEras = knownEras;
        this.reader = BlockReader.quiet(device, trust);
        this.complete = missed.unknown() == 0;
        for (Content content : Content.values()) {
            missed.subtrees(content).forEach(subtree -> add(subtree, false));
            complete &= !missed.isCutShort(content);
        }
        for (int b : doubted) {
            Subtree subtree = missed.subtree(b);
            if (subtree != null) {
                add(subtree, true);
            }
        }
        List<Integer> blocks = new ArrayList<>(doubted);
        blocks.addAll(missed.unattached(Content.ERAS));
        blocks.addAll(missed.unattached(Content.WORDS));
        this.unattached = new UnattachedBlocks(reader, blocks);
    }

    /** Whether every part that has lost its reference could be read, so that no mark is outside them. */
    boolean isComplete() {
        return complete;
    }

    /** Whether there are such parts at all. */
    boolean isAnything() {
        return !pieces.isEmpty() || !unattached.isEmpty();
    }

    private BlockReader fresh() {
        return BlockReader.quiet(device, trust.withDoublyUsed());
    }

    private void add(Subtree subtree, boolean isDoubted) {
        if (subtree.content() == Content.WRITESETS) {
            if (!isDoubted) {
                addWritesets(subtree.blockNr());
            }
        } else {
            long era = subtree.content() == Content.ERAS
                    ? ANY_ERA
                    : knownEras.getOrDefault((long) subtree.blockNr(), ANY_ERA);
            addArray(subtree.content(), subtree.blockNr(), subtree.low(), subtree.high(), era, isDoubted);
        }
    }

    private void addArray(Content content, long root, long low, long high, long era, boolean isDoubted) {
        if (low < 0 || high < low || high >= Limits.MAX_ORIGIN_BLOCKS) {
            complete = false;
            return;
        }
        TreeSpec spec = TreeSpec.live(content.structure());
        ArrayMap map = ArrayMap.of(fresh(), spec, root, (high + 1) * ArrayBlock.maxEntries(spec.entryBytes()));
        pieces.add(new Piece(content, low, high, era, map, isDoubted));
    }

    private void addWritesets(long root) {
        List<long[]> writesets = new ArrayList<>();
        TreeWalk.WritesetVisitor visitor = new TreeWalk.WritesetVisitor() {
            @Override
            public void writeset(long era, long nrBits, long bits, boolean counted) {
                writesets.add(new long[] {era, nrBits, bits});
            }

            @Override
            public void lost(long from, long last) {
                complete = false;
            }
        };
        new TreeWalk(fresh(), TreeSpec.live(Structure.WRITESET_TREE), visitor).walk(root, true);
        for (long[] writeset : writesets) {
            long blocks = (writeset[1] + WINDOW - 1) / WINDOW;
            if (writeset[0] < 0 || writeset[0] >= TreeSurvey.IMPLAUSIBLE_ERA) {
                complete = false;
            } else if (blocks > 0) {
                addArray(Content.WORDS, writeset[2], 0, blocks - 1, writeset[0], false);
            }
        }
    }

    /**
     * Raises {@code latest} to what the parts record of the {@code count} origin blocks of window {@code w}, and to
     * {@code most} where a part of them is lost.
     *
     * @param bitsetEra stands for the era of a bitset of which none is known
     * @param isUnsure whether an unattached block with the content that is given may belong into an array block that seems to be
     *     sound: that of the index that is given
     */
    void overlay(int[] latest, long w, int count, long bitsetEra, long most, BiPredicate<Content, Long> isUnsure) {
        for (Piece piece : pieces) {
            if (piece.isDoubted()) {
                continue;
            }
            if (piece.content() == Content.WORDS) {
                if (hasWords(piece, w)) {
                    UnattachedBlocks.raise(
                            latest, bound, count, Math.min(piece.era() == ANY_ERA ? bitsetEra : piece.era(), most));
                }
                continue;
            }
            for (int at = 0; at < count; at += ArrayBlock.ERAS_PER_BLOCK) {
                overlayEras(piece, w * ERA_BLOCKS + at / ArrayBlock.ERAS_PER_BLOCK, latest, at, count, most);
            }
        }
        for (int at = 0; at < count; at += ArrayBlock.ERAS_PER_BLOCK) {
            if (isUnsure.test(Content.ERAS, w * ERA_BLOCKS + at / ArrayBlock.ERAS_PER_BLOCK)) {
                unattached.raiseByEras(latest, at, Math.min(count, at + ArrayBlock.ERAS_PER_BLOCK), most);
            }
        }
        if (isUnsure.test(Content.WORDS, w)) {
            unattached.raiseByWords(latest, count, most);
        }
    }

    private void overlayEras(Piece piece, long index, int[] latest, int at, int count, long most) {
        if (index < piece.low() || index > piece.high()) {
            return;
        }
        int n = Math.min(ArrayBlock.ERAS_PER_BLOCK, count - at);
        int usable = piece.map().load(reader, index, n, block);
        array.wrap(block, 0);
        for (int i = 0; i < n; i++) {
            long era = i < usable ? Math.min(most, Integer.toUnsignedLong(array.valueInt(i))) : most;
            UnattachedBlocks.raise(latest, at + i, era);
        }
    }

    /** Puts the words of a bitset for window {@code w} into {@link #bound}; returns whether it has any there. */
    private boolean hasWords(Piece piece, long w) {
        if (w < piece.low() || w > piece.high()) {
            return false;
        }
        int usable = piece.map().load(reader, w, bound.length, block);
        array.wrap(block, 0);
        for (int i = 0; i < bound.length; i++) {
            bound[i] = usable == 0 ? -1L : i < usable ? array.valueLong(i) : 0;
        }
        return true;
    }

    /** The most that any candidate records of array block {@code index} of a bitset; the array is used again. */
    long[] maxWords(long index) {
        long[] most = unattached.words();
        for (Piece piece : pieces) {
            if (piece.content() == Content.WORDS && hasWords(piece, index)) {
                for (int i = 0; i < most.length; i++) {
                    most[i] |= bound[i];
                }
            }
        }
        return most;
    }

    /** The most that any candidate records of each entry of array block {@code index} of the era array. */
    int[] maxEras(long index, long most) {
        int[] eras = new int[ArrayBlock.ERAS_PER_BLOCK];
        for (Piece piece : pieces) {
            if (piece.content() == Content.ERAS) {
                overlayEras(piece, index, eras, 0, eras.length, most);
            }
        }
        unattached.raiseByEras(eras, 0, eras.length, most);
        return eras;
    }
}
