// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Eras;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.SuperblockRules;

/**
 * The fields of a superblock, validated: where a reading of metadata starts. Either the live one, or the copy that a held
 * metadata snapshot keeps; of the copy, the current writeset is left out, because a snapshot doesn't hold it.
 */
public final class MetadataRoots {
    /** The words that scripts and the peers' tests look for. */
    private static final String XML = "This looks like XML.  This tool only supports the binary metadata format.";

    private static final String BLANKS = " \n\r\t";

    /** Text goes on for so long: the shortest XML there is of metadata has more. */
    private static final int TEXT_BYTES = 32;

    /** Rereads of a superblock that a running target may be rewriting at the very moment. */
    private static final int ATTEMPTS = 5;

    /** Times that the metadata of a running target is read until nothing was committed in between. */
    private static final int READINGS = 20;

    /** What is read of metadata from its roots on. */
    public interface Reading<T> {
        T from(MetadataRoots roots) throws IOException;
    }

    private final Superblock superblock;
    private final boolean isSnapshot;

    private MetadataRoots(Superblock superblock, boolean isSnapshot) {
        this.superblock = superblock;
        this.isSnapshot = isSnapshot;
    }

    /**
     * Reads the live superblock.
     *
     * @throws DamagedMetadataException whose message contains {@code bad checksum in superblock}, or says that the
     *     device holds XML, or which field is impossible
     */
    public static MetadataRoots read(BlockDevice device) throws IOException {
        return new MetadataRoots(readSuperblock(device, 0, "superblock"), false);
    }

    /**
     * Reads the superblock copy of the held metadata snapshot; the device may be in use by a running target.
     *
     * @throws DamagedMetadataException as {@link #read}
     * @throws IOException {@code no current metadata snap}, or when it is dropped at this moment
     */
    public static MetadataRoots readSnapshot(BlockDevice device) throws IOException {
        return new MetadataRoots(readSnapshotCopy(device).currentWriteset(0, 0), true);
    }

    private static Superblock readSnapshotCopy(BlockDevice device) throws IOException {
        long blockNr = readSuperblock(device, 0, "superblock").metadataSnap();
        if (blockNr == 0) {
            throw new IOException("no current metadata snap");
        }
        if (blockNr < 0 || blockNr >= device.sizeBlocks()) {
            throw new DamagedMetadataException(
                            DamageKind.OUT_OF_RANGE,
                            0,
                            "superblock",
                            "superblock: the metadata snapshot is block " + Long.toUnsignedString(blockNr)
                                    + ", outside the device, which has " + device.sizeBlocks() + " blocks")
                    .on(device.name());
        }
        try {
            return readSuperblock(device, blockNr, "superblock of the metadata snapshot");
        } catch (DamagedMetadataException e) {
            if (readSuperblock(device, 0, "superblock").metadataSnap() != blockNr) {
                throw new IOException("the metadata snapshot was dropped while it was read", e);
            }
            throw e;
        }
    }

    /** Whether nothing was committed between the two: whatever a commit changes, it changes one of the roots. */
    public boolean isSameState(MetadataRoots other) {
        return currentEra() == other.currentEra()
                && currentWritesetRoot() == other.currentWritesetRoot()
                && writesetTreeRoot() == other.writesetTreeRoot()
                && eraArrayRoot() == other.eraArrayRoot();
    }

    /**
     * Refuses what was read from these roots if they are a snapshot's that is no longer held: its blocks are written over then,
     * by others of the same kind maybe, which pass for its own. To be asked when all is read, or damage was met.
     *
     * @throws IOException that says so, or {@code no current metadata snap}
     */
    public void requireStillHeld(BlockDevice device) throws IOException {
        if (isSnapshot && !isSameState(readSnapshot(device))) {
            throw new IOException("the metadata snapshot was dropped, and another taken, while it was read");
        }
    }

