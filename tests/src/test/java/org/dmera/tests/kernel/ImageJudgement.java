// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.changes.BlockSet;
import org.dmera.core.changes.ChangedBlocks;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.scan.MetadataRoots;

/**
 * Compares what is read from one image with the record of what was written when: it is clean, every block's last era is right,
 * and so is the answer to "what changed since", live and in the held snapshot. The peer's dump is a third opinion.
 */
final class ImageJudgement {
    private final Path image;
    private final BlockDevice device;
    private final EraRecord record;

    private ImageJudgement(Path image, EraRecord record) throws IOException {
        this.image = image;
        this.device = new MemoryBlockDevice(Files.readAllBytes(image));
        this.record = record;
    }

    /**
     * For an image that was cut in the midst of writes, the record is completed first: those that were over before the cut
     * must be there, and of those after them a first part may be.
     */
    static ImageJudgement of(Path image, Workload.Expected expected, CaseLog log) throws Exception {
        EraRecord record = expected.record().copy();
        if (!expected.underWay().isEmpty()) {
            int acknowledged = Integer.parseInt(
                    log.answer("acknowledged", image.getFileName().toString()));
            int found = leadingWritesFound(image, record, expected.underWay());
            if (found < acknowledged) {
                throw new AssertionError(
                        image + ": " + acknowledged + " writes were over before the power was cut, but only"
                                + " the first " + found + " are recorded");
            }
            expected.underWay().subList(0, found).forEach(io -> io.apply(record));
        }
        return new ImageJudgement(image, record);
    }

    void judge() throws Exception {
        CheckReport report = MetadataChecker.check(device);
        assertTrue(report.isClean(), () -> image + " is not clean:\n" + report);
        requireSame(dump(image), record);
        requireSameChanges(MetadataRoots.read(device), record, "live");
        if (record.held() != null) {
            requireSameChanges(MetadataRoots.readSnapshot(device), record.held(), "snapshot");
        }
    }

    /** What the peer's dump says of the live metadata. */
    static Dump dump(Path image) throws Exception {
        Tools.Result dump = Tools.peer("era_dump", image.toString());
        assertEquals(0, dump.exitCode(), dump::output);
        return Dump.parse(dump.output());
    }

    private static int leadingWritesFound(Path image, EraRecord before, List<BlockIo> writes) throws Exception {
        Dump dump = dump(image);
        int found = 0;
        for (BlockIo write : writes) {
            if (dump.eraOfBlock(write.firstBlock()) != before.era()) {
                break;
            }
            found++;
        }
        return found;
    }

    private static void requireSame(Dump dump, EraRecord record) {
        assertEquals(record.blockSizeSectors(), dump.blockSizeSectors(), "block size");
        assertEquals(record.nrBlocks(), dump.nrBlocks(), "nr_blocks");
        assertEquals(record.era(), dump.currentEra(), "current era");
        for (int block = 0; block < record.nrBlocks(); block++) {
            if (dump.eraOfBlock(block) != record.eraOfBlock(block)) {
                throw new AssertionError("block " + block + " was last written in era " + record.eraOfBlock(block)
                        + "; the dump says " + dump.eraOfBlock(block));
            }
        }
    }

    private void requireSameChanges(MetadataRoots roots, EraRecord expected, String which) throws IOException {
        assertEquals(expected.era(), roots.currentEra(), which + ": current era");
        for (int since : interestingEras(expected.era())) {
            BlockSet changed = ChangedBlocks.since(device, roots, since);
            BitSet found = new BitSet();
            changed.forEachRange((begin, end) -> found.set(Math.toIntExact(begin), Math.toIntExact(end)));
            BitSet wrong = expected.writtenSince(since);
            wrong.xor(found);
            assertTrue(
                    wrong.isEmpty(),
                    () -> image + ", " + which + ", written since " + since + ": of " + expected.nrBlocks()
                            + " blocks these are wrong: " + wrong);
        }
    }

    private static Set<Integer> interestingEras(int current) {
        Set<Integer> eras = new TreeSet<>(List.of(0, 1, current, current + 1));
        eras.add(Math.max(0, current - 1));
        eras.add(current / 2);
        return eras;
    }
}
