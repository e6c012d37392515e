// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.linux.Errno;
import org.dmera.core.metadata.EraMetadata;

/**
 * Makes era targets: the kernel's checks in the kernel's order, and four more that it lacks. It lets a block size past
 * 2^32 wrap around, takes a length beyond the origin, one device as both metadata and origin, and two targets on one
 * metadata device, which destroys it. And one that this engine has: memory for the marks.
 */
public final class EraTargetFactory implements TargetFactory {
    private static final long MAX_U32 = 0xffffffffL;
    private static final int BLOCK_SIZE_MULTIPLE_SECTORS = 8;
    /** The kernel's formatting runs past the end of a smaller device (EINVAL); of a larger one it uses up all (ENOSPC). */
    private static final int LEAST_BLOCKS = 3;

    private final Consumer<String> log;
    private final EraClaims claims = new EraClaims();
    private final MarksMemory marksMemory;
    private final Lineages lineages = new Lineages();

    /** {@code log} gets what the kernel would write to its console. */
    public EraTargetFactory(Consumer<String> log) {
        this(log, new MarksMemory());
    }

    EraTargetFactory(Consumer<String> log, MarksMemory marksMemory) {
        this.log = log;
        this.marksMemory = marksMemory;
    }

    @Override
    public String type() {
        return "era";
    }

    @Override
    public int[] version() {
        return new int[] {1, 0, 0};
    }

    @Override
    public Target load(long lengthSectors, List<String> arguments, BackingOpener backings)
            throws TableException, IOException {
        if (arguments.size() != 3) {
            throw TableWords.invalid("Invalid argument count");
        }
        Backing metadata = open(backings, arguments.get(0), true, "Error opening metadata device");
        Backing origin = null;
        EraClaims.Claim claim = null;
        long marksBytes = 0;
        try {
            origin = open(backings, arguments.get(1), false, "Error opening data device");
            long blockSizeSectors = blockSize(arguments.get(2), lengthSectors);
            EraClaims.requireApart(metadata, origin);
            long originSectors = origin.sizeBytes() / TableWords.SECTOR_BYTES;
            if (lengthSectors > originSectors) {
                throw TableWords.invalid(
                        "Target of " + lengthSectors + " sectors is longer than the origin of " + originSectors);
            }
            claim = claims.claim(backings.owner(), backings, metadata, origin);
            marksBytes = marksMemory.reserve((lengthSectors + blockSizeSectors - 1) / blockSizeSectors);
            checkSuperblock(new BackingBlockDevice(metadata), blockSizeSectors);
            EraClaims.Claim claimed = claim;
            long reserved = marksBytes;
            AtomicBoolean open = new AtomicBoolean(true);
            EraTarget target = new EraTarget(metadata, origin, blockSizeSectors, lengthSectors, lineages, log, () -> {
                if (open.compareAndSet(true, false)) {
                    claims.release(claimed);
                    marksMemory.release(reserved);
                }
            });
            claims.made(claim, target);
            return target;
        } catch (TableException | IOException | RuntimeException | Error e) {
            Failures.after(e, metadata::close);
            if (origin != null) {
                Failures.after(e, origin::close);
            }
            if (claim != null) {
                claims.release(claim);
            }
            marksMemory.release(marksBytes);
            if (e instanceof IOException io) {
                throw new TableException("Error reading metadata", EraTarget.errno(io), e);
            }
            throw e;
        }
    }

    /** As the kernel, which makes every failure EINVAL. */
    private static Backing open(BackingOpener backings, String word, boolean metadata, String reason)
            throws TableException {
        try {
            return metadata ? backings.openMetadata(word) : backings.open(word);
        } catch (IOException e) {
            throw new TableException(reason, Errno.EINVAL.number(), e);
        }
    }

    private static long blockSize(String word, long lengthSectors) throws TableException {
        long sectors = TableWords.number(word, Long.MAX_VALUE, "Error parsing block size");
        if ((sectors & MAX_U32) == 0 || sectors % BLOCK_SIZE_MULTIPLE_SECTORS != 0) {
            throw TableWords.invalid("Invalid block size");
        }
        if (sectors > MAX_U32) {
            throw TableWords.invalid("Block size does not fit 32 bits");
        }
        if ((lengthSectors + sectors - 1) / sectors > Limits.MAX_ORIGIN_BLOCKS) {
            throw TableWords.invalid("Too many blocks, at most 2^31 - 1; use a larger block size");
        }
        return sectors;
    }

    @Override
    public void checkSharing() throws TableException {
        claims.requireApart();
    }

    /** What the kernel checks of a superblock that is not all zeroes, with its errno for each. */
    private void checkSuperblock(BlockDevice device, long blockSizeSectors) throws IOException, TableException {
        if (device.sizeBlocks() == 0) {
            throw new IOException("the metadata device is smaller than one block");
        }
        if (EraMetadata.isBlank(device)) {
            if (device.sizeBlocks() < LEAST_BLOCKS) {
                throw reading("metadata device of " + device.sizeBlocks() + " blocks", Errno.EINVAL);
            }
            return;
        }
        ByteBuffer block = ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        device.read(0, block);
        block.flip();
        Superblock sb = new Superblock().wrap(block, 0);
        if (sb.blockNr() != 0) {
            throw reading("blocknr " + Long.toUnsignedString(sb.blockNr()) + ": wanted 0", Errno.ENOTBLK);
        }
        if (sb.magic() != Superblock.MAGIC) {
            throw reading("magic " + sb.magic() + ": wanted " + Superblock.MAGIC, Errno.EILSEQ);
        }
        if (new BlockSeal().verify(BlockType.SUPERBLOCK, block, 0, 0) != BlockSeal.Verdict.OK) {
            throw reading("superblock checksum is wrong", Errno.EILSEQ);
        }
        if (sb.version() != Superblock.VERSION) {
            throw reading("metadata version " + sb.version() + ": wanted " + Superblock.VERSION, Errno.EINVAL);
        }
        if (sb.dataBlockSizeSectors() != blockSizeSectors) {
            throw reading(
                    "changing the data block size (from " + sb.dataBlockSizeSectors() + " to " + blockSizeSectors
                            + ") is not supported",
                    Errno.EINVAL);
        }
    }

    /** {@code errno}: for a superblock of another block the kernel answers ENOTBLK, for one that is damaged EILSEQ. */
    private TableException reading(String problem, Errno errno) {
        log.accept("era: " + problem);
        return new TableException("Error reading metadata", errno.number());
    }
}
