// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.nio.ByteBuffer;
import org.dmera.core.block.BlockType;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.DamageLocation;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.evidence.UnclaimedParts;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.evidence.Walk;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Superblock;
import org.dmera.core.read.Problem;
import org.dmera.core.read.StoredCounts;

/**
 * The space map: first its blocks are loaded, since they show which blocks of the device are worth reading; at the end,
 * when the walks have counted who refers to what, the stored counts are compared with the real ones.
 */
public final class SpaceMapCheck implements Walk.Visitor {
    private static final String REWRITE = "the space map is written anew";
    private static final String AS_BITMAP = "set to what the bitmap says";
    private static final DamageLocation INDEX =
            DamageLocation.of(Structure.SPACE_MAP_INDEX, "superblock > space map index", REWRITE);

    private final BlockReader reader;
    private final BlockUse table;
    private final DamageLog log;
    private final Superblock superblock;
    private final long deviceBlocks;

    private final int covered;
    private final StoredCounts counts;
    /** Null when it could not be read. */
    private IndexBlock index;
    /** The count of each block in the ref-count tree, or null while there is none: see {@link CountComparison}. */
    private byte[] treeCounts;

    private boolean treeDamaged;

    public SpaceMapCheck(BlockReader reader, Superblock superblock, long deviceBlocks) {
        this.reader = reader;
        this.table = reader.table();
        this.log = reader.log();
        this.superblock = superblock;
        this.deviceBlocks = deviceBlocks;
        long nrBlocks = superblock.spaceMapNrBlocks();
        this.covered = nrBlocks < 0 ? table.size() : (int) Math.min(nrBlocks, table.size());
        this.counts = new StoredCounts((covered + BitmapBlock.ENTRIES - 1) / BitmapBlock.ENTRIES);
        if (nrBlocks < 0 || nrBlocks > table.size()) {
            counts.cutOff();
        }
    }

    /** Reads the index and the bitmaps. Nothing is counted yet: what the trees use is theirs, whatever the map counts. */
    public StoredCounts load() {
        checkSize();
        long root = superblock.spaceMapBitmapRoot();
        ByteBuffer block = BlockReader.newBuffer();
        if (!isLoaded(root, block, BlockType.INDEX, INDEX)) {
            return counts;
        }
        index = new IndexBlock().wrap(block, 0);
        for (int i = 0; i < counts.nrBitmaps(); i++) {
            ByteBuffer bitmap = BlockReader.newBuffer();
            if (isLoaded(index.bitmapBlock(i), bitmap, BlockType.BITMAP, bitmap(i))) {
                counts.bitmap(i, bitmap);
            }
        }
        return counts;
    }

    /** Counts the references inside the space map. After the walks of the trees, and before {@link #compare}. */
    public void claim() {
        claim(superblock.spaceMapBitmapRoot(), INDEX);
        if (index != null) {
            for (int i = 0; i < counts.nrBitmaps(); i++) {
                claim(index.bitmapBlock(i), bitmap(i));
            }
        }
        boolean treesIncomplete = log.areTreesIncomplete();
        TreeSpec tree = new TreeSpec(Structure.REF_COUNT_TREE, -1, BlockUse.SPACE_MAP);
        Walk.tree(reader, tree, superblock.spaceMapRefCountRoot(), this);
        // A lost part of the ref-count tree hides nothing: the map can be written anew from the other trees.
        log.treesIncomplete(treesIncomplete);
    }

    @Override
    public void entry(BTreeNode leaf, int i, boolean counted) {
        long key = leaf.key(i);
        if (key < 0 || key >= table.size()) {
            // Not kept: a hostile tree can have any number of them.
            CountComparison.stale(key, log);
            return;
        }
        if (treeCounts == null) {
            treeCounts = new byte[table.size()];
        }
        treeCounts[(int) key] = CountComparison.fromTree(leaf.valueInt(i));
    }

    @Override
    public void lost(long from, long last) {
        treeDamaged = true;
    }

