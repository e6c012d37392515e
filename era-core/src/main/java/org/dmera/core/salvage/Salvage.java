// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.check.SuperblockCheck;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.core.content.WritesetFold;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.SuperblockRules;
import org.dmera.core.mend.BitFlip;
import org.dmera.core.mend.PatchedDevice;
import org.dmera.core.mend.TreeSurvey;
import org.dmera.core.read.BlockSource;
import org.dmera.core.read.BlockVerdict;

/**
 * Gets out of damaged metadata what can be had, in a form that a new device or a dump can be made of.
 *
 * <p>The rule: never under-report. Every block that verifies is used; a mark whose place can't be read any more counts
 * as set. Whoever copies what has changed then copies too much, and never too little. A superblock that can't be read is
 * searched for: see {@link StateMerge}.
 */
public abstract class Salvage {
    /**
     * So much later than all that is left of the metadata the current era is set when nothing records it. An old superblock
     * that was put back lacks fewer eras: with a checkpoint each second these are twelve days, with one each hour a century.
     */
    private static final long ERAS_AHEAD = 1L << 20;

    /** What is wrong with the trees that are used. */
    final List<Damage> damages = new ArrayList<>();

    final List<String> remarks;
    long nrBlocks;
    long currentEra;
    /** Whether the current era is later than the last one that has a writeset: then all are digested, so that none is missing. */
    private boolean isAhead;

    /** {@code remarks}: what was decided already; added to. The sizes are set before anybody gets to see it. */
    Salvage(List<String> remarks) {
        this.remarks = remarks;
    }

    /**
     * Looks at the metadata and decides what to use of it; reads the trees once. Where the superblock is there and nothing
     * records the current era, one far above all eras that are left is taken; {@link #remarks} name it.
     *
     * @throws IOException when something else that can't be derived is not in {@code hints}: the message says what was found
     *     and which option is needed
     */
    public static Salvage open(BlockDevice device, SalvageHints hints) throws IOException {
        try {
            return orLate(device, hints);
        } catch (UncheckedIOException e) {
            // The thread was interrupted, or the device closed.
            throw e.getCause();
        }
    }

    /** Where the superblock is there and the current era isn't known, goes on as if the user had given one that is late enough. */
    private static Salvage orLate(BlockDevice device, SalvageHints hints) throws IOException {
        try {
            return tryOpen(device, hints);
        } catch (UnknownEraException e) {
            long era = e.least() + ERAS_AHEAD;
            if (era >= TreeSurvey.IMPLAUSIBLE_ERA) {
                throw e;
            }
            Salvage salvage = tryOpen(device, hints.withCurrentEra(era));
            salvage.remarks.add(
                    0,
                    e.evidence() + ": the current era is not known, and at least " + e.least()
                            + "; it is set to " + era
                            + ", so that no write counts as older than it is; say it with --current-era if you know it");
            return salvage;
        }
    }

    private static Salvage tryOpen(BlockDevice device, SalvageHints hints) throws IOException {
        if (device.sizeBlocks() == 0) {
            throw new IOException("Metadata device/file too small.  Is this binary metadata?");
        }
        BlockReader reader =
                new BlockReader(device, new BlockUse(device.sizeBlocks()), new DamageLog(), new BlockVerdict(0));
        Superblock superblock = new SuperblockCheck(reader, 0).read();
        if (superblock != null) {
            KnownRootsSalvage trees = new KnownRootsSalvage(device, superblock, hints);
            Salvage salvage = StaleSuperblock.orCurrent(device, superblock, trees, hints);
            salvage.isAhead = salvage.currentEra > superblock.currentEra();
            if (superblock.metadataSnap() != 0) {
                salvage.remarks.add("the held metadata snapshot is left out");
            }
            return salvage;
        }
        Map<Long, ByteBuffer> patches = new HashMap<>();
        String remark = putRight(reader, patches);
        if (remark != null) {
            Salvage salvage = open(new PatchedDevice(device, patches), hints);
            salvage.remarks.add(0, remark);
            return salvage;
        }
        RootSearch search = RootSearch.of(device, new BitSet());
        if (!search.isAnythingThere()) {
            throw new IOException("bad checksum in superblock, and no era metadata found on the whole device");
        }
        return StateMerge.withoutSuperblock(device, search, hints);
    }