    /**
     * Reads something of metadata that a running target may change: once more whenever something was committed meanwhile,
     * because what a commit frees is used again after it.
     *
     * @param what the metadata, for the message
     * @param advice what to do, for the message
     * @throws DamagedMetadataException when the metadata is damaged that didn't change meanwhile
     * @throws IOException also when they changed each time
     */
    public static <T> T readUnchanged(BlockDevice device, String what, String advice, Reading<T> reading)
            throws IOException {
        DamagedMetadataException damage = null;
        for (int i = 0; i < READINGS; i++) {
            MetadataRoots roots = read(device);
            T result = null;
            try {
                result = reading.from(roots);
                damage = null;
            } catch (DamagedMetadataException e) {
                damage = e;
            }
            if (roots.isSameState(read(device))) {
                if (damage != null) {
                    throw damage.on(device.name());
                }
                return result;
            }
        }
        throw new IOException(what + " changed each of the " + READINGS + " times that it was read: " + advice, damage);
    }

    private static Superblock readSuperblock(BlockDevice device, long blockNr, String structure) throws IOException {
        try {
            return verified(device, blockNr, structure);
        } catch (DamagedMetadataException e) {
            throw e.on(device.name());
        }
    }

    private static Superblock verified(BlockDevice device, long blockNr, String structure) throws IOException {
        if (device.sizeBlocks() == 0) {
            throw new DamagedMetadataException(
                    DamageKind.UNREADABLE, 0, structure, "Metadata device/file too small.  Is this binary metadata?");
        }
        ByteBuffer block = BlockSource.newBuffer(1);
        BlockSeal seal = new BlockSeal();
        BlockSeal.Verdict verdict = null;
        for (int attempt = 0; attempt < ATTEMPTS && verdict != BlockSeal.Verdict.OK; attempt++) {
            device.read(blockNr, block.clear());
            verdict = seal.verify(BlockType.SUPERBLOCK, block, 0, blockNr);
        }
        if (verdict != BlockSeal.Verdict.OK) {
            boolean isXml = looksLikeXml(block);
            boolean isUnsealed = isXml || verdict == BlockSeal.Verdict.BAD_CHECKSUM;
            String unsealed = "bad checksum in " + structure + (BlockSource.isZero(block) ? " (it is all zeroes)" : "");
            String misplaced = structure + ": block " + blockNr + " says that it is block "
                    + Long.toUnsignedString(block.getLong(Superblock.BLOCK_NR));
            throw new DamagedMetadataException(
                    isUnsealed ? DamageKind.BAD_CHECKSUM : DamageKind.WRONG_BLOCK_NUMBER,
                    blockNr,
                    structure,
                    isXml ? XML : isUnsealed ? unsealed : misplaced);
        }
        Superblock superblock = new Superblock().wrap(block, 0);
        List<String> problems = SuperblockRules.formatProblems(superblock);
        if (problems.isEmpty()) {
            // Before anybody makes room for so many blocks.
            problems = SuperblockRules.sizeProblems(superblock, device.sizeBlocks());
        }
        if (!problems.isEmpty()) {
            throw new DamagedMetadataException(
                    DamageKind.BAD_FIELD, blockNr, structure, structure + ": " + problems.get(0));
        }
        return superblock;
    }

    /**
     * Refuses a device that holds XML: one line that says so is more help than a damaged superblock. Only what is not
     * sealed is looked at, for the first byte of a sound superblock's checksum may be any.
     *
     * @throws DamagedMetadataException when it does; what the device can't deliver is for others to report
     */
    public static void requireBinary(BlockDevice device) throws DamagedMetadataException {
        ByteBuffer block = BlockSource.newBuffer(1);
        try {
            device.read(0, block);
        } catch (IOException e) {
            // An unreadable superblock is damage like any other.
            return;
        }
        if (new BlockSeal().identify(block, 0) == null && looksLikeXml(block)) {
            throw new DamagedMetadataException(DamageKind.BAD_CHECKSUM, 0, "superblock", XML).on(device.name());
        }
    }

