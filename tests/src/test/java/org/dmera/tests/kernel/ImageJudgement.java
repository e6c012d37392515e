// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.List;

/** Compares what the tools say about one image with the record of what was written when. */
final class ImageJudgement {
    private final Path image;
    private final EraRecord record;

    private ImageJudgement(Path image, EraRecord record) {
        this.image = image;
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
        requireSame(dump(image), record);
        if (record.held() != null) {
            // The peer has no way to dump a held snapshot.
        }
    }

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
}
