// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import java.io.IOException;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.persistent.DiskArray;
import org.dmera.core.persistent.DiskBitset;
import org.dmera.core.persistent.TransactionManager;

/**
 * The metadata of one era target, and what can be done with it.
 *
 * <p>Each verb changes the open transaction; nothing of it is durable, or even on the device in any form that a reader
 * could find, before {@link #commit()} has returned. The caller commits, except that {@link #takeSnapshot} commits once
 * on its way. Verbs, their order and their bytes are the kernel's (dm-era).
 *
 * <p><b>Threads.</b> One thread owns it, the one that opened it. Every call by another thread throws {@link
 * IllegalStateException}.
 *
 * <p><b>Failure.</b> When a verb fails half-way, by an I/O error, a full device or damaged metadata, everything in memory
 * is suspect: every later call throws {@link MetadataFailedException}, and the device keeps the last committed state, to
 * be opened again. A {@link RefusedException}, an {@link IllegalStateException} or an {@link IllegalArgumentException}
 * changes nothing and fails nothing.
 *
 * <p>The device is not closed here. The class is long because it has a method for each verb and each figure; what is
 * behind them is elsewhere.
 */
public final class EraMetadata extends GuardedTransaction {
    private final boolean formatted;
    private final long dataBlockSizeSectors;
    private final WritesetTree writesets;
    private final DiskArray eraArray;
    private final DiskBitset current;
    private final LiveEras liveEras;
    private long nrBlocks;
    private long currentEra;
    private long currentNrBits;
    private long metadataSnap;
    private boolean archivedSinceLook;
    private RoomMaker roomMaker = () -> {};
    private long writesetsBegun;

    private EraMetadata(BlockDevice device, TransactionManager tm, boolean formatted, long dataBlockSizeSectors) {
        super(device, tm);
        this.formatted = formatted;
        this.dataBlockSizeSectors = dataBlockSizeSectors;
        Superblock sb = tm.superblock();
        this.writesets = new WritesetTree(tm, sb.writesetTreeRoot());
        this.eraArray = new DiskArray(tm, ArrayBlock.ERA_BYTES, "era array", sb.eraArrayRoot());
        this.current = new DiskBitset(tm, "current writeset", sb.currentWritesetRoot());
        this.liveEras = new LiveEras(tm, writesets, eraArray, current);
        this.nrBlocks = sb.nrBlocks();
        this.currentEra = sb.currentEra();
        this.currentNrBits = sb.currentWritesetNrBits();
        this.metadataSnap = sb.metadataSnap();
        this.archivedSinceLook = !formatted;
    }

    /**
     * Opens the metadata on {@code device}, or formats it when block 0 is all zeroes; the formatted state is committed.
     *
     * @param dataBlockSizeSectors the target's block size: what is on disk must have been made with the same
     * @param cacheBlocks bound on the memory for cached blocks, in blocks of 4 KiB
     * @throws IOException one line that says what is wrong with the superblock or the device
     */
    public static EraMetadata openOrFormat(BlockDevice device, long dataBlockSizeSectors, int cacheBlocks)
            throws IOException {
        return isBlank(device)
                ? format(device, dataBlockSizeSectors, cacheBlocks)
                : open(device, dataBlockSizeSectors, cacheBlocks);
    }

    /** As {@link #openOrFormat(BlockDevice, long, int)}, with a cache of 16 MiB. */
    public static EraMetadata openOrFormat(BlockDevice device, long dataBlockSizeSectors) throws IOException {
        return openOrFormat(device, dataBlockSizeSectors, TransactionManager.DEFAULT_CACHE_BLOCKS);
    }

    /** As {@link #openOrFormat(BlockDevice, long, int)} for a device that must hold metadata already. */
    public static EraMetadata open(BlockDevice device, long dataBlockSizeSectors, int cacheBlocks) throws IOException {
        try {
            SuperblockOnDevice.requireSupported(device, dataBlockSizeSectors);
            return new EraMetadata(device, TransactionManager.open(device, cacheBlocks), false, dataBlockSizeSectors);
        } catch (DamagedMetadataException e) {
            throw e.on(device.name());
        }
    }

    /** Whether block 0 is all zeroes, which is how an unformatted device is told. */
    public static boolean isBlank(BlockDevice device) throws IOException {
        return SuperblockOnDevice.isBlank(device);
    }

    private static EraMetadata format(BlockDevice device, long dataBlockSizeSectors, int cacheBlocks)
            throws IOException {
        EraMetadata md =
                new EraMetadata(device, TransactionManager.format(device, cacheBlocks), true, dataBlockSizeSectors);
        md.writesets.create();
        md.eraArray.create();
        md.tm.commitFormat(md::fillSuperblock);
        return md;
    }

