// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.nio.ByteBuffer;
import java.util.List;
import org.dmera.core.block.BlockType;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.DamageLocation;
import org.dmera.core.evidence.Structure;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.SuperblockRules;
import org.dmera.core.read.BlockSource;
import org.dmera.core.read.Problem;

/**
 * The rules of one superblock: block 0, or the copy that a snapshot holds. Whether its roots lead anywhere is for the
 * walks to find out.
 *
 * @param blockNr 0, or that of a held snapshot's copy
 */
public record SuperblockCheck(BlockReader reader, long blockNr) {
    private DamageLocation where() {
        return blockNr == 0
                ? DamageLocation.of(Structure.SUPERBLOCK, "", "the roots are searched on the whole device")
                : DamageLocation.of(Structure.SNAPSHOT, "superblock > metadata snapshot", "the snapshot is dropped");
    }

    /**
     * Reads and judges the superblock; returns null unless its fields can be used: it is sealed and is a superblock of this
     * format.
     */
    public Superblock read() {
        ByteBuffer block = BlockReader.newBuffer();
        if (blockNr == 0 && reader.tryRead(blockNr, block) == null && reader.identify(block) != BlockType.SUPERBLOCK) {
            // Scripts and the peers' tests look for these very words.
            String unformatted = ": the block is all zeroes, the device is not formatted";
            report(
                    DamageKind.BAD_CHECKSUM,
                    "bad checksum in superblock" + (BlockSource.isZero(block) ? unformatted : ""));
            return null;
        }
        if (!reader.read(blockNr, block, BlockType.SUPERBLOCK, where())) {
            return null;
        }
        Superblock superblock = new Superblock().wrap(block, 0);
        List<String> problems = SuperblockRules.formatProblems(superblock);
        if (!problems.isEmpty()) {
            report(DamageKind.BAD_FIELD, problems.get(0));
            return null;
        }
        return superblock;
    }

    /** Reads the copy that a snapshot holds, and claims its block for the snapshot; returns null unless its fields can be used. */
    Superblock claim() {
        BlockUse table = reader.table();
        if (!table.isUsable(blockNr)) {
            reader.report(Problem.outOfRange(blockNr, table.size()), where());
            return null;
        }
        table.addReference(blockNr);
        if (!table.use(blockNr, BlockUse.SNAPSHOT, 0)) {
            report(DamageKind.DOUBLY_USED, "the block is in use in another place too");
            return null;
        }
        return read();
    }

    /**
     * Judges the sizes of a superblock that {@link #read} has accepted; the walks can go on whatever comes out.
     *
     * @param metadataBlocks size of the device
     */
    void judgeFields(Superblock superblock, long metadataBlocks) {
        for (String problem : SuperblockRules.sizeProblems(superblock, metadataBlocks)) {
            addBadField(problem);
        }
        if ((superblock.flags() & ~Superblock.FLAG_CLEAN_SHUTDOWN) != 0) {
            String detail = "flags are 0x" + Integer.toHexString(superblock.flags()) + ", only 0x1 has a meaning";
            DamageLocation here = DamageLocation.of(where().structure(), where().path(), "cleared");
            reader.log().add(DamageKind.UNKNOWN_FLAG, here, blockNr, detail);
        }
    }

    /** Judges the copy that a snapshot holds beside the live superblock. */
    void compareWith(Superblock live, Superblock copy) {
        // Eras go round: 0xffffffff is followed by 0, so it is the distance that shows which of two came first.
        if ((int) (live.currentEra() - copy.currentEra()) < 0) {
            addBadField("the snapshot is of era " + copy.currentEra() + ", the current era is " + live.currentEra());
        } else if (copy.dataBlockSizeSectors() != live.dataBlockSizeSectors()) {
            DamageLocation here =
                    DamageLocation.of(where().structure(), where().path(), "which one is right has to be said");
            String detail = "data_block_size is " + copy.dataBlockSizeSectors() + " sectors in the snapshot, "
                    + live.dataBlockSizeSectors() + " in the superblock";
            reader.log().add(DamageKind.BAD_FIELD, here, blockNr, detail);
        } else if (copy.metadataSnap() != 0) {
            addBadField("the snapshot's copy of the superblock holds a snapshot itself, block "
                    + Long.toUnsignedString(copy.metadataSnap()));
        }
    }

    private void addBadField(String detail) {
        reader.log().add(DamageKind.BAD_FIELD, where(), blockNr, detail);
    }

    private void report(DamageKind kind, String detail) {
        reader.report(kind, where(), blockNr, detail);
    }
}
