// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.RepairDamage;
import org.dmera.testkit.RepairDamage.Kind;
import org.dmera.testkit.RepairSubject;
import org.dmera.testkit.RepairTrials;
import org.dmera.testkit.RepairTrials.Maker;
import org.dmera.testkit.RepairTrials.Tally;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A short run of {@link RepairTrials}, and a long one at night; its {@code main} makes as many as anyone likes. */
class RepairLosesNothingTest {
    private static final int TRIALS = Boolean.getBoolean("era.nightly") ? 3000 : 8;

    private static final Set<Kind> PROMISED = EnumSet.range(Kind.ONE_BROKEN_BLOCK, Kind.WRONG_NODE);

    static {
        // The older version of a node may fit, with blocks that were handed out again since: docs/damage.md says so.
        PROMISED.remove(Kind.STALE_NODE_AND_A_BROKEN_BLOCK);
        PROMISED.add(Kind.MISDIRECTED_WRITE);
        PROMISED.add(Kind.BROKEN_REGION);
        PROMISED.add(Kind.CUT_OFF);
        PROMISED.add(Kind.WRONG_ARRAY_BLOCK);
        PROMISED.add(Kind.WRONG_SPACE_MAP);
        PROMISED.add(Kind.WRONG_SUPERBLOCK);
        PROMISED.add(Kind.WRITTEN_OVER_SUPERBLOCK);
        PROMISED.add(Kind.STALE_SUPERBLOCK);
        PROMISED.add(Kind.LOST_SUPERBLOCK);
        PROMISED.add(Kind.LOST_SUPERBLOCK_AND_A_BROKEN_BLOCK);
    }

    @TestFactory
    Stream<DynamicTest> noMarkIsLostInAnyKindOfDamage() {
        List<DynamicTest> tests = new ArrayList<>();
        for (Kind kind : PROMISED) {
            for (Maker maker : Maker.values()) {
                for (boolean snapshotHeld : new boolean[] {false, true}) {
                    tests.add(DynamicTest.dynamicTest(
                            kind + " " + maker + (snapshotHeld ? " with" : " without") + " a held snapshot",
                            () -> losesNothing(kind, maker, snapshotHeld)));
                }
            }
        }
        return tests.stream();
    }

    /** What a million trials found, one in some ten thousand. */
    @ParameterizedTest
    @CsvSource({
        // The block that held the writeset tree of era 31 holds that of era 33 now: all is sealed for its place.
        "STALE_SUPERBLOCK, true, 500188",
        // Nothing is wrong but counts, and another state has later marks, or a later era.
        "STALE_SUPERBLOCK, false, 10001205",
        "STALE_SUPERBLOCK, false, 10001951",
        "STALE_SUPERBLOCK, false, 10002873",
        "STALE_SUPERBLOCK, false, 10003171",
        // Two blocks are in use to which nothing leads, and nothing else is wrong.
        "STALE_SUPERBLOCK, true, 10000706",
        // The roots of the held snapshot hold those of a later state.
        "STALE_SUPERBLOCK, false, 10004005",
        // What the state one era later wrote has been overwritten, and was free again in what is left.
        "STALE_SUPERBLOCK, false, 10001306",
        // Eras of a later state are in the array, and nothing is wrong once the current era is said to be later.
        "STALE_SUPERBLOCK, false, 10000253",
        "STALE_SUPERBLOCK, true, 10001368",
        // A bitset's block holds what it held for another size of the origin.
        "STALE_BLOCK, false, 10001776",
        // The writeset tree is that of an era long past, and leads to a bitset of another size.
        "STALE_BLOCK, false, 10003071",
        // The root of a bitset is that of an era array, and its first entry happens to lead to words.
        "STALE_NODE, false, 20000114",
    })
    void noMarkIsLostWhereOneTrialInThousandsLostSome(Kind kind, boolean snapshotHeld, long seed) {
        List<String> complaints = new ArrayList<>();
        Tally tally = new RepairTrials(kind, Maker.ENGINE, snapshotHeld, complaints::add).run(seed, 8);
        assertEquals(0, tally.lost(), complaints::toString);
        assertEquals(8, tally.trials());
    }

    /** The index of the space map is in another's place, and with it goes what tells that nodes are older versions. */
    @Test
    void blocksGoBackToTheirPlacesWhateverElseIsWrong() throws IOException {
        RepairSubject subject = RepairSubject.ofSessions(104, true);
        Random random = new Random(837);
        byte[] image = subject.image().clone();
        for (Kind kind : new Kind[] {Kind.STALE_NODE, Kind.STALE_NODE, Kind.TWO_SWAPPED_BLOCKS}) {
            RepairDamage.of(subject, kind, random)
                    .changed()
                    .forEach((b, bytes) -> System.arraycopy(bytes, 0, image, b * 4096, 4096));
        }
        EraTruth now = new EraTruth();
        Salvage.open(new MemoryBlockDevice(image), SalvageHints.NONE).stream(now);
        assertEquals(0, subject.truth().lostIn(now));
    }

    private static void losesNothing(Kind kind, Maker maker, boolean snapshotHeld) {
        List<String> complaints = new ArrayList<>();
        Tally tally = new RepairTrials(kind, maker, snapshotHeld, complaints::add).run(1, TRIALS);
        assertEquals(0, tally.lost(), complaints::toString);
        assertTrue(tally.refused() <= mayAsk(kind), complaints::toString);
        assertTrue(tally.late() <= mayBeLate(kind), tally::toString);
        assertEquals(TRIALS, tally.trials());
        if (kind == Kind.TWO_SWAPPED_BLOCKS || kind == Kind.THREE_BLOCKS_IN_A_CIRCLE) {
            // Each says where it belongs.
            assertTrue(tally.exact() >= TRIALS * 3 / 4, tally::toString);
        }
        if (kind == Kind.WRITTEN_OVER_SUPERBLOCK) {
            // Its checksum proves it once what was written over the empty part is gone.
            assertEquals(TRIALS, tally.exact(), tally::toString);
        }
    }

    /** How often repair may want to know a size. */
    private static int mayAsk(Kind kind) {
        return switch (kind) {
            case WRONG_SUPERBLOCK -> TRIALS;
            case CUT_OFF -> TRIALS / 4;
            default -> 0;
        };
    }

    /**
     * How often nothing may tell the current era. A block may hold, sealed for its place, what an intact older state has there:
     * then a write of that block was lost, or one of block 0.
     */
    private static int mayBeLate(Kind kind) {
        return switch (kind) {
            case STALE_SUPERBLOCK, WRONG_SUPERBLOCK, STALE_SUPERBLOCK_AND_A_BROKEN_BLOCK -> TRIALS;
            case STALE_BLOCK,
                    STALE_NODE,
                    STALE_POINTER,
                    STALE_NODE_AND_A_BROKEN_BLOCK,
                    WRONG_NODE,
                    MISDIRECTED_WRITE,
                    WRONG_ARRAY_BLOCK,
                    WRONG_SPACE_MAP,
                    CUT_OFF -> TRIALS / 4;
            default -> 0;
        };
    }
}
