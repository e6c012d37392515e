// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.linux.DeviceNumber;
import org.dmera.core.linux.NativeText;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.read.ReadOnce;
import org.dmera.core.read.WritesetScanner;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.input.MetadataInput;

/** An era device's metadata as a backup sees it: what the origin is, and what changed since when. */
public final class MetadataView implements Closeable {
    private static final int SECTOR_BYTES = 512;

    private final Path path;
    private final boolean snapshot;
    private final FileBlockDevice device;
    private final MetadataRoots roots;

    /**
     * Opens metadata to read it.
     *
     * @param path the metadata device, or a file
     * @param snapshot look at the held metadata snapshot of a device that may be in use; else the metadata must be nobody's
     * @throws IOException in one line, when it is damaged, in use or can't be read
     */
    public MetadataView(Path path, boolean snapshot) throws IOException {
        this(path, snapshot, false);
    }

    private MetadataView(Path path, boolean snapshot, boolean writable) throws IOException {
        this.path = path;
        this.snapshot = snapshot;
        device = MetadataInput.open(path, writable, snapshot);
        try {
            roots = snapshot ? MetadataRoots.readSnapshot(device) : MetadataRoots.read(device);
        } catch (IOException e) {
            device.close();
            throw e;
        }
    }

    /**
     * {@return metadata of a device that rests, nobody else's meanwhile, so that marks can be added}
     *
     * @param path the metadata device, or a file
     * @throws IOException in one line, when it is damaged, in use or can't be written
     */
    public static MetadataView writable(Path path) throws IOException {
        return new MetadataView(path, false, true);
    }

    /** {@return what the superblock refers to} */
    @SuppressWarnings("exports") // for the programs of this project
    public MetadataRoots roots() {
        return roots;
    }

    /** {@return the metadata device} */
    @SuppressWarnings("exports") // for the programs of this project
    public FileBlockDevice device() {
        return device;
    }

    /** {@return whether this is the held snapshot} */
    public boolean isSnapshot() {
        return snapshot;
    }

    /** {@return bytes in a block, which is what a mark stands for} */
    public long blockSizeBytes() {
        return roots.dataBlockSizeSectors() * SECTOR_BYTES;
    }

    /**
     * {@return the first era (u32) whose writes may be missing from a copy that is made by this metadata: the next increment's base}
     *
     * <p>Metadata that was put to rest (the current writeset archived) holds all of what came before; whatever comes after
     * gets a higher era. Metadata with an open writeset may still get writes of the current era.
     *
     * <p>Taking a snapshot begins an era, and the snapshot's superblock names that one: it lists all the writes of the
     * era before. But the origin may have been read from a snapshot of its own, which was taken in that era before, or
     * a write of that era may have been on its way then. So that era is copied once more.
     *
     * <p>Eras wrap after 2^32 − 1: 0 means that the next increment is everything.
     */
    public long newEra() {
        if (snapshot) {
            return Math.max(0, roots.currentEra() - 1);
        }
        return roots.nextEra();
    }

    /**
     * {@return the blocks that were written in an era or later}
     *
     * @param since u32
     * @throws IOException when the metadata has not come so far, so that it can't be that which the era is from
     */
    @SuppressWarnings("exports") // for the programs of this project
    public BlockSet changedSince(long since) throws IOException {
        if (roots.isToCome(since)) {
            throw new IOException(path + ": changes since era " + since + " were asked for, and the current era is "
                    + roots.currentEra()
                    + ": the metadata was made anew since, or is another device's; take a full copy");
        }
        return ChangedBlocks.since(device, roots, since);
    }

    /**
     * Refuses a snapshot that is not the last word: an era has begun since it was taken, or something was written. Of a device
     * that nobody writes to meanwhile.
     *
     * @throws IOException that says so, or when the metadata is damaged
     */
    public void requireNothingSinceSnapshot() throws IOException {
        MetadataRoots live = MetadataRoots.read(device);
        if (live.currentEra() != roots.currentEra()
                || ChangedBlocks.since(device, live, live.currentEra()).count() > 0) {
            throw new IOException(path + ": the device was written to since the metadata snapshot was taken (in era "
                    + roots.currentEra()
                    + "), or a new era began: drop it, and take another while nobody uses the device");
        }
    }

    /**
     * {@return the fewest blocks that the origin had since an era, as far as writesets show that are not digested yet} What
     * comes back when an origin shrinks and grows again may be anything, and no mark records it.
     *
     * @param era u32
     * @throws IOException when the metadata is damaged
     */
    public long fewestBlocksSince(long era) throws IOException {
        long[] fewest = {Long.MAX_VALUE / blockSizeBytes()};
        new WritesetScanner(new ReadOnce(device)).forEach(roots, (of, nrBits, root) -> {
            if (of >= era) {
                fewest[0] = Math.min(fewest[0], nrBits);
            }
        });
        return fewest[0];
    }

    /**
     * {@return how many bytes of an origin the era device tracks}
     *
     * @param origin for messages
     * @param originSizeBytes its size
     * @throws IOException when the origin is too small to be this device's
     */
    public long trackedBytes(Path origin, long originSizeBytes) throws IOException {
        long tracked = roots.nrBlocks() * blockSizeBytes();
        if (roots.nrBlocks() > 0 && originSizeBytes <= tracked - blockSizeBytes()) {
            throw new IOException(origin + " has " + originSizeBytes + " bytes, and the metadata tracks "
                    + roots.nrBlocks() + " blocks of " + blockSizeBytes() + " bytes: not the origin of this metadata");
        }
        return Math.min(tracked, originSizeBytes);
    }

    /**
     * {@return what a stream calls the metadata}
     *
     * @param given by the user, or null for what the device says of itself
     * @param path the metadata device, or a file
     * @throws IOException when what was given can't be a name, or there is no such file
     */
    public static String identity(String given, Path path) throws IOException {
        if (given == null) {
            return identityOf(path);
        }
        if (!given.equals(cut(given))) {
            throw new IOException(
                    "--identity: expected one line of at most " + StreamHeader.MAX_IDENTITY_BYTES + " bytes");
        }
        return given;
    }

    /**
     * {@return a name for the metadata device that stays the same as long as it exists} The device-mapper uuid (an LVM logical
     * volume has one for life), else a disk's or partition's own id, else the path.
     *
     * @param path the metadata device, or a file
     * @throws IOException when there is no such file
     */
    public static String identityOf(Path path) throws IOException {
        Path real = path.toRealPath();
        if (DeviceOpener.isBlockDevice(real)) {
            Path sys = DeviceNumber.sysfs(real);
            for (String file : new String[] {"dm/uuid", "wwid", "device/wwid", "device/serial"}) {
                String id = firstLine(sys.resolve(file));
                if (!id.isEmpty()) {
                    return cut(id);
                }
            }
        }
        return cut(real.toString());
    }

    private static String firstLine(Path file) throws IOException {
        return Files.isReadable(file)
                ? Files.readString(file, NativeText.CHARSET).strip()
                : "";
    }

    /** The end of a long name distinguishes more than its beginning. It is kept in files of lines, so it is one. */
    private static String cut(String name) {
        String end = name.replace('\n', ' ').replace('\r', ' ');
        while (NativeText.bytes(end).length > StreamHeader.MAX_IDENTITY_BYTES) {
            end = end.substring(1);
        }
        return end;
    }

    @Override
    public void close() throws IOException {
        device.close();
    }
}
