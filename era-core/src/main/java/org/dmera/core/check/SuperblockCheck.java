// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.nio.ByteBuffer;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;

/**
 * The rules of one superblock: block 0, or the copy that a snapshot holds. Whether its roots lead anywhere is for the
 * walks to find out.
 */
final class SuperblockCheck implements Where {
    private final BlockReader reader;
    private final Structure structure;
    private final long blockNr;

    SuperblockCheck(BlockReader reader, Structure structure, long blockNr) {
        this.reader = reader;
        this.structure = structure;
        this.blockNr = blockNr;
    }

    @Override
    public Structure structure() {
        return structure;
    }

    @Override
    public String path() {
        return structure == Structure.SUPERBLOCK ? "" : "superblock > metadata snapshot";
    }

    @Override
    public String consequence() {
        return structure == Structure.SUPERBLOCK
                ? "the roots are searched on the whole device"
                : "the snapshot is dropped";
    }

    /**
     * Reads and judges the superblock; returns whether its fields can be used: it is sealed and says that it is a
     * superblock of this format.
     */
    boolean read(ByteBuffer buffer) {
        if (structure == Structure.SUPERBLOCK) {
            // Scripts and the peers' tests look for these very words.
            String failure = reader.tryRead(blockNr, buffer);
            if (failure == null && reader.identify(buffer) != BlockType.SUPERBLOCK) {
                return reader.report(
                        DamageKind.BAD_CHECKSUM,
                        this,
                        blockNr,
                        BlockReader.isZero(buffer)
                                ? "bad checksum in superblock: the block is all zeroes, the device is not formatted"
                                : "bad checksum in superblock");
            }
        }
        if (!reader.read(blockNr, buffer, BlockType.SUPERBLOCK, this)) {
            return false;
        }
        Superblock sb = new Superblock().wrap(buffer, 0);
        if (sb.magic() != Superblock.MAGIC) {
            return reader.report(
                    DamageKind.BAD_FIELD,
                    this,
                    blockNr,
                    "magic " + Long.toUnsignedString(sb.magic()) + ", expected " + Superblock.MAGIC);
        }
        if (sb.version() != Superblock.VERSION) {
            return reader.report(
                    DamageKind.BAD_FIELD,
                    this,
                    blockNr,
                    "version " + Integer.toUnsignedString(sb.version()) + ", expected " + Superblock.VERSION);
        }
        return true;
    }

    /**
     * Judges the sizes of a superblock that {@link #read} has accepted; the walks can go on whatever comes out.
     *
     * @param metadataBlocks size of the device
     */
    void judgeFields(Superblock sb, long metadataBlocks) {
        if (sb.metadataBlockSizeSectors() != Superblock.METADATA_BLOCK_SIZE_SECTORS) {
            field("metadata_block_size is " + sb.metadataBlockSizeSectors() + " sectors, expected 8");
        }
        long blockSize = sb.dataBlockSizeSectors();
        if (blockSize == 0 || blockSize % 8 != 0) {
            field("data_block_size is " + blockSize + " sectors, expected a multiple of 8 above 0");
        }
        String impossible = blockSize == 0 ? null : Limits.whyNoOrigin(sb.nrBlocks(), blockSize);
        if (impossible == null) {
            impossible = Limits.whyNoRoomForEras(sb.nrBlocks(), metadataBlocks);
        }
        if (impossible != null) {
            field(impossible);
        }
        if (sb.currentWritesetRoot() != 0 && sb.currentWritesetNrBits() > Limits.MAX_ORIGIN_BLOCKS) {
            field("the current writeset has " + sb.currentWritesetNrBits() + " bits, expected at most "
                    + Limits.MAX_ORIGIN_BLOCKS);
        }
        if ((sb.flags() & ~Superblock.FLAG_CLEAN_SHUTDOWN) != 0) {
            reader.log()
                    .add(
                            DamageKind.UNKNOWN_FLAG,
                            structure,
                            path(),
                            blockNr,
                            1,
                            "flags are 0x" + Integer.toHexString(sb.flags()) + ", only 0x1 has a meaning",
                            "cleared");
        }
    }

    private void field(String detail) {
        reader.log().add(DamageKind.BAD_FIELD, structure, path(), blockNr, 1, detail, consequence());
    }
}
