// SPDX-License-Identifier: Apache-2.0
package org.dmera.core;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.NoSuchElementException;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.read.MetadataRoots;

/**
 * The front door for who writes backup software: what an era device's metadata knew at one moment.
 *
 * <pre>{@code
 * try (EraSnapshot snapshot = EraSnapshot.open(Path.of("/dev/vg/meta"))) {
 *     for (ByteRange range : snapshot.changedSince(era)) {
 *         copy(range.offset(), range.length());
 *     }
 * }
 * }</pre>
 *
 * <p>Damaged metadata is refused, with a {@link org.dmera.core.format.DamagedMetadataException}: there is no partial answer.
 * One thread uses it at a time, and one that is interrupted while it reads has closed it, as it is with Java's channels: a
 * {@link java.nio.channels.ClosedChannelException}.
 */
public final class EraSnapshot implements Closeable {
    private static final int SECTOR_BYTES = 512;

    private final BlockDevice device;
    private final MetadataRoots roots;
    private final boolean isHeld;
    private boolean isClosed;

    private EraSnapshot(BlockDevice device, MetadataRoots roots, boolean isHeld) {
        this.device = device;
        this.roots = roots;
        this.isHeld = isHeld;
    }

    /**
     * Opens the metadata snapshot that an era device holds ({@code dmsetup message NAME 0 take_metadata_snap}); the device may
     * be in use.
     *
     * @param metadata the metadata device, a block device or regular file
     * @return the snapshot, to be closed
     * @throws IOException in one line, when it can't be read, or holds no snapshot, which is no damage
     */
    public static EraSnapshot open(Path metadata) throws IOException {
        BlockDevice device = DeviceOpener.open(metadata, false, DeviceOpener.Claim.SHARED);
        return of(device, true);
    }

    /**
     * Opens the metadata of an era device that is not in use, and keeps others from using it until {@link #close}.
     *
     * @param metadata the metadata device, a block device or regular file
     * @return what the metadata knows, to be closed
     * @throws IOException in one line, when it can't be read, or is in use
     */
    public static EraSnapshot openOffline(Path metadata) throws IOException {
        return of(DeviceOpener.open(metadata, false, DeviceOpener.Claim.LASTING), false);
    }

    private static EraSnapshot of(BlockDevice device, boolean isHeld) throws IOException {
        try {
            MetadataRoots.requireBinary(device);
            return new EraSnapshot(
                    device, isHeld ? MetadataRoots.readSnapshot(device) : MetadataRoots.read(device), isHeld);
        } catch (IOException | RuntimeException e) {
            device.close();
            throw e;
        }
    }

    /**
     * {@return the era (u32) that was current at that moment} To ask by the next time, {@link #point} or {@link #token} is the
     * thing to keep.
     */
    public long currentEra() {
        return roots.currentEra();
    }

    /** {@return bytes in a block, which is what a mark stands for} */
    public long blockBytes() {
        return roots.dataBlockSizeSectors() * SECTOR_BYTES;
    }

    /** {@return blocks that the origin has, the last of which may be a part of one} */
    public long nrBlocks() {
        return roots.nrBlocks();
    }

    /**
     * {@return what was written in an era or later, in ascending order, as few ranges as there can be}
     *
     * @param era u32
     * @throws IOException for an era to come: the metadata was made anew since, or is another device's; or when the snapshot
     *     was dropped meanwhile. Of metadata that was put to rest the next era is none: that is where its {@link #point} is
     */
    public Iterable<ByteRange> changedSince(long era) throws IOException {
        if (roots.isToCome(era)) {
            throw ChangedBlocks.notReached(era, roots);
        }
        BlockSet blocks = ChangedBlocks.since(device(), roots, era);
        return () -> new Ranges(blocks, blockBytes());
    }

    /**
     * {@return what was written since a moment, in ascending order, as few ranges as there can be}
     *
     * @param point of an earlier snapshot of the same metadata
     * @throws IOException when the metadata is another device's or was made anew, so that its eras are others; or as
     *     {@link #changedSince(long)}
     */
    public Iterable<ByteRange> changedSince(EraPoint point) throws IOException {
        return changedSince("point", point.era(), point.contradiction(device(), roots));
    }

    /**
     * {@return what was written since a moment, in ascending order, as few ranges as there can be} A token tells nearly as well as
     * a point whether the metadata is the same.
     *
     * @param token of an earlier snapshot of the same metadata
     * @throws IOException as {@link #changedSince(EraPoint)}
     */
    public Iterable<ByteRange> changedSince(EraToken token) throws IOException {
        return changedSince("token", token.era(), token.contradiction(device(), roots));
    }

    private Iterable<ByteRange> changedSince(String what, long era, String contradiction) throws IOException {
        if (contradiction != null) {
            throw new IOException(
                    "the " + what + " is of other metadata, or the metadata was made anew since: " + contradiction);
        }
        return changedSince(era);
    }

    /**
     * {@return a token for {@link #changedSince(EraPoint)} of later snapshots} What is written after this moment has its era, or a
     * later one. Of a held snapshot that is the era before it, the last that it lists.
     *
     * @throws IOException when the metadata can't be read, or the snapshot was dropped meanwhile
     */
    public EraPoint point() throws IOException {
        return EraPoint.of(device(), roots, laterEra());
    }

    /**
     * {@return a token for {@link #changedSince(EraToken)} of later snapshots} It is short enough for a name or a command line, and
     * the programs of this project take it wherever they take an era.
     *
     * @throws IOException when the metadata can't be read, or the snapshot was dropped meanwhile
     */
    public EraToken token() throws IOException {
        return EraToken.of(device(), roots, laterEra());
    }

    /**
     * Taking a snapshot begins an era. A write of the one before may have been on its way to the origin then, and the caller
     * have read what was there before it: it is listed once more. Metadata that was put to rest goes on with a new era, as the
     * kernel's target does when it is resumed; with a writeset that is open, as a crash leaves it, the era is listed once more.
     */
    private long laterEra() {
        return isHeld ? Math.max(0, roots.currentEra() - 1) : roots.nextEra();
    }

    private BlockDevice device() throws IOException {
        if (isClosed) {
            throw new IOException(device.name() + ": this snapshot of it is closed, and can't be asked any more");
        }
        return device;
    }

    @Override
    public void close() throws IOException {
        isClosed = true;
        device.close();
    }

    private static final class Ranges implements Iterator<ByteRange> {
        private final BlockSet blocks;
        private final long blockBytes;
        private long next;

        Ranges(BlockSet blocks, long blockBytes) {
            this.blocks = blocks;
            this.blockBytes = blockBytes;
            this.next = blocks.nextMember(0);
        }

        @Override
        public boolean hasNext() {
            return next < blocks.nrBlocks();
        }

        @Override
        public ByteRange next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            long begin = next;
            long end = blocks.nextNonMember(begin);
            next = blocks.nextMember(end);
            return new ByteRange(begin * blockBytes, (end - begin) * blockBytes);
        }
    }
}