    /** Whether opening it formatted the device. */
    public boolean wasFormatted() {
        return formatted;
    }

    public long dataBlockSizeSectors() {
        return dataBlockSizeSectors;
    }

    /** Blocks of the origin that the era array covers. */
    public long nrBlocks() {
        requireOwner();
        return nrBlocks;
    }

    /** The current era, 0 to 2^32 − 1. */
    public long currentEra() {
        requireOwner();
        return currentEra;
    }

    /** Whether there is a writeset to mark in: not after formatting, nor between an archive and the next new era. */
    public boolean hasCurrentWriteset() {
        requireOwner();
        return current.root() != 0;
    }

    /** Bits of the current writeset, or of the last one when it has been archived. */
    public long currentWritesetNrBits() {
        requireOwner();
        return currentNrBits;
    }

    /** Block of the held snapshot's superblock copy, 0 when none is held. */
    public long metadataSnap() {
        requireOwner();
        return metadataSnap;
    }

    /** Writesets begun since this was opened: differs when the in-core bits of the current one are out of date. */
    public long writesetsBegun() {
        requireOwner();
        return writesetsBegun;
    }

    /**
     * Makes the era array cover {@code newNrBlocks} blocks; added ones have era 0.
     *
     * @throws IllegalArgumentException when that is not below 2^31
     */
    public void resize(long newNrBlocks) throws IOException {
        if (newNrBlocks < 0 || newNrBlocks > Limits.MAX_ORIGIN_BLOCKS) {
            throw new IllegalArgumentException(
                    newNrBlocks + " blocks; an era target has at most " + Limits.MAX_ORIGIN_BLOCKS);
        }
        change(() -> {
            eraArray.resize(nrBlocks, newNrBlocks, 0);
            nrBlocks = newNrBlocks;
        });
    }

    /** Begins the next era with an empty writeset. 2^32 − 1 is followed by 0. */
    public void newEra() throws IOException {
        change(this::doNewEra);
    }

    private void doNewEra() throws IOException {
        current.create(nrBlocks);
        currentNrBits = nrBlocks;
        currentEra = currentEra + 1 & 0xffffffffL;
        writesetsBegun++;
    }

    /**
     * Moves the current writeset to the archived ones, under its era. There is none afterwards.
     *
     * @throws IllegalStateException when there is none
     */
    public void archive() throws IOException {
        requireUsable();
        if (current.root() == 0) {
            throw new IllegalStateException("no current writeset to archive");
        }
        change(this::doArchive);
    }

    private void doArchive() throws IOException {
        current.flush();
        writesets.insert(currentEra, currentNrBits, current.root());
        current.root(0);
        archivedSinceLook = true;
    }

    /** Makes room for a writeset, by digesting those that are archived. */
    interface RoomMaker {
        /** There is no current writeset. May commit: what is on the device then is as after a suspend. */
        void makeRoom() throws IOException;
    }

    /** Has {@code maker} asked between the end of an era and the beginning of the next. */
    void setRoomMaker(RoomMaker maker) {
        roomMaker = maker;
    }

    /** Archives the current writeset, if there is one, and begins the next era. */
    public void rollover() throws IOException {
        change(this::doRollover);
    }

    private void doRollover() throws IOException {
        if (current.root() != 0) {
            doArchive();
            roomMaker.makeRoom();
        }
        doNewEra();
    }

    /**
     * Marks an origin block as written in the current era. Setting a bit that is set is harmless, but costs as much.
     *
     * @throws IllegalStateException when there is no current writeset
     * @throws IllegalArgumentException when the writeset has no such block
     */
    public void mark(long block) throws IOException {
        requireUsable();
        if (current.root() == 0) {
            throw new IllegalStateException("no current writeset: the target is suspended or was never resumed");
        }
        if (block < 0 || block >= currentNrBits) {
            throw new IllegalArgumentException("block " + block + " of a writeset of " + currentNrBits + " blocks");
        }
        try {
            tm.trim();
            current.set(block);
        } catch (Throwable t) {
            fail(t);
            throw t;
        }
    }

    /** Makes everything so far durable, with two flushes of the device. */
    public void commit() throws IOException {
        change(this::doCommit);
    }

    private void doCommit() throws IOException {
        if (current.root() != 0) {
            current.flush();
        }
        tm.commit(this::fillSuperblock);
    }

    /**
     * Makes the state durable that was opened. Where the flush of its superblock had failed, a page cache still has it, and the
     * device the state before, whose blocks are free by now: to be done before any is written. To be called before a change.
     */
    void makeOpenedDurable() throws IOException {
        change(tm::rewriteSuperblock);
    }

