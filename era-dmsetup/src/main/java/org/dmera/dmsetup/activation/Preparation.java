// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.activation;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.check.CheckOptions;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Severity;
import org.dmera.core.linux.NativeText;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.repair.SpaceMapRepair;
import org.dmera.dmsetup.ioctl.Words;
import org.dmera.dmsetup.targets.StorageId;
import org.dmera.tools.input.MetadataInput;
import org.dmera.tools.input.ReaderThreads;

/**
 * What must be right before the device of a line of eratab is made. Above all the target must find metadata: it takes zeroes
 * for a new device and begins to count at 1, after which nobody knows what was written before.
 */
public final class Preparation {
    private static final int SECTOR_BYTES = 512;

    private final EratabEntry entry;
    private final Path metadata;
    private final Path origin;
    private final Path enrolled;

    /** Of a line; {@code enrolled} is the folder of the enrollments. */
    public Preparation(EratabEntry entry, Path enrolled) throws IOException {
        this.entry = entry;
        this.enrolled = enrolled;
        metadata = NativeText.path(entry.metadata());
        origin = NativeText.path(entry.origin());
        for (Path path : new Path[] {metadata, origin}) {
            if (!Files.exists(path)) {
                throw new IOException(path + ": No such file or directory");
            }
        }
        if (StorageId.of(metadata).equals(StorageId.of(origin))) {
            throw new IOException(metadata + " and " + origin + " are the same");
        }
    }

    /**
     * Looks at the metadata, mends counts if the line says so, and compares with the enrollment.
     *
     * @return the table of the device
     * @throws IOException in one line, when the device must not be made
     */
    public String table() throws IOException {
        try (BlockDevice device = MetadataInput.open(metadata, entry.isMended(), false)) {
            MetadataRoots roots = MetadataRoots.read(device);
            if (roots.dataBlockSizeSectors() != entry.blockSizeSectors()) {
                throw new IOException(metadata + ": the block size is " + roots.dataBlockSizeSectors()
                        + " sectors, and eratab says " + entry.blockSizeSectors());
            }
            if (entry.isChecked()) {
                check(device);
            }
            Enrollment enrollment = Enrollment.read(enrolled, entry.name());
            if (enrollment == null) {
                throw new IOException("nobody has said that " + metadata + " belongs to " + origin
                        + ": create the device once with --enroll");
            }
            String why = enrollment.contradiction(metadata, origin, device, roots);
            if (why != null) {
                throw new IOException(why);
            }
            return table(roots);
        } catch (DamagedMetadataException e) {
            throw new IOException(metadata + ": " + e.getMessage() + "; era_check tells more", e);
        }
    }

    private void check(BlockDevice device) throws IOException {
        CheckOptions options = CheckOptions.defaults().withThreads(ReaderThreads.count(), new ReaderThreads());
        CheckReport report = MetadataChecker.check(device, options);
        if (entry.isMended() && !report.isBeyondAutoRepair() && SpaceMapRepair.isNeeded(report)) {
            SpaceMapRepair.repair(device, report);
            report = MetadataChecker.check(device, options);
        }
        if (!report.isClean()) {
            throw new IOException(metadata + " is damaged (" + report.count(Severity.FATAL) + " fatal, "
                    + report.count(Severity.NON_FATAL) + " other findings): era_check tells what, era_repair makes"
                    + " sound metadata of it on another device");
        }
    }

    private String table(MetadataRoots roots) throws IOException {
        long sectors;
        try (FileChannel channel = FileChannel.open(origin, StandardOpenOption.READ)) {
            sectors = channel.size() / SECTOR_BYTES;
        }
        long blocks = -Math.floorDiv(-sectors, entry.blockSizeSectors());
        if (blocks < roots.nrBlocks()) {
            throw new IOException(origin + " has " + blocks + " blocks, and its metadata is of " + roots.nrBlocks()
                    + ": if it was made smaller on purpose, create the device by hand, with --enroll");
        }
        return "0 " + sectors + " era " + Words.escape(entry.metadata()) + " " + Words.escape(entry.origin()) + " "
                + entry.blockSizeSectors();
    }

    /** Enrolls metadata and origin as they are now, whether the device is in use or not. */
    public static void enroll(Path metadata, Path origin, Path folder, String name) throws IOException {
        try (BlockDevice device = MetadataInput.open(metadata, true)) {
            MetadataRoots.readUnchanged(
                            device,
                            metadata.toString(),
                            "enroll it while nobody writes",
                            roots -> Enrollment.of(metadata, origin, device, roots))
                    .write(folder, name);
        }
    }

    /** Enrolls what {@link #table} has seen, as a device that has been stopped left it. */
    public void enrollAgain() throws IOException {
        enroll(metadata, origin, enrolled, entry.name());
    }
}
