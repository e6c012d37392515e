// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dmera.testkit.Fixtures;

/**
 * Behaviours of the kernel's target that surprised us, each shown by a case; the table in {@code tests/kernel/README.md} names
 * them. Where our engine does better on purpose, these say what it is compared with; where it must do the same, they say why.
 */
final class KernelBehaviours {
    private KernelBehaviours() {}

    /** What our command makes of them. Each takes several starts of Java. */
    static List<KernelBehaviour> ofOurCommand() {
        return List.of(new KernelBehaviour("ourStatusOfASuspendedDeviceIsEndedByASignal", """
                dmsetup create $name --table "$(table 8000 8)"
                dmsetup suspend $name
                # ask FILE: in the background, to the line that says what it waits for
                ask() {
                    "$lab/era-dmsetup" era-dmsetup --control kernel status $name > $1 2> $1.err &
                    asking=$!
                    until grep -q 'waiting for the device to be resumed' $1.err; do
                        kill -0 $asking
                        sleep 0.1
                    done
                }
                ask ended
                kill -TERM $asking
                code=0
                wait $asking || code=$?
                echo "@ended code $code"
                echo "@ended device $(dmsetup info -c --noheadings -o suspended $name)"
                ask resumed
                dmsetup resume $name
                wait $asking
                echo "@state resumed $(cat resumed)"
                dmsetup remove $name
                """, (folder, log) -> {
            assertEquals("143", log.answer("ended", "code"), "as a signal ends a program");
            assertEquals("Suspended", log.answer("ended", "device"), "still, when the signal had ended it");
            assertEquals(2, StatusLine.parse(log.answer("state", "resumed")).era());
        }));
    }