    private void fillSuperblock() {
        Superblock sb = tm.superblock();
        sb.flags(0).uuid(new byte[Superblock.UUID_BYTES]);
        sb.magic(Superblock.MAGIC).version(Superblock.VERSION);
        tm.spaceMap().storeRoot(sb);
        sb.dataBlockSizeSectors(dataBlockSizeSectors);
        sb.metadataBlockSizeSectors(Superblock.METADATA_BLOCK_SIZE_SECTORS);
        sb.nrBlocks(nrBlocks).currentEra(currentEra);
        sb.currentWriteset(currentNrBits, current.root());
        sb.writesetTreeRoot(writesets.root()).eraArrayRoot(eraArray.root());
        sb.metadataSnap(metadataSnap);
    }

    /**
     * Takes a metadata snapshot: ends the era, commits, and holds the writeset tree and the era array as they are then.
     * The snapshot itself is durable after the caller's commit.
     *
     * @throws RefusedException when one is held already
     */
    public void takeSnapshot() throws IOException, RefusedException {
        requireUsable();
        if (metadataSnap != 0) {
            throw new RefusedException("metadata snapshot already exists");
        }
        change(() -> {
            doRollover();
            doCommit();
            tm.spaceMap().add(0);
            long copy = tm.copySuperblock();
            tm.spaceMap().add(writesets.root());
            tm.spaceMap().add(eraArray.root());
            metadataSnap = copy;
        });
    }

    /**
     * Lets go of the held snapshot and of what only it refers to.
     *
     * @throws RefusedException when none is held
     */
    public void dropSnapshot() throws IOException, RefusedException {
        requireUsable();
        if (metadataSnap == 0) {
            throw new RefusedException("no snap to drop");
        }
        long copy = metadataSnap;
        Superblock sb;
        try {
            sb = tm.readSuperblockCopy(copy);
        } catch (DamagedMetadataException e) {
            // Nothing has changed yet, and nothing but the snapshot is beyond use.
            throw new RefusedException("couldn't read lock superblock clone: " + e.getMessage());
        }
        change(() -> {
            long heldWritesets = sb.writesetTreeRoot();
            long heldEraArray = sb.eraArrayRoot();
            metadataSnap = 0;
            writesets.delete(heldWritesets);
            eraArray.delete(heldEraArray);
            tm.spaceMap().drop(copy);
        });
    }

    /** The figures of the status line, the open transaction included. */
    public EraStats stats() throws MetadataFailedException {
        requireUsable();
        long total = tm.spaceMap().nrBlocks();
        return new EraStats(total - tm.spaceMap().nrFree(), total, currentEra, metadataSnap);
    }

    /**
     * When each of {@code count} blocks from {@code firstBlock} on was last written, the open transaction included:
     * the era (u32), 0 for never. Changes nothing. The cost grows with {@code count} and with the number of archived
     * writesets, so ask in slices (some 65536 blocks).
     *
     * @throws IllegalArgumentException when the origin has no such blocks
     */
    public void readEras(long firstBlock, int count, int[] eras, int at) throws IOException {
        requireUsable();
        tm.trim();
        if (firstBlock < 0 || count < 0 || firstBlock > nrBlocks - count) {
            throw new IllegalArgumentException(
                    "blocks " + firstBlock + " to " + (firstBlock + count - 1) + " of an origin of " + nrBlocks);
        }
        liveEras.read(firstBlock, count, eras, at, currentEra, currentNrBits);
    }

    /**
     * Frees the bits of the first archived writeset whose marks later ones have too, if there is one: each before it moves up
     * by an era, and the lowest era goes. A mark may be dated an era later by that, never earlier; no era goes out of its turn,
     * which would read as a lost one; and it takes fewer blocks than digestion does, on a device that has hardly any left.
     */
    void squeezeOutSupersededWriteset() throws IOException {
        change(() -> {
            List<WritesetTree.Entry> entries = writesets.entries();
            int superseded = writesets.firstSuperseded(entries);
            for (int i = superseded; i > 0; i--) {
                WritesetTree.Entry before = entries.get(i - 1);
                tm.spaceMap().add(before.root());
                writesets.insert(entries.get(i).era(), before.nrBits(), before.root());
            }
            if (superseded >= 0) {
                writesets.remove(entries.get(0).era());
            }
        });
    }

    /** Whether a writeset was archived (or metadata opened that may hold some) since the last time this was asked. */
    boolean takeArchivedSinceLook() {
        boolean was = archivedSinceLook;
        archivedSinceLook = false;
        return was;
    }

    WritesetTree writesets() {
        return writesets;
    }

    DiskArray eraArray() {
        return eraArray;
    }
}
