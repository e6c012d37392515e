// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import org.dmera.core.block.BlockType;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.DamageLocation;
import org.dmera.core.evidence.Structure;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.SuperblockRules;
import org.dmera.core.read.BlockSource;

/**
 * The rules of one superblock: block 0, or the copy that a snapshot holds. Whether its roots lead anywhere is for the
 * walks to find out.
 */
public final class SuperblockCheck implements DamageLocation {
    private final BlockReader reader;
    private final long blockNr;

    /** {@code blockNr}: 0, or that of a held snapshot's copy. */
    public SuperblockCheck(BlockReader reader, long blockNr) {
        this.reader = reader;
        this.blockNr = blockNr;
    }

    @Override
    public Structure structure() {
        return blockNr == 0 ? Structure.SUPERBLOCK : Structure.SNAPSHOT;
    }

    @Override
    public String path() {
        return blockNr == 0 ? "" : "superblock > metadata snapshot";
    }

    @Override
    public String consequence() {
        return blockNr == 0 ? "the roots are searched on the whole device" : "the snapshot is dropped";
    }

    /**
     * Reads and judges the superblock; returns whether its fields can be used: it is sealed and is a
     * superblock of this format.
     */
    public boolean read(ByteBuffer buffer) {
        if (blockNr == 0) {
            // Scripts and the peers' tests look for these very words.
            IOException failure = reader.tryRead(blockNr, buffer);
            if (failure == null && reader.identify(buffer) != BlockType.SUPERBLOCK) {
                return reader.report(
                        DamageKind.BAD_CHECKSUM,
                        this,
                        blockNr,
                        BlockSource.isZero(buffer)
                                ? "bad checksum in superblock: the block is all zeroes, the device is not formatted"
                                : "bad checksum in superblock");
            }
        }
        if (!reader.read(blockNr, buffer, BlockType.SUPERBLOCK, this)) {
            return false;
        }
        Superblock sb = new Superblock().wrap(buffer, 0);
        List<String> problems = SuperblockRules.formatProblems(sb);
        if (!problems.isEmpty()) {
            return reader.report(DamageKind.BAD_FIELD, this, blockNr, problems.get(0));
        }
        return true;
    }

    /**
     * Judges the sizes of a superblock that {@link #read} has accepted; the walks can go on whatever comes out.
     *
     * @param metadataBlocks size of the device
     */
    void judgeFields(Superblock sb, long metadataBlocks) {
        for (String problem : SuperblockRules.sizeProblems(sb, metadataBlocks)) {
            reader.log().add(DamageKind.BAD_FIELD, this, blockNr, problem);
        }
        if ((sb.flags() & ~Superblock.FLAG_CLEAN_SHUTDOWN) != 0) {
            String detail = "flags are 0x" + Integer.toHexString(sb.flags()) + ", only 0x1 has a meaning";
            reader.log()
                    .add(DamageKind.UNKNOWN_FLAG, DamageLocation.of(structure(), path(), "cleared"), blockNr, detail);
        }
    }
}
