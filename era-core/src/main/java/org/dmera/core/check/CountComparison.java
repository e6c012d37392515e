// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.DamageLocation;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.evidence.Structure;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.read.StoredCounts;

/**
 * Compares the stored counts with the references that were found; neighbours with the same trouble make one finding. While
 * part of a tree can't be read, only counts that are too low are reported: those are wrong whatever that part refers to.
 */
final class CountComparison {
    private final BlockUse table;
    private final DamageLog log;
    private final StoredCounts counts;
    private final byte[] treeCounts;
    private final boolean treeDamaged;
    private final boolean complete;
    private final int covered;

    private DamageKind runKind;
    private int runStart;
    private int runStored;
    private int runExpected;
    private long unjudged;

    /**
     * A comparison.
     *
     * @param covered blocks that the space map is for, as it has it
     * @param treeCounts by block the count in the ref-count tree, as {@link #fromTree} has it; null when it has none
     */
    CountComparison(
            BlockUse table, DamageLog log, StoredCounts counts, int covered, byte[] treeCounts, boolean treeDamaged) {
        this.table = table;
        this.log = log;
        this.counts = counts;
        this.covered = covered;
        this.treeCounts = treeCounts;
        this.treeDamaged = treeDamaged;
        this.complete = !log.areTreesIncomplete();
    }

    void run() {
        int end = 0;
        for (int b = next(0); b < table.size(); b = next(end)) {
            if (b > end) {
                flush(end);
            }
            end = b + 1;
            int stored = counts.count(b);
            int expected = table.references(b);
            if (stored == BitmapBlock.SEE_TREE) {
                stored = countInTree(b);
            } else if (stored >= 0 && treeCounts != null && treeCounts[b] != 0) {
                stale(b, log);
            }
            // Entries without a count of their own have been reported with their bitmap.
            if (stored == expected || stored < 0) {
                flush(b);
            } else {
                judge(b, stored, expected);
            }
        }
        flush(end);
        beyondMap();
        pastTheEnd();
        if (unjudged > 0) {
            log.add(
                    DamageKind.COUNTS_NOT_JUDGED,
                    counts(""),
                    Damage.NO_BLOCK,
                    unjudged + " blocks have more references stored than were found; whether they are leaked can't be"
                            + " told while part of the trees is unreadable");
        }
    }

    /** The next block from {@code from} on that has to be looked at. */
    private int next(int from) {
        return treeCounts == null ? table.firstOther(from, counts) : from;
    }

    private void judge(int b, int stored, int expected) {
        if (stored > expected && !complete) {
            unjudged++;
            flush(b);
            return;
        }
        DamageKind kind = stored < expected
                ? DamageKind.COUNT_TOO_LOW
                : expected == 0 ? DamageKind.LEAKED : DamageKind.COUNT_TOO_HIGH;
        if (kind != runKind || stored != runStored || expected != runExpected) {
            flush(b);
            runKind = kind;
            runStart = b;
            runStored = stored;
            runExpected = expected;
        }
    }

    private void flush(int end) {
        if (runKind == null) {
            return;
        }
        DamageKind kind = runKind;
        runKind = null;
        if (log.countsOnly(kind)) {
            return;
        }
        log.add(
                kind,
                counts(kind == DamageKind.LEAKED ? "freed" : "set to " + runExpected),
                runStart,
                end - runStart,
                kind == DamageKind.LEAKED
                        ? "marked as used (count " + runStored + "), but nothing refers to it"
                        : "count " + runStored + ", expected " + runExpected);
    }

    private static DamageLocation counts(String consequence) {
        return DamageLocation.of(Structure.REF_COUNTS, "", consequence);
    }

    private static DamageLocation tree(String consequence) {
        return DamageLocation.of(Structure.REF_COUNT_TREE, "superblock > space map > ref-count tree", consequence);
    }

    /** A count (u32) of the ref-count tree in one byte, of which 0 means that there is none. */
    static byte fromTree(int count) {
        return (byte) (Math.min(Integer.toUnsignedLong(count), BlockUse.MAX_REFERENCES - 1) + 1);
    }

    /** The count of {@code b} in the ref-count tree, or −1 after reporting that it isn't there. */
    private int countInTree(int b) {
        int kept = treeCounts == null ? 0 : treeCounts[b] & 0xFF;
        if (kept != 0) {
            int count = kept - 1;
            if (count < BitmapBlock.SEE_TREE) {
                log.add(
                        DamageKind.REF_COUNT_SMALL,
                        tree("set to " + table.references(b)),
                        b,
                        "the ref-count tree says " + count + ", expected 3 or more: smaller counts are in the bitmap");
            }
            return count;
        }
        if (!treeDamaged) {
            log.add(
                    DamageKind.REF_COUNT_MISSING,
                    tree("set to " + table.references(b)),
                    b,
                    "the bitmap refers to the ref-count tree, which has no entry for the block");
        }
        return -1;
    }

    /** Reports an entry of the ref-count tree whose bitmap doesn't refer to it. */
    static void stale(long blockNr, DamageLog log) {
        if (log.countsOnly(DamageKind.REF_COUNT_STALE)) {
            return;
        }
        log.add(
                DamageKind.REF_COUNT_STALE,
                tree("removed"),
                blockNr,
                "the ref-count tree has an entry for the block, the bitmap doesn't refer to it");
    }

    private void beyondMap() {
        for (int b = covered; b < table.size(); b++) {
            if (table.references(b) > 0) {
                log.add(
                        DamageKind.BEYOND_SPACE_MAP,
                        DamageLocation.of(
                                Structure.REF_COUNTS,
                                "superblock > space map",
                                "the space map is written anew for the whole device"),
                        b,
                        "in use, but the space map ends at block " + (covered - 1L));
                return;
            }
        }
    }

    /** Entries of the last bitmap that stand for blocks which the device doesn't have. */
    private void pastTheEnd() {
        int end = counts.nrBitmaps() * BitmapBlock.ENTRIES;
        int used = counts.firstUsed(table.size(), end);
        if (used >= end) {
            return;
        }
        log.add(
                DamageKind.LEAKED,
                counts("freed"),
                used,
                "marked as used, but the device ends at block " + (table.size() - 1));
    }
}
