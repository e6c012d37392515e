// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import javax.xml.stream.XMLStreamException;

/**
 * Compares what is read from one image with the record of what was written when: it is clean, every block's last era is right,
 * and so is the answer to "what changed since", live and in the held snapshot. The peer's dump is a third opinion.
 */
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
        Tools.Result check = Tools.ours("era_check", image.toString());
        assertEquals(0, check.exitCode(), () -> image + " is not clean:\n" + check.output());
        String ours = Tools.ours("era_dump", image.toString()).good();
        requireSame(Dump.parse(ours), record);
        String peers = Tools.peer("era_dump", image.toString()).good();
        if (Dump.parse(ours).writesetsAreAsLongAsTheOrigin()) {
            // Of a writeset from before the origin grew or shrank the peer lists as many bits as the origin has blocks,
            // not
            // as many as it says. And it leaves the last line without its end.
            assertTrue(
                    ours.strip().equals(peers.strip()),
                    () -> image + ": our dump differs from the peer's, " + mismatch(ours, peers));
        }
        requireSame(Dump.parse(peers), record);
        requireSameChanges(record);
        if (record.held() != null) {
            requireSameChanges(record.held(), "--metadata-snapshot");
            requireSame(
                    Dump.parse(Tools.ours("era_dump", "--metadata-snapshot", image.toString())
                            .good()),
                    record.held());
        }
    }

    /** What our dump says of the live metadata. */
    static Dump dump(Path image) throws XMLStreamException {
        return Dump.parse(Tools.ours("era_dump", image.toString()).good());
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

    private void requireSameChanges(EraRecord expected, String... options) throws Exception {
        for (int since : interestingEras(expected.era())) {
            List<String> arguments = new ArrayList<>(List.of(options));
            arguments.addAll(List.of("--written-since", Integer.toString(since), image.toString()));
            String answer = Tools.ours("era_invalidate", arguments.toArray(new String[0]))
                    .good();
            BitSet wrong = expected.writtenSince(since);
            wrong.xor(Dump.parseBlocks(answer));
            assertTrue(
                    wrong.isEmpty(),
                    () -> "era_invalidate " + String.join(" ", arguments) + ": of " + expected.nrBlocks()
                            + " blocks these are wrong: " + wrong);
        }
    }

    private static String mismatch(String ours, String peers) {
        int line = 0;
        List<String> left = ours.lines().toList();
        List<String> right = peers.lines().toList();
        while (line < Math.min(left.size(), right.size()) && left.get(line).equals(right.get(line))) {
            line++;
        }
        return "first in line " + (line + 1);
    }

    private static Set<Integer> interestingEras(int current) {
        Set<Integer> eras = new TreeSet<>(List.of(0, 1, current));
        eras.add(Math.max(0, current - 1));
        eras.add(current / 2);
        return eras;
    }
}
