// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.check.SuperblockCheck;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.DamageLog.LostNode;
import org.dmera.core.evidence.DamageLog.MissingArrayBlock;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.evidence.UnclaimedParts;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.evidence.UnclaimedParts.Subtree;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Severity;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.StoredCounts;
import org.dmera.core.read.TreeWalker;

/**
 * Finds out what the trees were before a node broke, a reference went astray or two blocks changed places.
 *
 * <p>The space map counts a reference for each part that is in use, and no walk visits those that have lost theirs. So a node
 * whose references are wrong, or that can't be read, is made anew from the children that nobody refers to, and a lost root is
 * the one tree of its kind. Rounds go on until nothing is lost.
 *
 * <p>An adopted stranger would lose marks, so in the end a check of everything must find no count that is wrong. If there is
 * any doubt, blocks only go back to the places that they name, and what is below other damage counts as written.
 */
public final class TreeMender {
    private static final int MAX_ROUNDS = 16;

    private static final int MAX_IN_CIRCLE = 64;

    /** Damage after which some block in use has no place for certain, or some place no block. */
    private static final Set<DamageKind> IN_DOUBT = EnumSet.of(
            DamageKind.DOUBLY_USED,
            DamageKind.ORPHAN_TREE,
            DamageKind.MISDIRECTED_WRITE,
            DamageKind.ARRAY_BLOCK_MISSING,
            DamageKind.ARRAY_BLOCK_SHORT,
            DamageKind.ARRAY_BLOCK_LONG,
            DamageKind.ARRAY_BLOCK_EXTRA);

    /**
     * What the trees were, as a view of the device; and what was done, for the user.
     *
     * @param doubtful array blocks that got a place by elimination, in an array of several: an older version of a leaf may
     *     lead to others that are right elsewhere
     * @param isOnlyMoved whether all that was wrong were blocks in places other than those that they name
     */
    public record Mended(BlockDevice device, List<String> remarks, List<Doubtful> doubtful, boolean isOnlyMoved) {}

    /** The array block {@code blockNr}, that was given the place {@code index} in some array. */
    public record Doubtful(int blockNr, Content content, long index) {
        /** Whether array block {@code other} of an array with {@code content} may have the same leaf. */
        public boolean isNear(Content other, long of) {
            return other == content && Math.abs(index - of) < BTreeNode.maxEntries(BTreeNode.BLOCK_VALUE_BYTES);
        }
    }

    private final BlockDevice device;
    private final boolean blamesReferences;
    private final Map<Long, ByteBuffer> patches = new HashMap<>();
    private final Set<Long> made = new HashSet<>();
    private final Set<Long> markedForRebuild = new HashSet<>();
    private final List<String> remarks = new ArrayList<>();
    private final List<Doubtful> doubtful = new ArrayList<>();
    /** Blocks that were put into the places that they name. */
    private int moved;

    private BlockDevice view;
    private BlockReader reader;
    private Superblock superblock;
    private SalvageSurvey survey;
    private UnclaimedParts missed;

    private TreeMender(BlockDevice device, boolean blamesReferences) {
        this.device = device;
        this.blamesReferences = blamesReferences;
    }

    /**
     * A view of {@code device} on which the trees are as they were, or at least each block in the place that it names; null when
     * there is nothing to mend, or it isn't certain how. The superblock must be readable.
     */
    public static Mended mend(BlockDevice device) {
        // A node that doesn't fit its place may be broken, or the reference that led there: first the one, then the
        // other.
        Mended mended = new TreeMender(device, false).run(false);
        mended = mended == null ? new TreeMender(device, true).run(false) : mended;
        return mended == null ? new TreeMender(device, false).run(true) : mended;
    }