    /** Compares the stored counts with the references that the walks found. */
    void compare() {
        long leaks = log.found(DamageKind.LEAKED);
        long tooHigh = log.found(DamageKind.COUNT_TOO_HIGH);
        long before = log.found(DamageKind.COUNT_TOO_LOW);
        new CountComparison(table, log, counts, covered, treeCounts, treeDamaged).run();
        if (index != null) {
            compareIndex();
        }
        compareNrAllocated();
        boolean missed = log.found(DamageKind.COUNT_TOO_LOW) > before;
        // What the live trees share with a snapshot is still referred to when they have lost it.
        boolean isSnapshotHeld = superblock.metadataSnap() != 0;
        boolean mayBeLost = log.found(DamageKind.LEAKED) > leaks
                || isSnapshotHeld && log.found(DamageKind.COUNT_TOO_HIGH) > tooHigh;
        if (mayBeLost && agreesWithItself() && (!missed || isOfThisState())) {
            UnclaimedParts parts = new UnclaimedParts(reader, counts, isSnapshotHeld);
            // What a tree leads to instead is free: an older version, most likely, which must not be adopted.
            reportOrphans(parts, missed || parts.mayHaveLostTheirNode());
        }
    }

    /**
     * Parts with marks that the map counts as used, and that have lost a reference. A leaked block is only lost space; a part
     * that is leaked may be a writeset or an era array whose reference has been lost, with the marks in it.
     *
     * @param areAllInDoubt whether single array blocks, and what can't be read, are findings too
     */
    private void reportOrphans(UnclaimedParts parts, boolean areAllInDoubt) {
        for (Content content : Content.values()) {
            parts.subtrees(content).forEach(subtree -> orphan(content, subtree.blockNr()));
        }
        if (!areAllInDoubt) {
            return;
        }
        for (Content content : Content.values()) {
            parts.unattached(content).forEach(blockNr -> orphan(content, blockNr));
        }
        if (parts.unknown() > 0) {
            log.add(
                    DamageKind.ORPHAN_TREE,
                    DamageLocation.of(
                            Structure.ERA_ARRAY, "", "every origin block counts as written in the current era"),
                    Damage.NO_BLOCK,
                    parts.unknown()
                            + " blocks are in use, can't be read, and a reference to each is missing; marks may"
                            + " be lost");
        }
    }

    private void orphan(Content content, long root) {
        log.add(
                DamageKind.ORPHAN_TREE,
                DamageLocation.of(content.structure(), "", "its marks count as of the current era"),
                root,
                "a part with marks is in use, and a reference to it is missing; its marks may be lost");
    }

    /** Whether bitmaps, index and superblock have the same numbers: see {@link StoredCounts#agreeWith}. */
    public boolean agreesWithItself() {
        return index != null && counts.agreeWith(index, superblock, covered);
    }

    /**
     * Whether every root that the superblock has is counted. Then the map, if it agrees with itself, is of the same commit
     * as the superblock: where it counts a block as free to which a tree leads, it may be the tree that is wrong.
     */
    public boolean isOfThisState() {
        long[] all = {
            superblock.spaceMapBitmapRoot(),
            superblock.spaceMapRefCountRoot(),
            superblock.writesetTreeRoot(),
            superblock.eraArrayRoot(),
            superblock.currentWritesetRoot()
        };
        for (long root : all) {
            if (root != 0 && table.isUsable(root) && counts.count((int) root) == 0) {
                return false;
            }
        }
        return true;
    }

    /**
     * Whether all that the map counts as used is referred to as often as it counts: then no tree can have lost the reference
     * to a writeset, for its blocks would be in use still. To be asked when all walks are done.
     */
    public boolean isAllAccountedFor() {
        if (!agreesWithItself()) {
            return false;
        }
        for (int b = table.firstOther(1, counts); b < table.size(); b = table.firstOther(b + 1, counts)) {
            if (table.isUnclaimed(b, counts)) {
                return false;
            }
        }
        return true;
    }