    /**
     * Finds out what a superblock was that is not where it should be, or not as it was sealed; returns what had happened to it,
     * or null when it is lost.
     *
     * @param patches gets the blocks as they were
     */
    private static String putRight(BlockReader reader, Map<Long, ByteBuffer> patches) {
        ByteBuffer block = BlockReader.newBuffer();
        if (reader.tryRead(0, block) != null) {
            return null;
        }
        BlockType type = reader.identify(block);
        long there = type == null ? 0 : block.getLong(type.blockNrOffset());
        ByteBuffer moved = BlockReader.newBuffer();
        if (reader.table().isUsable(there) && reader.tryRead(there, moved) == null && isSuperblock(moved)) {
            patches.put(0L, moved);
            patches.put(there, block);
            return "the superblock had changed places with another block";
        }
        ByteBuffer emptied = BlockReader.newBuffer().put(0, block, 0, Superblock.END);
        patches.put(0L, emptied);
        if (isSuperblock(emptied)) {
            // Labels of volume managers and superblocks of file systems are written there.
            return "something had written into the superblock where the format leaves it empty; its checksum proves the"
                    + " rest";
        }
        patches.put(0L, block);
        return !BlockSource.isZero(block) && BitFlip.correct(block, BlockType.SUPERBLOCK, 0) && isSuperblock(block)
                ? "one bit of the superblock had flipped; it was corrected by the checksum"
                : null;
    }

    /** Whether the block is sealed as block 0, and is a superblock of this format. */
    private static boolean isSuperblock(ByteBuffer block) {
        return new BlockSeal().verify(BlockType.SUPERBLOCK, block, 0, 0) == BlockSeal.Verdict.OK
                && SuperblockRules.formatProblems(new Superblock().wrap(block, 0))
                        .isEmpty();
    }

    /**
     * Sectors in an origin block, or −1 when neither the superblocks nor the user tell. With a wrong size every mark is of another
     * place, so where superblocks, held snapshots' copies among them, differ, none is believed.
     *
     * @param whose the superblocks that say {@code stored}, as a message names them
     * @param hinted what the user says, or −1
     * @throws IOException when the user has to say it, or says what none of them does
     */
    static long originBlockSize(String whose, List<Long> stored, long hinted) throws IOException {
        List<Long> possible =
                stored.stream().filter(Limits::isBlockSize).distinct().toList();
        if (hinted < 0 && possible.size() > 1) {
            String sizes = possible.stream().map(String::valueOf).collect(Collectors.joining(" and "));
            throw new IOException("superblocks differ in the size of an origin block, which is " + sizes
                    + " sectors in them: say which it is with --block-size");
        }
        if (hinted >= 0 && !possible.isEmpty() && !possible.contains(hinted)) {
            throw new IOException(whose + " is sound and has origin blocks of " + possible.get(0)
                    + " sectors, not of --block-size " + hinted);
        }
        return hinted >= 0 || possible.isEmpty() ? hinted : possible.get(0);
    }

    /** The user knows how large the origin is; what that leaves out is remarked all the same. */
    static void remarkLeftOut(long hinted, long found, List<String> remarks) {
        if (found > hinted) {
            remarks.add("--nr-blocks " + hinted + " leaves out the " + (found - hinted)
                    + " origin blocks from there on that the metadata has");
        }
    }

    /** What is wrong with the trees that are used. */
    public final List<Damage> damages() {
        return List.copyOf(damages);
    }

    /** What was decided, one line each, for the user; complete only after {@link #stream}. The list may be added to. */
    public final List<String> remarks() {
        return remarks;
    }

    /** Origin blocks of the result. */
    public final long nrBlocks() {
        return nrBlocks;
    }

    /** The current era of the result. */
    public final long currentEra() {
        return currentEra;
    }

    /**
     * Sends the content to {@code visitor}, once.
     *
     * @throws IOException what the visitor throws
     */
    public final void stream(MetadataVisitor visitor) throws IOException {
        send(isAhead ? new WritesetFold(visitor) : visitor);
    }

    /** Sends the content as it was found. */
    abstract void send(MetadataVisitor visitor) throws IOException;
}