    /**
     * Whether text begins here that only XML begins with: {@code <} and a letter, {@code ?} or {@code !}, and no control
     * characters in the first bytes, which a damaged superblock has.
     */
    public static boolean looksLikeXml(ByteBuffer bytes) {
        int at = 0;
        int end = bytes.capacity();
        if (end >= 3 && bytes.get(0) == (byte) 0xEF && bytes.get(1) == (byte) 0xBB && bytes.get(2) == (byte) 0xBF) {
            at = 3;
        }
        while (at < end && BLANKS.indexOf(bytes.get(at)) >= 0) {
            at++;
        }
        if (at > end - 2 || bytes.get(at) != '<') {
            return false;
        }
        for (int i = at; i < Math.min(end, at + TEXT_BYTES); i++) {
            byte b = bytes.get(i);
            if (b >= 0 && b < ' ' && BLANKS.indexOf(b) < 0) {
                return false;
            }
        }
        byte next = bytes.get(at + 1);
        return next == '?' || next == '!' || next >= 'a' && next <= 'z' || next >= 'A' && next <= 'Z';
    }

    /** Whether these are the roots of a held snapshot. */
    public boolean isSnapshot() {
        return isSnapshot;
    }

    /** The 16 bytes of the uuid; the kernel writes zeroes. */
    public byte[] uuid() {
        return superblock.uuid();
    }

    /** Sectors of 512 bytes in an origin block. */
    public long dataBlockSizeSectors() {
        return superblock.dataBlockSizeSectors();
    }

    /** Origin blocks, at most {@link Limits#MAX_ORIGIN_BLOCKS}. */
    public long nrBlocks() {
        return superblock.nrBlocks();
    }

    /** The current era, 0 to 2^32 − 1. */
    public long currentEra() {
        return superblock.currentEra();
    }

    /**
     * The lowest era (u32) that a write may have which is not recorded here: of metadata at rest the one after the current.
     * 2^32 − 1 is followed by 0.
     */
    public long nextEra() {
        return isSnapshot || hasCurrentWriteset() ? currentEra() : currentEra() + 1 & Eras.HIGHEST;
    }

    /**
     * Whether an era (u32) is later than any that a copy can have been made up to by this metadata: who asks for changes since it
     * has metadata that was made anew, or another device's.
     */
    public boolean isToCome(long era) {
        return era > currentEra() && era != nextEra();
    }

    /** Whether there is a current writeset: never in a snapshot. */
    public boolean hasCurrentWriteset() {
        return superblock.hasCurrentWriteset();
    }

    /** The highest era that can have been archived, and so digested. */
    public long lastArchived() {
        return superblock.lastArchived();
    }

    public long currentWritesetNrBits() {
        return superblock.currentWritesetNrBits();
    }

    public long currentWritesetRoot() {
        return superblock.currentWritesetRoot();
    }

    public long writesetTreeRoot() {
        return superblock.writesetTreeRoot();
    }

    public long eraArrayRoot() {
        return superblock.eraArrayRoot();
    }

    /** Block of the held snapshot's superblock copy, 0 when none is held. */
    public long metadataSnap() {
        return superblock.metadataSnap();
    }

    /** The superblock's checksum: while it is the same, nothing was committed. */
    public int checksum() {
        return superblock.checksum();
    }

    /** The fields themselves. */
    Superblock superblock() {
        return superblock;
    }

    /** Metadata blocks that the space map covers; nobody has verified that. */
    public long spaceMapBlocks() {
        return superblock.spaceMapNrBlocks();
    }

    /** Metadata blocks in use, as the space map has it; nobody has verified that. */
    public long allocatedBlocks() {
        return Math.max(0, Math.min(superblock.spaceMapNrAllocated(), IndexBlock.MAX_METADATA_BLOCKS));
    }
}