    static List<KernelBehaviour> on(Kernel kernel) {
        return List.of(
                new KernelBehaviour("aDiscardMarksOnlyTheBlockThatItBeginsIn", """
                        dmsetup create $name --table "$(table 8000 8)"
                        "$lab/blockio" $dev 8 w10-19
                        dmsetup message $name 0 checkpoint
                        "$lab/blockio" $dev 8 d10-19
                        image after.img
                        echo "@nonzero data $(dd if="$work/origin" bs=4096 skip=10 count=10 2> /dev/null | tr -d '\\0' | wc -c)"
                        dmsetup remove $name
                        """, (folder, log) -> {
                    assertArrayEquals(
                            new int[] {2, 1, 1, 1, 1, 1, 1, 1, 1, 1}, eras(folder.resolve("after.img"), 10, 19));
                    assertEquals("0", log.answer("nonzero", "data"), "the discard took all ten blocks' data");
                }),
                new KernelBehaviour(
                        "aTableLoadedWhileTheOldOneRunsForgetsTheWritesInBetween",
                        """
                        dmsetup create $name --table "$(table 8000 8)"
                        dmsetup reload $name --table "$(table 16000 8)"
                        "$lab/blockio" $dev 8 w100 w101
                        dmsetup resume $name
                        dmsetup status $name
                        dmsetup remove $name
                        image after.img
                        """,
                        (folder, log) ->
                                assertArrayEquals(new int[] {0, 0}, eras(folder.resolve("after.img"), 100, 101))),
                new KernelBehaviour(
                        "aTableLoadedWhileTheDeviceIsSuspendedForgetsNothing",
                        """
                        dmsetup create $name --table "$(table 8000 8)"
                        "$lab/blockio" $dev 8 w100 w101
                        dmsetup suspend $name
                        dmsetup reload $name --table "$(table 16000 8)"
                        dmsetup resume $name
                        dmsetup status $name
                        dmsetup remove $name
                        image after.img
                        """,
                        (folder, log) ->
                                assertArrayEquals(new int[] {1, 1}, eras(folder.resolve("after.img"), 100, 101))),
                new KernelBehaviour("theStatusOfAnInactiveTableOverwritesTheLiveOnesMetadata", """
                        dmsetup create $name --table "$(table 8000 8)"
                        dmsetup reload $name --table "$(table 16000 8)"
                        "$lab/blockio" $dev 8 w100
                        image before.img
                        dmsetup status --inactive $name
                        image after.img
                        dmsetup remove $name
                        """, (folder, log) -> {
                    assertArrayEquals(new int[] {1}, eras(folder.resolve("before.img"), 100, 100));
                    assertArrayEquals(new int[] {0}, eras(folder.resolve("after.img"), 100, 100));
                }),
                new KernelBehaviour("statusOfASuspendedDeviceHangsUntilItIsResumed", """
                        dmsetup create $name --table "$(table 8000 8)"
                        dmsetup suspend $name
                        dmsetup status $name > status.out &
                        reader=$!
                        # More than once: its program is waited for, too.
                        waits=0
                        until [ $waits = 5 ]; do
                            sleep 0.1
                            case $(cat /proc/$reader/stat) in
                                *") D "*) waits=$((waits + 1)) ;;
                                *") Z "*) exit 1 ;;
                                *) waits=0 ;;
                            esac
                        done
                        dmsetup resume $name
                        wait $reader
                        echo "@state resumed $(cat status.out)"
                        dmsetup remove $name
                        """, (folder, log) -> {
                    assertEquals(
                            2, StatusLine.parse(log.answer("state", "resumed")).era());
                }),
                new KernelBehaviour("aStatusCommitsWhatDigestionChanged", """
                        dmsetup create $name --table "$(table 8000 8)"
                        "$lab/blockio" $dev 8 w100 w200
                        dmsetup message $name 0 checkpoint
                        echo "@status first $(dmsetup status $name)"
                        sleep 1
                        image before.img
                        echo "@status second $(dmsetup status $name)"
                        image after.img
                        echo "@status third $(dmsetup status $name)"
                        image again.img
                        dmsetup remove $name
                        """, (folder, log) -> {
                    assertNotEquals(
                            KernelImage.read(folder.resolve("before.img"))
                                    .superblock()
                                    .eraArrayRoot(),
                            KernelImage.read(folder.resolve("after.img"))
                                    .superblock()
                                    .eraArrayRoot());
                    assertEquals(
                            -1,
                            Files.mismatch(folder.resolve("after.img"), folder.resolve("again.img")),
                            "with nothing left to do a status rewrites the superblock with the same bytes");
                }),
                new KernelBehaviour(
                        "aRefusedMessageCommitsToo",
                        """
                        dmsetup create $name --table "$(table 8000 8)"
                        "$lab/blockio" $dev 8 w100 w200
                        dmsetup message $name 0 checkpoint
                        dmsetup status $name
                        sleep 1
                        image before.img
                        dmsetup message $name 0 drop_metadata_snap && exit 1
                        image after.img
                        dmsetup remove $name
                        """,
                        (folder, log) -> assertNotEquals(
                                KernelImage.read(folder.resolve("before.img"))
                                        .superblock()
                                        .eraArrayRoot(),
                                KernelImage.read(folder.resolve("after.img"))
                                        .superblock()
                                        .eraArrayRoot())),
                new KernelBehaviour("theSnapshotDoesNotHoldTheWritesetThatItsSuperblockNames", """
                        dmsetup create $name --table "$(table 8000 8)"
                        "$lab/blockio" $dev 8 w100
                        dmsetup message $name 0 take_metadata_snap
                        "$lab/blockio" $dev 8 w200
                        dmsetup message $name 0 checkpoint
                        dmsetup status $name
                        sleep 1
                        dmsetup status $name
                        image after.img
                        dmsetup remove $name
                        """, (folder, log) -> {
                    KernelImage image = KernelImage.read(folder.resolve("after.img"));
                    long copy = image.superblock().metadataSnap();
                    long writeset = image.superblock(copy).currentWritesetRoot();
                    assertNotEquals(0, copy);
                    assertNotEquals(0, writeset);
                    assertEquals(0, image.count(writeset), "the writeset's root was freed by the live target");
                }),
                new KernelBehaviour("thePageCacheOfTheMetadataDeviceStaysAsItWasReadFirst", """
                        dmsetup create $name --table "$(table 8000 8)"
                        cat $meta > /dev/null
                        "$lab/blockio" $dev 8 w100
                        dmsetup message $name 0 take_metadata_snap
                        cp --sparse=always $meta cached.img
                        dd if=$meta of=direct.img bs=1M iflag=direct 2> /dev/null
                        "$lab/era-tools" era_invalidate --metadata-snapshot --written-since 1 --format ranges $meta > ranges
                        dmsetup remove $name
                        """, (folder, log) -> {
                    KernelImage cached = KernelImage.read(folder.resolve("cached.img"));
                    KernelImage direct = KernelImage.read(folder.resolve("direct.img"));
                    assertEquals(0, cached.superblock().metadataSnap(), "old");
                    assertNotEquals(0, direct.superblock().metadataSnap());
                    assertEquals(
                            "409600 4096",
                            Files.readString(folder.resolve("ranges")).strip());
                }),
                new KernelBehaviour("aFormattedDeviceThatNeverWentLiveCountsItsIndexTwoShort", """
                        dmsetup create $name --notable
                        dmsetup load $name --table "$(table 8000 8)"
                        image after.img
                        dmsetup remove $name
                        """, (folder, log) -> {
                    KernelImage image = KernelImage.read(folder.resolve("after.img"));
                    assertEquals(0, image.superblock().currentEra());
                    assertEquals(image.freeInFirstBitmap() + 2, image.index().nrFree(0));
                }),
                new KernelBehaviour("shrinkingToFullArrayBlocksLeavesTheOldTailInTheTree", """
                        dmsetup create $name --table "$(table $(((2 * 1018 + 10) * 8)) 8)"
                        dmsetup suspend $name
                        dmsetup reload $name --table "$(table $((2 * 1018 * 8)) 8)"
                        dmsetup resume $name
                        dmsetup remove $name
                        image after.img
                        """, (folder, log) -> {
                    KernelImage image = KernelImage.read(folder.resolve("after.img"));
                    assertEquals(2 * 1018, image.superblock().nrBlocks());
                    assertEquals(
                            3, image.node(image.superblock().eraArrayRoot()).nrEntries());
                }),
                new KernelBehaviour(
                        "eraZeroFollowsTheLastOne",
                        folder -> lastEra().write(folder.resolve("start.img")),
                        """
                        dmsetup create $name --table "$(table 65536 8)"
                        echo "@status zero $(dmsetup status $name)"
                        dmsetup message $name 0 checkpoint
                        echo "@status one $(dmsetup status $name)"
                        dmsetup remove $name
                        """,
                        (folder, log) -> {
                            assertEquals(
                                    0,
                                    StatusLine.parse(log.answer("status", "zero"))
                                            .era());
                            assertEquals(
                                    1,
                                    StatusLine.parse(log.answer("status", "one"))
                                            .era());
                        }),
                new KernelBehaviour(
                        "aBlockSizeOfMoreThanThirtyTwoBitsIsCut",
                        """
                        dmsetup create $name --table "$(table 8000 4294967304)"
                        echo "@table cut $(dmsetup table $name)"
                        dmsetup remove $name
                        """,
                        (folder, log) -> assertTrue(log.answer("table", "cut").endsWith(" 8"), log::toString)),
                new KernelBehaviour("oneDeviceIsTakenForBothMetadataAndOrigin", """
                        dmsetup create $name --table "0 8000 era $meta $meta 8"
                        echo "@table both $(dmsetup table $name)"
                        dmsetup remove $name
                        """, (folder, log) -> {
                    String[] words = log.answer("table", "both").split(" ", -1);
                    assertEquals(words[3], words[4]);
                }),
                new KernelBehaviour(
                        "twoTargetsAreLetLooseOnTheSameMetadata",
                        """
                        dmsetup create $name --table "$(table 8000 8)"
                        dmsetup create $name-second --table "$(table 8000 8)"
                        "$lab/blockio" $dev 8 w1
                        "$lab/blockio" $dev-second 8 w2
                        image after.img
                        dmsetup remove $name-second
                        dmsetup remove $name
                        """,
                        (folder, log) -> assertFalse(
                                java.util.Arrays.equals(new int[] {1, 2}, eras(folder.resolve("after.img"), 1, 2)),
                                "what the first wrote is in no record")),
                new KernelBehaviour("aMetadataDeviceThatIsTooSmallFailsOnlyAtResume", """
                        truncate -s 49152 $work/small
                        small=$(losetup -f --show $work/small)
                        code=0; dmsetup create $name --notable && dmsetup load $name --table "0 65536 era $small $origin 8" || code=$?
                        echo "@code load $code"
                        code=0; dmsetup resume $name || code=$?
                        echo "@code resume $code"
                        dmsetup remove $name
                        losetup -d $small
                        """, (folder, log) -> {
                    assertEquals("0", log.answer("code", "load"));
                    assertEquals("1", log.answer("code", "resume"));
                }),
                new KernelBehaviour(
                        kernel == Kernel.USER_MODE_LINUX
                                ? "anOlderKernelMarksAnotherBlockWhenTheTargetDoesNotBeginAtSectorZero"
                                : "theBlockIsCountedFromTheTargetsOwnStart",
                        """
                        printf '0 4096 linear %s 0\\n4096 16384 era %s %s 8\\n' $origin $meta $origin | dmsetup create $name
                        "$lab/blockio" $dev 8 w522
                        image after.img
                        dmsetup remove $name
                        """,
                        (folder, log) -> {
                            boolean older = kernel == Kernel.USER_MODE_LINUX;
                            assertArrayEquals(new int[] {older ? 0 : 1}, eras(folder.resolve("after.img"), 10, 10));
                            assertArrayEquals(new int[] {older ? 1 : 0}, eras(folder.resolve("after.img"), 522, 522));
                        }));
    }

    private static int[] eras(Path image, int firstBlock, int lastBlock) throws Exception {
        Dump dump = ImageJudgement.dump(image);
        int[] eras = new int[lastBlock - firstBlock + 1];
        for (int i = 0; i < eras.length; i++) {
            eras[i] = dump.eraOfBlock(firstBlock + i);
        }
        return eras;
    }

    /** A device whose next era would be number 2^32. */
    private static KernelImage lastEra() throws IOException {
        KernelImage image = KernelImage.of(Fixtures.imageBytes(Fixtures.image("a_fresh_bs8.clean")));
        assertEquals(65536 / 8, image.superblock().nrBlocks(), "the origin's size in this lab");
        image.superblock().currentEra(0xffffffffL);
        return image.sealSuperblock();
    }
}
