// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
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
import org.dmera.core.format.Superblock;
import org.dmera.core.mend.BitFlip;
import org.dmera.core.mend.PatchedDevice;
import org.dmera.core.mend.TreeSurvey;
import org.dmera.core.read.BlockSource;
import org.dmera.core.read.BlockVerdict;

/**
 * Gets out of damaged metadata what can be had, in a form that a new device or a dump can be made of.
 *
 * <p>The rule: never under-report. Every block that verifies is used; a mark whose place can't be read any more counts
 * as set. Whoever copies what has changed then copies too much, and never too little.
 *
 * <p>A superblock that can't be read is searched for: see {@link StateMerge}.
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
     * Looks at the metadata and decides what to use of it; reads the trees once.
     *
     * <p>Where the superblock is there, and the current era isn't known and not in {@code hints}, one is taken that is far
     * above all eras that are left on the device; {@link #remarks} name it.
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
            Salvage salvage = tryOpen(device, new SalvageHints(hints.dataBlockSizeSectors(), hints.nrBlocks(), era));
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
        ByteBuffer block = BlockReader.newBuffer();
        DamageLog log = new DamageLog();
        BlockReader reader = new BlockReader(device, new BlockUse(device.sizeBlocks()), log, new BlockVerdict(0));
        if (new SuperblockCheck(reader, 0).read(block)) {
            Superblock superblock = new Superblock().wrap(block, 0);
            KnownRootsSalvage trees = new KnownRootsSalvage(device, superblock, hints);
            return from(block, StaleSuperblock.orCurrent(device, superblock, trees, hints));
        }
        BlockDevice swappedBack = withSwapUndone(device, reader);
        if (swappedBack != null) {
            Salvage salvage = open(swappedBack, hints);
            salvage.remarks.add(0, "the superblock had changed places with another block");
            return salvage;
        }
        if (reader.tryRead(0, block) == null && hasSealOnceEmptied(block)) {
            return withRoots(
                    device,
                    block,
                    hints,
                    "something had written into the superblock where the format leaves it empty; its checksum proves"
                            + " the rest");
        }
        if (reader.tryRead(0, block) == null
                && !BlockSource.isZero(block)
                && BitFlip.correct(block, BlockType.SUPERBLOCK, 0)
                && new Superblock().wrap(block, 0).magic() == Superblock.MAGIC) {
            String remark = "one bit of the superblock had flipped; it was corrected by the checksum";
            return withRoots(device, block, hints, remark);
        }
        RootSearch search = RootSearch.of(device, new BitSet());
        if (!search.isAnythingThere()) {
            throw new IOException("bad checksum in superblock, and no era metadata found on the whole device");
        }
        return new StateMerge(device, search, hints);
    }

    /** By a superblock that was put right. */
    private static Salvage withRoots(BlockDevice device, ByteBuffer block, SalvageHints hints, String remark)
            throws IOException {
        Salvage salvage = new KnownRootsSalvage(device, new Superblock().wrap(block, 0), hints);
        salvage.remarks.add(remark);
        return from(block, salvage);
    }

    /**
     * Whether the block is a sound superblock once all that the format leaves empty is: labels of volume managers and
     * superblocks of file systems are written there. Zeroes them in {@code block}.
     */
    private static boolean hasSealOnceEmptied(ByteBuffer block) {
        for (int i = Superblock.END; i < BlockDevice.BLOCK_BYTES; i++) {
            block.put(i, (byte) 0);
        }
        return new BlockSeal().verify(BlockType.SUPERBLOCK, block, 0, 0) == BlockSeal.Verdict.OK
                && new Superblock().wrap(block, 0).magic() == Superblock.MAGIC
                && new Superblock().wrap(block, 0).version() == Superblock.VERSION;
    }

    /** The device as it was if block 0 and another are each in the place that the other names, else null. */
    private static BlockDevice withSwapUndone(BlockDevice device, BlockReader reader) {
        ByteBuffer other = BlockReader.newBuffer();
        ByteBuffer superblock = BlockReader.newBuffer();
        BlockType type = reader.tryRead(0, other) == null ? reader.identify(other) : null;
        long there = type == null ? 0 : other.getLong(type.blockNrOffset());
        boolean swapped = reader.table().isUsable(there)
                && reader.tryRead(there, superblock) == null
                && reader.identify(superblock) == BlockType.SUPERBLOCK
                && new Superblock().wrap(superblock, 0).blockNr() == 0
                && new Superblock().wrap(superblock, 0).magic() == Superblock.MAGIC;
        return swapped ? new PatchedDevice(device, Map.of(0L, superblock, there, other)) : null;
    }

    private static Salvage from(ByteBuffer block, Salvage salvage) {
        Superblock superblock = new Superblock().wrap(block, 0);
        salvage.isAhead = salvage.currentEra > superblock.currentEra();
        if (superblock.metadataSnap() != 0) {
            salvage.remarks.add("the held metadata snapshot is left out");
        }
        return salvage;
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
