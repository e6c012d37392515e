// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.BiPredicate;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.evidence.ArrayMap;
import org.dmera.core.evidence.ArrayWalk;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.evidence.TreeWalk;
import org.dmera.core.evidence.UnclaimedParts;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.evidence.UnclaimedParts.Subtree;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.Limits;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.mend.SalvageSurvey;
import org.dmera.core.read.BlockVerdict;

/**
 * The marks in parts that are in use and have lost their reference, to be laid over what the trees say.
 *
 * <p>The keys of a subtree tell which origin blocks it is for; an array block without its leaf could be any of its
 * kind. So there are two answers: what certainly belongs to a window of the origin, and, for a place whose block isn't
 * known, the most that any candidate says of it.
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
    /** For each place in an array block the most that a loose one says; null if there is none. */
    private final int[] unattachedEras;

    private final long[] unattachedWords;
    private boolean complete;
    private final long[] bound = new long[ArrayBlock.WORDS_PER_BLOCK];

    /**
     * Reads the parts.
     *
     * @param trust the blocks that nobody believes in
     * @param knownEras roots of bitsets whose eras a snapshot tells
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
            Subtree subtree = missed.subtreeAt(b);
            if (subtree != null) {
                add(subtree, true);
            }
        }
        this.unattachedEras = eras(missed.unattached(Content.ERAS), doubted);
        this.unattachedWords = words(missed.unattached(Content.WORDS), doubted);
    }

    /** Whether every part that has lost its reference could be read, so that no mark is outside them. */
    boolean isComplete() {
        return complete;
    }

    /** Whether there are such parts at all. */
    boolean isAnything() {
        return !pieces.isEmpty() || unattachedEras != null || unattachedWords != null;
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
        boolean isEras = content == Content.ERAS;
        Structure structure = isEras ? Structure.ERA_ARRAY : Structure.WRITESET;
        TreeSpec spec = TreeSpec.live(structure, -1);
        ArrayMap map = new ArrayMap();
        int bytes = isEras ? ArrayBlock.ERA_BYTES : ArrayBlock.WORD_BYTES;
        new ArrayWalk(fresh(), spec, map).walk(root, (high + 1) * ArrayBlock.maxEntries(bytes), true);
        pieces.add(new Piece(content, low, high, era, map, isDoubted));
    }

    private void addWritesets(long root) {
        TreeSpec spec = TreeSpec.live(Structure.WRITESET_TREE);
        List<long[]> writesets = new ArrayList<>();
        new TreeWalk(fresh(), spec, new TreeWalk.Visitor() {
                    @Override
                    public void entry(BTreeNode leaf, int index, boolean counted) {
                        int offset = leaf.valueOffset(index);
                        long nrBits = WritesetValue.nrBits(leaf.buffer(), offset);
                        writesets.add(new long[] {leaf.key(index), WritesetValue.root(leaf.buffer(), offset), nrBits});
                    }

                    @Override
                    public void lost(long from, long last) {
                        complete = false;
                    }
                })
                .walk(root, true);
        for (long[] writeset : writesets) {
            long blocks = (writeset[2] + WINDOW - 1) / WINDOW;
            if (writeset[0] < 0 || writeset[0] >= SalvageSurvey.IMPLAUSIBLE_ERA) {
                complete = false;
            } else if (blocks > 0) {
                addArray(Content.WORDS, writeset[1], 0, blocks - 1, writeset[0], false);
            }
        }
    }

    private int[] eras(List<Integer> unattached, List<Integer> doubted) {
        int[] most = null;
        for (int b : concat(unattached, doubted)) {
            if (isA(b, BlockVerdict.ERAS) && reader.tryRead(b, block) == null) {
                most = most == null ? new int[ArrayBlock.ERAS_PER_BLOCK] : most;
                array.wrap(block, 0);
                for (int i = 0; i < array.nrEntries(); i++) {
                    most[i] = higher(most[i], array.valueInt(i));
                }
            }
        }
        return most;
    }

    private long[] words(List<Integer> unattached, List<Integer> doubted) {
        long[] all = null;
        for (int b : concat(unattached, doubted)) {
            if (isA(b, BlockVerdict.WORDS) && reader.tryRead(b, block) == null) {
                all = all == null ? new long[ArrayBlock.WORDS_PER_BLOCK] : all;
                array.wrap(block, 0);
                for (int i = 0; i < array.nrEntries(); i++) {
                    all[i] |= array.valueLong(i);
                }
            }
        }
        return all;
    }

    private static List<Integer> concat(List<Integer> some, List<Integer> others) {
        List<Integer> both = new ArrayList<>(some);
        both.addAll(others);
        return both;
    }

    private boolean isA(int blockNr, int what) {
        int code = reader.code(blockNr);
        return code == what || what == BlockVerdict.ERAS && code == BlockVerdict.ERAS_ABOVE_CURRENT;
    }

    private static int higher(int one, int other) {
        return Integer.compareUnsigned(one, other) < 0 ? other : one;
    }

    /**
     * Raises {@code latest} to what the parts say of the {@code count} origin blocks of window {@code w}, and to
     * {@code most} where a part of them is lost.
     *
     * @param bitsetEra stands for the era of a bitset of which none is known
     * @param isUnsure whether a loose block with the content that is given may belong into an array block that seems to be
     *     sound: that of the index that is given
     */
    void overlay(int[] latest, long w, int count, long bitsetEra, long most, BiPredicate<Content, Long> isUnsure) {
        for (Piece piece : pieces) {
            if (piece.content() == Content.WORDS) {
                long era = piece.era() == ANY_ERA ? bitsetEra : piece.era();
                boolean isHere = !piece.isDoubted() && wordsOf(piece, w);
                for (int i = 0; isHere && i < count; i += Long.SIZE) {
                    raise(latest, i, Math.min(count, i + Long.SIZE), bound[i / Long.SIZE], Math.min(era, most));
                }
                continue;
            }
            for (int i = 0; i < ERA_BLOCKS && i * ArrayBlock.ERAS_PER_BLOCK < count && !piece.isDoubted(); i++) {
                overlayEras(piece, w * ERA_BLOCKS + i, latest, i * ArrayBlock.ERAS_PER_BLOCK, count, most);
            }
        }
        overlayUnattached(latest, w, count, most, isUnsure);
    }

    private void overlayEras(Piece piece, long index, int[] latest, int at, int count, long most) {
        if (index < piece.low() || index > piece.high()) {
            return;
        }
        int n = Math.min(ArrayBlock.ERAS_PER_BLOCK, count - at);
        int usable = Math.min(n, piece.map().usable(index));
        if (piece.map().block(index) == ArrayMap.LOST
                || reader.tryRead(piece.map().block(index), block) != null) {
            usable = 0;
        }
        array.wrap(block, 0);
        for (int i = 0; i < n; i++) {
            long era = i < usable ? Math.min(most, Integer.toUnsignedLong(array.valueInt(i))) : most;
            latest[at + i] = higher(latest[at + i], (int) era);
        }
    }

    /** Puts the words of a bitset for window {@code w} into {@link #bound}; returns whether it has any there. */
    private boolean wordsOf(Piece piece, long w) {
        if (w < piece.low() || w > piece.high()) {
            return false;
        }
        if (piece.map().block(w) == ArrayMap.LOST || reader.tryRead(piece.map().block(w), block) != null) {
            java.util.Arrays.fill(bound, -1L);
            return true;
        }
        array.wrap(block, 0);
        for (int i = 0; i < bound.length; i++) {
            bound[i] = i < array.nrEntries() ? array.valueLong(i) : 0;
        }
        return true;
    }

    private void overlayUnattached(int[] latest, long w, int count, long most, BiPredicate<Content, Long> isUnsure) {
        for (int i = 0; i < count && unattachedEras != null; i++) {
            if (isUnsure.test(Content.ERAS, w * ERA_BLOCKS + i / ArrayBlock.ERAS_PER_BLOCK)) {
                long era = Integer.toUnsignedLong(unattachedEras[i % ArrayBlock.ERAS_PER_BLOCK]);
                latest[i] = higher(latest[i], (int) Math.min(most, era));
            }
        }
        boolean areWordsUnsure = unattachedWords != null && isUnsure.test(Content.WORDS, w);
        for (int i = 0; i < count && areWordsUnsure; i += Long.SIZE) {
            raise(latest, i, Math.min(count, i + Long.SIZE), unattachedWords[i / Long.SIZE], most);
        }
    }

    private static void raise(int[] latest, int from, int to, long word, long era) {
        for (int i = from; i < to && word != 0; i++) {
            if ((word >>> i & 1) != 0) {
                latest[i] = higher(latest[i], (int) era);
            }
        }
    }

    /** The most that any candidate says of array block {@code index} of a bitset; the array is used again. */
    long[] maxWords(long index) {
        long[] most = unattachedWords == null ? new long[ArrayBlock.WORDS_PER_BLOCK] : unattachedWords.clone();
        for (Piece piece : pieces) {
            if (piece.content() == Content.WORDS && wordsOf(piece, index)) {
                for (int i = 0; i < most.length; i++) {
                    most[i] |= bound[i];
                }
            }
        }
        return most;
    }

    /** The most that any candidate says of each entry of array block {@code index} of the era array. */
    int[] maxEras(long index, long most) {
        int[] eras = new int[ArrayBlock.ERAS_PER_BLOCK];
        for (Piece piece : pieces) {
            if (piece.content() == Content.ERAS) {
                overlayEras(piece, index, eras, 0, eras.length, most);
            }
        }
        for (int i = 0; i < eras.length && unattachedEras != null; i++) {
            eras[i] = higher(eras[i], (int) Math.min(most, Integer.toUnsignedLong(unattachedEras[i])));
        }
        return eras;
    }
}