    private void checkSize() {
        long nrBlocks = superblock.spaceMapNrBlocks();
        long usable = table.size();
        if (nrBlocks < 0 || nrBlocks > Math.min(deviceBlocks, IndexBlock.MAX_METADATA_BLOCKS)) {
            log.add(
                    DamageKind.SPACE_MAP_TOO_LARGE,
                    map(REWRITE),
                    0,
                    "the space map is for " + Long.toUnsignedString(nrBlocks) + " blocks, the device has room for "
                            + usable);
        } else if (nrBlocks < usable) {
            log.add(
                    DamageKind.SPACE_MAP_TOO_SMALL,
                    map(REWRITE + " for the whole device"),
                    0,
                    "the space map is for " + nrBlocks + " blocks, the device has " + usable
                            + ": the rest of it is not used");
        }
    }

    private static DamageLocation map(String consequence) {
        return DamageLocation.of(Structure.REF_COUNTS, "superblock > space map", consequence);
    }

    private static DamageLocation bitmap(int entry) {
        return DamageLocation.of(Structure.SPACE_MAP_BITMAP, INDEX.path() + " > entry " + entry, REWRITE);
    }

    private boolean isLoaded(long blockNr, ByteBuffer buffer, BlockType type, DamageLocation where) {
        return table.isUsable(blockNr)
                ? reader.read(blockNr, buffer, type, where)
                : reader.report(Problem.outOfRange(blockNr, table.size()), where);
    }

    private void claim(long blockNr, DamageLocation where) {
        if (!table.isUsable(blockNr)) {
            return;
        }
        if (table.use(blockNr, BlockUse.SPACE_MAP, 0)) {
            table.addReference(blockNr);
        } else {
            reader.report(DamageKind.DOUBLY_USED, where, blockNr, "the block is in use in another place too");
        }
    }

    private void compareIndex() {
        BitmapBlock bitmap = new BitmapBlock();
        for (int i = 0; i < counts.nrBitmaps(); i++) {
            if (counts.bitmap(i) == null) {
                continue;
            }
            bitmap.wrap(counts.bitmap(i), 0);
            DamageKind kind = counts.judgeNrFree(i, index.nrFree(i), covered);
            if (kind == DamageKind.WRONG_NR_FREE) {
                long stored = Integer.toUnsignedLong(index.nrFree(i));
                index(kind, i, "nr_free is " + stored + ", the bitmap has " + counts.free(i) + " free", AS_BITMAP);
            } else if (kind != null) {
                index(
                        kind,
                        i,
                        kind == DamageKind.NEVER_RESUMED
                                ? "a formatted device that was never resumed, or was loaded twice before, counts two"
                                        + " blocks too many as free"
                                : "nr_free leaves out the " + StoredCounts.pastEnd(i, covered)
                                        + " entries past the device's end, as thin-provisioning-tools 0.9 writes it",
                        "");
            }
            int firstFree = bitmap.firstFree(0, BitmapBlock.ENTRIES);
            long hint = Integer.toUnsignedLong(index.noneFreeBefore(i));
            if (firstFree >= 0 && hint > firstFree) {
                index(
                        DamageKind.WRONG_NONE_FREE_BEFORE,
                        i,
                        "none_free_before is " + hint + ", but entry " + firstFree + " is free",
                        AS_BITMAP);
            }
        }
    }

    private void index(DamageKind kind, int entry, String detail, String consequence) {
        DamageLocation here =
                DamageLocation.of(Structure.SPACE_MAP_INDEX, INDEX.path() + " > entry " + entry, consequence);
        log.add(kind, here, superblock.spaceMapBitmapRoot(), detail);
    }

    private void compareNrAllocated() {
        long allocated = counts.allocated();
        long stored = superblock.spaceMapNrAllocated();
        if (index != null && allocated >= 0 && stored != allocated) {
            log.add(
                    DamageKind.WRONG_NR_ALLOCATED,
                    map("set to what the bitmaps say"),
                    0,
                    "nr_allocated is " + Long.toUnsignedString(stored) + ", the bitmaps count " + allocated);
        }
    }
}
