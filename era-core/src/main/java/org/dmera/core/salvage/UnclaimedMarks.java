// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.BiPredicate;
import java.util.stream.Stream;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.evidence.ArrayMap;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.evidence.UnclaimedParts;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.evidence.UnclaimedParts.Subtree;
import org.dmera.core.evidence.Walk;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.Limits;
import org.dmera.core.mend.SalvageSurvey;
import org.dmera.core.mend.TreeSurvey;

/**
 * The marks in parts that are in use and have lost their reference, to be laid over what the trees record.
 *
 * <p>The keys of a subtree show which origin blocks it is for; an array block without its leaf could be any of its kind: for a
 * place whose block isn't known there is only the most that any candidate records of it.
 */
final class UnclaimedMarks implements Walk.WritesetVisitor {
    /** Of a bitset that may belong to any era. */
    private static final long ANY_ERA = -1;

    private final BlockDevice device;
    private final BlockUse trust;
    private final BlockReader reader;
    /** By the roots of bitsets, as a snapshot records them. */
    private final Map<Long, Long> knownEras;

    private final List<EraWindow.Part> parts = new ArrayList<>();
    /** Those of subtrees that have too many references, rather than too few. */
    private final List<EraWindow.Part> doubtedParts = new ArrayList<>();

    private final UnattachedBlocks unattached;
    private boolean complete;
    private final EraWindow any = new EraWindow();

    /**
     * Reads the parts; there are none as far as is known where the space map doesn't show them.
     *
     * @param doubted blocks to which more references lead than are counted, so that some are wrong
     */
    UnclaimedMarks(BlockDevice device, SalvageSurvey survey, List<Integer> doubted) {
        this.device = device;
        this.trust = survey.trustTable();
        this.knownEras = survey.erasOfSnapshot();
        this.reader = BlockReader.quiet(device, trust);
        UnclaimedParts missed = survey.missed();
        if (missed == null) {
            this.unattached = new UnattachedBlocks(reader, List.of());
            return;
        }
        this.complete = missed.unknown() == 0;
        for (Content content : Content.values()) {
            missed.subtrees(content).forEach(subtree -> add(subtree, parts));
            complete &= !missed.isCutShort(content);
        }
        for (int b : doubted) {
            Subtree subtree = missed.subtree(b);
            if (subtree != null && subtree.content() != Content.WRITESETS) {
                add(subtree, doubtedParts);
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
        return !parts.isEmpty() || !doubtedParts.isEmpty() || !unattached.isEmpty();
    }

    private BlockReader fresh() {
        return BlockReader.quiet(device, trust.withDoublyUsed());
    }

    private void add(Subtree subtree, List<EraWindow.Part> to) {
        if (subtree.content() == Content.WRITESETS) {
            Walk.writesets(fresh(), subtree.blockNr(), this);
        } else {
            long era = subtree.content() == Content.ERAS
                    ? ANY_ERA
                    : knownEras.getOrDefault((long) subtree.blockNr(), ANY_ERA);
            addArray(subtree.content(), subtree.blockNr(), subtree.low(), subtree.high(), era, to);
        }
    }

    private void addArray(Content content, long root, long low, long high, long era, List<EraWindow.Part> to) {
        if (low < 0 || high < low || high >= Limits.MAX_ARRAY_BLOCKS) {
            complete = false;
            return;
        }
        TreeSpec spec = TreeSpec.live(content.structure());
        ArrayMap map = ArrayMap.of(fresh(), spec, root, (high + 1) * ArrayBlock.maxEntries(spec.entryBytes()));
        // A bitset ends with its last word; the eras past the end of an array are lost.
        long length = content == Content.ERAS
                ? (high + 1) * ArrayBlock.ERAS_PER_BLOCK
                : map.usable(high) == 0 ? (high + 1) * EraWindow.SIZE : high * EraWindow.SIZE + map.usable(high) * 64L;
        to.add(new EraWindow.Part(content, low, length, era, map));
    }

    @Override
    public void writeset(long era, long nrBits, long root, boolean counted) {
        long blocks = (nrBits + EraWindow.SIZE - 1) / EraWindow.SIZE;
        if (era < 0 || era >= TreeSurvey.IMPLAUSIBLE_ERA) {
            complete = false;
        } else if (blocks > 0) {
            addArray(Content.WORDS, root, 0, blocks - 1, era, parts);
        }
    }

    @Override
    public void lost(long from, long last) {
        complete = false;
    }

    /**
     * Raises {@code window} to what the parts record, and to its most where a part of them is lost.
     *
     * @param bitsetEra stands for the era of a bitset of which none is known
     * @param isUnsure whether an unattached block with the content that is given may belong into an array block that seems to be
     *     sound: that of the index that is given
     */
    void overlay(EraWindow window, long bitsetEra, BiPredicate<Content, Long> isUnsure) {
        for (EraWindow.Part part : parts) {
            window.overlay(reader, part, Math.min(part.era() == ANY_ERA ? bitsetEra : part.era(), window.most));
        }
        for (int at = 0; at < window.count; at += ArrayBlock.ERAS_PER_BLOCK) {
            if (isUnsure.test(Content.ERAS, (window.first + at) / ArrayBlock.ERAS_PER_BLOCK)) {
                unattached.raiseByEras(window, at, Math.min(window.count, at + ArrayBlock.ERAS_PER_BLOCK));
            }
        }
        if (isUnsure.test(Content.WORDS, window.first / EraWindow.SIZE)) {
            unattached.raiseByWords(window);
        }
    }

    /** Lays whatever has {@code content} over {@link #any}. */
    private void layAll(Content content) {
        Stream.concat(parts.stream(), doubtedParts.stream())
                .filter(part -> part.content() == content)
                .forEach(part -> any.overlay(reader, part, any.most));
    }

    /** The most that any candidate records of array block {@code index} of a bitset. */
    long[] maxWords(long index) {
        any.begin(index * EraWindow.SIZE, EraWindow.SIZE, 1);
        layAll(Content.WORDS);
        unattached.raiseByWords(any);
        long[] most = new long[ArrayBlock.WORDS_PER_BLOCK];
        for (int i = 0; i < EraWindow.SIZE; i++) {
            most[i / Long.SIZE] |= (long) any.latest[i] << i;
        }
        return most;
    }

    /** The most that any candidate records of each entry of array block {@code index} of the era array; used again. */
    int[] maxEras(long index, long most) {
        any.begin(index * ArrayBlock.ERAS_PER_BLOCK, ArrayBlock.ERAS_PER_BLOCK, most);
        layAll(Content.ERAS);
        unattached.raiseByEras(any, 0, ArrayBlock.ERAS_PER_BLOCK);
        return any.latest;
    }
}