    /** {@code isMovingOnly}: whether blocks go back to the places that they name, and nothing else is done. */
    private Mended run(boolean isMovingOnly) {
        int rounds = 0;
        while (rounds < MAX_ROUNDS && survey() && (undoSwaps() || !isMovingOnly && nextRound())) {
            rounds++;
        }
        if (rounds == 0 || rounds == MAX_ROUNDS) {
            return null;
        }
        PatchedDevice mended = new PatchedDevice(device, patches);
        if (isMovingOnly) {
            return new Mended(mended, remarks, doubtful, false);
        }
        try {
            if (!isCertain(MetadataChecker.check(mended))) {
                return null;
            }
            remarks.add("the trees were mended: every block in use has its place now, and each place its block");
            return new Mended(mended, remarks, doubtful, patches.size() == moved);
        } catch (InterruptedIOException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    private static boolean isCertain(CheckReport report) {
        return !report.areTreesIncomplete()
                && report.damages().stream()
                        .filter(damage -> damage.severity() != Severity.NOTE)
                        .noneMatch(damage -> damage.structure().isSpaceMap() || IN_DOUBT.contains(damage.kind()));
    }

    /** One round: returns whether anything could be done. */
    private boolean nextRound() {
        StoredCounts counts = survey.stored();
        if (counts == null || !survey.isMapReliable() || survey.isAnyWriteMisdirected()) {
            return false;
        }
        reader = survey.reader();
        missed = new UnclaimedParts(reader, counts, false);
        List<LostNode> lost = survey.log().lostNodes();
        return mendReferences(lost)
                || remakeNodes(lost)
                || lost.isEmpty() && (mendEntries() || reattachSubtrees() || restoreCurrentWriteset());
    }

    /** Looks at the trees as far as they have been mended; false when the superblock can't be read. */
    private boolean survey() {
        view = patches.isEmpty() ? device : new PatchedDevice(device, patches);
        reader = BlockReader.quiet(view, new BlockUse(view.sizeBlocks()));
        superblock = new SuperblockCheck(reader, 0).read();
        survey = superblock == null ? null : SalvageSurvey.forMending(view, superblock);
        return survey != null;
    }

    /** Blocks that have changed places, two or more of them in a circle: each names its place. */
    private boolean undoSwaps() {
        boolean done = false;
        List<Damage> damages = new ArrayList<>(survey.log().kept());
        damages.addAll(survey.besideTheTrees());
        for (Damage damage : damages) {
            boolean displaced =
                    damage.kind() == DamageKind.WRONG_BLOCK_NUMBER || damage.kind() == DamageKind.WRONG_TYPE;
            Map<Long, ByteBuffer> circle = displaced ? circle(damage.blockNr()) : Map.of();
            if (circle.size() > 1) {
                patches.putAll(circle);
                moved += circle.size();
                remarks.add("blocks "
                        + circle.keySet().stream().map(String::valueOf).collect(Collectors.joining(", "))
                        + " had changed places");
                done = true;
            }
        }
        return done;
    }

    /** What belongs where, from the block {@code first} on, until one names that place; empty when none does. */
    private Map<Long, ByteBuffer> circle(long first) {
        Map<Long, ByteBuffer> found = new TreeMap<>();
        long here = first;
        do {
            ByteBuffer block = BlockReader.newBuffer();
            long claimed =
                    patches.containsKey(here) || found.size() == MAX_IN_CIRCLE ? 0 : reader.claimedBlockNr(here, block);
            if (claimed <= 0 || found.putIfAbsent(claimed, block) != null) {
                return Map.of();
            }
            here = claimed;
        } while (here != first);
        return found;
    }

    private boolean mendReferences(List<LostNode> lost) {
        boolean done = false;
        for (LostNode each : lost) {
            if (!isReferenceToBlame(each)) {
                continue;
            }
            if (each.at().holder() != TreeWalker.NO_HOLDER) {
                done |= markForRebuild(each.at().holder());
            } else if (lost.stream()
                            .filter(other -> isRootOfSameKind(each, other))
                            .count()
                    == 1) {
                done |= mendRoot(each.tree());
            }
        }
        return done;
    }

    /** Whether a part that is missed may be the root of the one as well as of the other. */
    private boolean isRootOfSameKind(LostNode a, LostNode b) {
        return b.at().holder() == TreeWalker.NO_HOLDER
                && isReferenceToBlame(b)
                && Content.of(a.tree()) == Content.of(b.tree());
    }

    private boolean isReferenceToBlame(LostNode lost) {
        if (lost.at().isReference() || !blamesReferences) {
            return lost.at().isReference();
        }
        return reader.code(lost.at().blockNr()) > BlockVerdict.MISPLACED;
    }

    /** From now on the node can't be read, so that it is made anew. */
    private boolean markForRebuild(long blockNr) {
        if (!markedForRebuild.add(blockNr) || made.contains(blockNr)) {
            return false;
        }
        patches.put(blockNr, BlockReader.newBuffer());
        return true;
    }

    /** The root of a tree is the only missed one of its kind. */
    private boolean mendRoot(TreeSpec tree) {
        List<Subtree> found = missed.subtrees(Content.of(tree));
        if (found.size() != 1) {
            return false;
        }
        long root = found.get(0).blockNr();
        switch (tree.structure()) {
            case ERA_ARRAY -> superblock.eraArrayRoot(root);
            case WRITESET_TREE -> superblock.writesetTreeRoot(root);
            case CURRENT_WRITESET -> superblock.currentWriteset(superblock.currentWritesetNrBits(), root);
            default -> {
                return mendWriteset(tree, root);
            }
        }
        return patch(BlockType.SUPERBLOCK, superblock.buffer(), 0, remark(tree, root));
    }

    private static String remark(TreeSpec tree, long root) {
        return "the root of the " + name(tree) + " is block " + root;
    }

    private boolean mendWriteset(TreeSpec tree, long root) {
        long era = tree.era();
        BTreeNode leaf = NodeFinder.find(reader, superblock.writesetTreeRoot(), era, 0, WritesetValue.BYTES);
        int i = leaf == null ? -1 : leaf.lowerBound(era);
        if (i < 0 || leaf.key(i) != era) {
            return false;
        }
        long nrBits = WritesetValue.nrBits(leaf.buffer(), leaf.valueOffset(i));
        WritesetValue.put(leaf.buffer(), leaf.valueOffset(i), nrBits, root);
        return patch(BlockType.BTREE_NODE, leaf.buffer(), leaf.blockNr(), remark(tree, root));
    }

    private boolean remakeNodes(List<LostNode> lost) {
        NodeRebuilder nodes = new NodeRebuilder(reader, missed, superblock);
        boolean done = false;
        for (LostNode each : lost) {
            ByteBuffer rebuilt = isReferenceToBlame(each) ? null : nodes.rebuilt(each);
            if (rebuilt != null && made.add(each.at().blockNr())) {
                patches.put(each.at().blockNr(), rebuilt);
                remarks.add(name(each.tree()) + ": the node " + each.at().blockNr() + " was put together again");
                done = true;
            }
        }
        return done;
    }

    /** One entry of all leaves leads astray, and one array block has lost its entry. */
    private boolean mendEntries() {
        for (Content content : new Content[] {Content.ERAS, Content.WORDS}) {
            List<MissingArrayBlock> entries = lostEntries(content);
            List<Integer> unattached = missed.unattached(content);
            if (entries.size() != 1 || unattached.size() != 1) {
                continue;
            }
            MissingArrayBlock entry = entries.get(0);
            BTreeNode leaf = NodeFinder.find(reader, entry.root(), entry.key(), 0, BTreeNode.BLOCK_VALUE_BYTES);
            if (leaf != null && leaf.nrEntries() > 1 && mayBeOlder(leaf, entry.key())) {
                doubtful.add(new Doubtful(unattached.get(0), content, entry.key()));
            }
            if (leaf != null && setEntry(leaf, entry.key(), unattached.get(0)) && made.add(leaf.blockNr())) {
                return patch(
                        BlockType.BTREE_NODE,
                        leaf.buffer(),
                        leaf.blockNr(),
                        name(entry.tree()) + ": array block " + entry.key() + " is block " + unattached.get(0));
            }
        }
        return false;
    }

    /** Whether the entry that is wrong may once have been right: one that leads nowhere never was. */
    private boolean mayBeOlder(BTreeNode leaf, long key) {
        int i = leaf.lowerBound(key);
        return i < 0 || leaf.key(i) != key || reader.table().isUsable(leaf.valueLong(i));
    }

    private static boolean setEntry(BTreeNode leaf, long key, long value) {
        int i = leaf.lowerBound(key);
        if (i < 0 || leaf.key(i) != key) {
            if (leaf.nrEntries() == leaf.maxEntries() || i + 1 < leaf.nrEntries()) {
                return false;
            }
            i++;
            leaf.nrEntries(i + 1);
            leaf.key(i, key);
        }
        leaf.valueLong(i, value);
        return true;
    }

    /** Subtrees whose entries have gone: the nodes that should have them are made anew. */
    private boolean reattachSubtrees() {
        boolean done = false;
        for (Content content : Content.values()) {
            long root = rootOf(content);
            for (Subtree subtree : missed.subtrees(content)) {
                int valueBytes = content == Content.WRITESETS ? WritesetValue.BYTES : BTreeNode.BLOCK_VALUE_BYTES;
                BTreeNode holder = root == 0
                        ? null
                        : NodeFinder.find(reader, root, subtree.low(), subtree.height() + 1, valueBytes);
                done |= holder != null && markForRebuild(holder.blockNr());
            }
        }
        return done;
    }

    /** The superblock has no current writeset, and there is a bitset that nothing else leads to. */
    private boolean restoreCurrentWriteset() {
        List<Subtree> found = missed.subtrees(Content.WORDS);
        return !superblock.hasCurrentWriteset()
                && survey.trees().lastWriteset() < superblock.currentEra()
                && found.size() == 1
                && found.get(0).low() == 0
                && mendRoot(TreeSpec.live(Structure.CURRENT_WRITESET));
    }

    private List<MissingArrayBlock> lostEntries(Content content) {
        return survey.log().lostEntries().stream()
                .filter(e -> Content.of(e.tree()) == content)
                .toList();
    }

    /** The tree that parts with {@code content} are missing from, or 0 when there are several. */
    private long rootOf(Content content) {
        if (content != Content.WORDS) {
            return content == Content.ERAS ? superblock.eraArrayRoot() : superblock.writesetTreeRoot();
        }
        List<Long> roots = lostEntries(content).stream()
                .map(MissingArrayBlock::root)
                .distinct()
                .toList();
        return roots.size() == 1 ? roots.get(0) : 0;
    }

    private boolean patch(BlockType type, ByteBuffer block, long blockNr, String remark) {
        new BlockSeal().seal(type, block, 0, blockNr);
        patches.put(blockNr, block);
        remarks.add(remark);
        return true;
    }

    private static String name(TreeSpec tree) {
        return tree.structure() == Structure.WRITESET
                ? "writeset of era " + Long.toUnsignedString(tree.era())
                : tree.structure().label();
    }
}
