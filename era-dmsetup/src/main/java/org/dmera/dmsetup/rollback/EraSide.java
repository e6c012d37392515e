// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import java.io.IOException;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.cache.WrittenSectors;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.read.MetadataRoots;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DevicePaths;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.tools.input.MetadataInput;
import org.dmera.tools.input.ReaderThreads;

/** The era device beneath a cache: its eras, its metadata snapshot, and what was written. */
record EraSide(DmClient client, CacheStack stack) {
    private DeviceId id() {
        return stack.eraDevice();
    }

    String name() {
        return id().name();
    }

    long currentEra() throws IOException {
        return client.eraStatus(id()).currentEra();
    }

    /** @throws IOException also when the device is suspended: the kernel would let us wait, and not be killed, until it isn't */
    void requireBegun(long since) throws IOException {
        if (client.info(id()).has(DmFlags.SUSPEND)) {
            throw new IOException("the era device " + name() + " is suspended: resume it first");
        }
        long current = currentEra();
        if (since > current) {
            throw new IOException("era " + since + " of " + name() + " has not begun: the current era is " + current
                    + ". Was its metadata made anew? Then nobody knows what was written since");
        }
    }

    void requireNoSnapshot() throws IOException {
        long block = snapshotBlock();
        if (block >= 0) {
            throw new IOException("a metadata snapshot of " + name() + " is held (block " + block
                    + "), by a backup perhaps: wait for it, or drop the snapshot");
        }
    }

    void take() throws IOException {
        client.message(id(), stack.eraTarget().startSector(), "take_metadata_snap");
    }

    void drop() throws IOException {
        client.message(id(), stack.eraTarget().startSector(), "drop_metadata_snap");
    }

    /** The metadata block of the held snapshot, or −1 for none. */
    long snapshotBlock() throws IOException {
        return client.eraStatus(id()).snapshotBlock();
    }

    /**
     * Drops the snapshot that a killed run has left; nobody else's, which may lie in the same block once ours is gone.
     *
     * @param before the era before ours, or −1 when none was to be taken
     * @param block where it was seen, or −1 when the run was killed before it could look
     */
    void dropOurs(long before, long block) throws IOException {
        long held = snapshotBlock();
        if (before < 0 || held < 0 || block >= 0 && held != block) {
            return;
        }
        // Killed within the call that takes it: a backup begins an era before it takes one, so this isn't a backup's.
        long era = snapshotEra();
        if (era == before + 1) {
            drop();
        } else if (block < 0 && era > before + 1) {
            // Waiting for somebody would never end if it is ours.
            throw new IOException("a metadata snapshot of " + name() + " is held (block " + held + ", of era " + era
                    + "): it may be that of the run that was killed as it took one, or somebody else's; if nobody uses it,"
                    + " drop it (drop_metadata_snap), and run this again");
        }
    }

    /** The era that began when the held snapshot was taken. */
    long snapshotEra() throws IOException {
        try (BlockDevice device = open()) {
            return MetadataRoots.readSnapshot(device).currentEra();
        }
    }

    /** What was written since the beginning of era {@code since}, as of the held snapshot. */
    WrittenSectors writtenInSnapshot(long since) throws IOException {
        try (BlockDevice device = open()) {
            return written(device, MetadataRoots.readSnapshot(device), since);
        }
    }

    /** The same as of now, without a snapshot: for figures. The target commits each mark before it lets the write go. */
    WrittenSectors writtenLive(long since) throws IOException {
        try (BlockDevice device = open()) {
            return MetadataRoots.readUnchanged(
                    device,
                    "the metadata of " + name(),
                    "too many write to it",
                    roots -> written(device, roots, since));
        }
    }

    private WrittenSectors written(BlockDevice device, MetadataRoots roots, long since) throws IOException {
        BlockSet blocks = ChangedBlocks.find(
                device, roots, since, ChangedBlocks.NO_BOUND, ReaderThreads.count(), new ReaderThreads());
        try {
            return new WrittenSectors(blocks, roots.dataBlockSizeSectors(), stack.extents());
        } catch (IllegalArgumentException e) {
            throw new IOException("the metadata of " + name() + " is not of this device: " + e.getMessage(), e);
        }
    }

    private BlockDevice open() throws IOException {
        return MetadataInput.open(DevicePaths.of(stack.metadata()), true);
    }
}
