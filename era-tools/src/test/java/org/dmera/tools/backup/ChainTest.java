// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.dmera.tools.Main;
import org.dmera.tools.backup.apply.Applier;
import org.dmera.tools.backup.copy.ByteRanges;
import org.dmera.tools.backup.copy.CopyEngine;
import org.dmera.tools.backup.image.StreamImage;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamReader;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A target becomes what the origin was, or era_apply says why it can't. */
class ChainTest {
    @TempDir
    Path dir;

    private ScratchOrigin origin;
    private Path target;

    @BeforeEach
    void makeOrigin() throws IOException {
        origin = new ScratchOrigin(dir.resolve("origin"), 3_000_001, 4096, 4000, 5);
        origin.scribble(100);
        target = dir.resolve("target");
    }

    private Path full(String name) throws IOException {
        Path stream = dir.resolve(name);
        origin.full(stream);
        return stream;
    }

    private Path increment(String name, long baseEra, long baseSize) throws IOException {
        Path stream = dir.resolve(name);
        origin.increment(stream, baseEra, baseSize);
        return stream;
    }

    private void assertTargetEqualsOrigin() throws IOException {
        assertEquals(-1L, Files.mismatch(origin.path, target));
    }

    @Test
    void fullThenIncrementsGiveTheOriginAfterEach() throws IOException {
        Run.apply(full("f"), "-o", target).ok();
        assertTargetEqualsOrigin();
        for (int i = 0; i < 10; i++) {
            long base = origin.era;
            origin.scribble(20);
            Run.apply(increment("i" + i, base, origin.size()), "-o", target).ok();
            assertTargetEqualsOrigin();
        }
    }

    @Test
    void aWholeChainIsAppliedInOneRunAndASecondRunDoesNothing() throws IOException {
        Path f = full("f");
        long base = origin.era;
        origin.scribble(20);
        Path a = increment("a", base, origin.size());
        base = origin.era;
        origin.scribble(20);
        Path b = increment("b", base, origin.size());
        Run.apply(f, a, b, "-o", target).ok();
        assertTargetEqualsOrigin();
        String again = Run.apply(f, a, b, "-o", target).ok().out();
        assertEquals(3, again.split("was applied before", -1).length - 1, again);
        assertTargetEqualsOrigin();
    }

    @Test
    void nothingBeforeTheLastFullStreamIsApplied() throws IOException {
        Path f = full("f");
        origin.scribble(5);
        Path g = full("g");
        long base = origin.era;
        origin.scribble(5);
        Path h = increment("h", base, origin.size());
        String out = Run.apply(f, g, h, "-o", target).ok().out();
        assertTrue(out.contains("f: not needed"), out);
        assertTargetEqualsOrigin();
    }

    @Test
    void aMissingLinkIsRefusedBeforeAnythingIsWritten() throws IOException {
        Path f = full("f");
        long base = origin.era;
        origin.scribble(5);
        increment("a", base, origin.size());
        base = origin.era;
        origin.scribble(5);
        Path b = increment("b", base, origin.size());
        Run.apply(f, b, "-o", target).refused("a stream in between is missing");
        assertTrue(Files.notExists(target), "no target is made for a chain that doesn't fit");
        Run.apply(f, "-o", target).ok();
        Run.apply(b, "-o", target).refused("b: it holds changes since era 3, the target is at era 2");
    }

    @Test
    void theLibraryMakesNoTargetForAChainThatItRefusesEither() throws IOException {
        Path f = full("f");
        long base = origin.era;
        origin.scribble(5);
        Path a = increment("a", base, origin.size());
        try (Applier applier = new Applier(target, null)) {
            try (StreamReader increment = StreamReader.open(a.toString(), null)) {
                IOException refusal =
                        assertThrows(IOException.class, () -> applier.apply(List.of(increment), false, bytes -> {}));
                assertTrue(refusal.getMessage().contains("nothing is known of the target"), refusal.getMessage());
            }
            assertTrue(Files.notExists(target));
            try (StreamReader first = StreamReader.open(f.toString(), null);
                    StreamReader increment = StreamReader.open(a.toString(), null)) {
                applier.apply(List.of(first, increment), false, bytes -> {});
            }
        }
        assertTargetEqualsOrigin();
    }

    @Test
    void anyNameThatTheFileSystemTakesWillDoForATarget() throws IOException {
        Path f = full("f");
        long base = origin.era;
        origin.scribble(5);
        Path a = increment("a", base, origin.size());
        for (int length : new int[] {245, 246, 247, 255}) {
            target = dir.resolve("t".repeat(length));
            Run.apply(f, "-o", target).ok();
            Run.apply(a, "-o", target).ok();
            assertTargetEqualsOrigin();
        }
        Path tooLong = dir.resolve("t".repeat(256));
        Run.apply(f, "-o", tooLong).refused(tooLong + ": File name too long");
    }

    @Test
    void anIncrementThatOverlapsWhatIsThereFits() throws IOException {
        Path f = full("f");
        long base = origin.era;
        origin.scribble(5);
        Path a = increment("a", base, origin.size());
        origin.scribble(5);
        Path both = increment("both", base, origin.size());
        Run.apply(f, a, both, "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void anOlderStreamIsRefused() throws IOException {
        Path f = full("f");
        long base = origin.era;
        origin.scribble(5);
        Path older = increment("older", base, origin.size());
        origin.scribble(5);
        Path newer = increment("newer", base, origin.size());
        Run.apply(f, newer, "-o", target).ok();
        Run.apply(older, "-o", target).refused("it is older");
        Run.apply(f, "-o", target).refused("the target is past this stream");
        Run.apply(f, "-o", target, "--force").ok();
        Run.apply(older, "-o", target).ok();
        Run.apply(newer, "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    /** As by a pipe that ends: the stream reaches the target as far as {@code share} of it. */
    private void interrupt(Path stream, double share, Object... options) throws IOException {
        byte[] bytes = Files.readAllBytes(stream);
        byte[] begin = java.util.Arrays.copyOf(bytes, (int) (bytes.length * share));
        Run.of(new ApplyCommand(), new ByteArrayInputStream(begin), concat(List.of("-", "-o", target), options))
                .refused("truncated");
    }

    @Test
    void anIncrementDoesNotGoOverAnOlderFullStreamThatWasInterrupted() throws IOException {
        Path old = full("old");
        origin.scribble(50);
        Path f = full("f");
        long base = origin.era;
        Run.apply(f, "-o", target).ok();
        interrupt(old, 0.9, "--force");
        origin.scribble(3);
        Path a = increment("a", base, origin.size());
        Run.apply(a, "-o", target).refused("was interrupted: apply that one again first, or a full stream");
        Run.apply(f, a, "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void anIncrementDoesNotGoOverAnotherOriginsStreamThatWasInterrupted() throws IOException {
        Path f = full("f");
        long base = origin.era;
        Run.apply(f, "-o", target).ok();
        Path other = dir.resolve("other");
        ScratchOrigin otherOrigin = new ScratchOrigin(dir.resolve("origin2"), 3_000_001, 4096, 4000, 55);
        otherOrigin.scribble(300);
        otherOrigin.full(other);
        interrupt(other, 0.9, "--force");
        origin.scribble(3);
        Path a = increment("a", base, origin.size());
        Run.apply(a, "-o", target).refused("was interrupted");
        Run.apply(f, a, "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void anIncrementGoesOverAnotherThatWasInterruptedUnlessThatWasForced() throws IOException {
        Path f = full("f");
        long base = origin.era;
        origin.scribble(20);
        Path a = increment("a", base, origin.size());
        long later = origin.era;
        origin.scribble(20);
        Path both = increment("both", base, origin.size());
        Path onlyLater = increment("later", later, origin.size());
        Run.apply(f, "-o", target).ok();
        interrupt(a, 0.8);
        Run.apply(onlyLater, "-o", target).refused("in between is missing");
        Run.apply(both, "-o", target).ok();
        assertTargetEqualsOrigin();

        Run.apply(f, "-o", target, "--force").ok();
        interrupt(onlyLater, 0.8, "--force");
        Run.apply(both, "-o", target).refused("was interrupted");
        Run.apply(f, both, "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void aTargetThatWasEmptiedOrReplacedAfterAnInterruptionIsNotResumed() throws IOException {
        Path f = full("f");
        interrupt(f, 0.8);
        pretendChunksDone(1);
        Files.write(target, new byte[0]);
        Run.apply(f, "-o", target).ok();
        assertTargetEqualsOrigin();

        interrupt(full("g"), 0.8, "--force");
        pretendChunksDone(1);
        Path noise = dir.resolve("noise");
        Files.write(noise, new byte[(int) origin.size()]);
        Files.move(noise, target, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        long base = origin.era;
        origin.scribble(3);
        Path a = increment("a", base, origin.size());
        Run.apply(a, "-o", target).refused("has been cut or replaced since");
        Run.apply(dir.resolve("g"), a, "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void whatSomebodyWroteToANewTargetAfterAnInterruptionIsNotTakenForHoles() throws IOException {
        Path f = full("f");
        interrupt(f, 0.3);
        byte[] noise = new byte[(int) origin.size()];
        new Random(14).nextBytes(noise);
        // The same file: no name, inode or size tells.
        Files.write(target, noise);
        Run.apply(f, "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    /** In place, or by another disk under the same name: no size, inode or name tells. */
    @Test
    void aTargetThatDoesNotHoldWhatWasWrittenBeforeAnInterruptionIsNotResumed() throws IOException {
        Path f = full("f");
        interrupt(f, 0.8);
        pretendChunksDone(1);
        byte[] written = Files.readAllBytes(origin.path);
        Files.write(target, new byte[written.length]);
        Run.apply(f, "-o", target).refused("does not hold what was written to it before", "force it");
        assertArrayEquals(new byte[written.length], Files.readAllBytes(target), "another's disk is written to");
        Files.write(target, written);
        assertTrue(Run.apply(f, "-o", target).ok().out().contains("resumed at chunk 1"));
        assertTargetEqualsOrigin();
    }

    /** As some network's does: with what was written last, or with the closing. */
    @Test
    void anIncrementFitsWhereTheFileSystemGivesATargetItsTimeWhenItIsClosed() throws IOException {
        long base;
        try (StreamReader stream = StreamReader.open(full("f").toString(), null)) {
            base = origin.era;
            Applier applier = new Applier(target, null);
            applier.apply(List.of(stream), false, bytes -> {});
            Files.setLastModifiedTime(target, java.nio.file.attribute.FileTime.fromMillis(1_700_000_000_000L));
            applier.close();
        }
        origin.scribble(3);
        Run.apply(increment("a", base, origin.size()), "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void whatWasZeroedBeforeAnInterruptionIsLookedAtToo() throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(origin.path.toFile(), "rw")) {
            file.write(new byte[2 << 20]);
        }
        Path f = full("f");
        interrupt(f, 0.8);
        pretendChunksDone(1);
        byte[] noise = new byte[(int) origin.size()];
        new Random(15).nextBytes(noise);
        Files.write(target, noise);
        Run.apply(f, "-o", target).refused("does not hold what was written to it before", "force it");
    }

    /** After a power cut the number of a file system may be another one, as that of each network's and of btrfs. */
    @Test
    void anIncrementIsResumedWhenTheFileSystemHasAnotherNumberAfterARestart() throws IOException {
        Run.apply(full("f"), "-o", target).ok();
        long base = origin.era;
        origin.scribble(20);
        Path a = increment("a", base, origin.size());
        interrupt(a, 0.8);
        Path state = dir.resolve("target.erastate");
        String text = Files.readString(state);
        String renumbered = text.replaceFirst("target=file [0-9]+:", "target=file 4711:");
        assertNotEquals(text, renumbered);
        Files.writeString(state, renumbered);
        Run.apply(a, "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void forceBeginsAnInterruptedStreamAgain() throws IOException {
        Path f = full("f");
        interrupt(f, 0.8);
        pretendChunksDone(1);
        Files.write(target, new byte[(int) origin.size()]);
        String out = Run.apply("--force", f, "-o", target).ok().out();
        assertTrue(!out.contains("resumed"), out);
        assertTargetEqualsOrigin();
    }

    /** The state notes how far it got each 256 MiB only. */
    private void pretendChunksDone(long chunks) throws IOException {
        Path state = dir.resolve("target.erastate");
        String text = Files.readString(state);
        assertTrue(text.contains("pending-chunks-done=0\n"), text);
        Files.writeString(state, text.replace("pending-chunks-done=0\n", "pending-chunks-done=" + chunks + "\n"));
    }

    @Test
    void anIncrementAcrossTheEndOfTheErasAsksForAFullCopy() throws IOException {
        Path f = full("f");
        Run.apply(f, "-o", target).ok();
        long base = origin.era;
        origin.era = (1L << 32) - 1;
        Run.apply(increment("a", base, origin.size()), "-o", target).refused("take a full copy");
    }

    @Test
    void aTargetThatIsOneOfItsStreamsIsRefusedUntouched() throws IOException {
        Path f = full("f");
        byte[] before = Files.readAllBytes(f);
        Run.apply(f, "-o", f).refused("is the input");
        Path link = Files.createSymbolicLink(dir.resolve("link"), f);
        Run.apply(f, "-o", link).refused("is the input");
        Path hardLink = Files.createLink(dir.resolve("hardlink"), f);
        Run.apply(f, "-o", hardLink).refused("is the input");
        org.junit.jupiter.api.Assertions.assertArrayEquals(before, Files.readAllBytes(f));
        Run.apply("--dry-run", f, "-o", target).ok();
    }

    /** The eras fit, and so does the device: only the history tells that they are of other metadata. */
    @Test
    void anIncrementThatGoesBackToAnotherFullCopyIsRefusedUntilThatIsApplied() throws IOException {
        Path old = full("old");
        long base = origin.era;
        origin.scribble(5);
        Path before = increment("before", base, origin.size());
        Run.apply(old, before, "-o", target).ok();
        origin.era = base;
        origin.scribble(5);
        Path f = full("f");
        base = origin.era;
        origin.scribble(5);
        Path a = increment("a", base, origin.size());
        Run.apply(a, "-o", target).refused("a: it goes back to another full copy than the target");
        Run.copy(old, before, a, "--merge", "-o", dir.resolve("merged")).refused("goes back to another full copy");
        assertThrows(
                IOException.class, () -> StreamImage.open(List.of(old, before, a), 1, line -> {}), "nor is it served");
        Run.apply(f, "-o", target).ok();
        Run.apply(a, "-o", target).ok();
        assertTargetEqualsOrigin();
        Path merged = dir.resolve("merged");
        Run.copy(old, before, f, a, "--merge", "-o", merged).ok();
        base = origin.era;
        origin.scribble(5);
        Run.apply(merged, increment("b", base, origin.size()), "-o", dir.resolve("target2"))
                .ok();
        assertEquals(-1L, Files.mismatch(origin.path, dir.resolve("target2")));
    }

    @Test
    void anIncrementWhoseHistoryIsNotKnownFitsByItsEra() throws IOException {
        Run.apply(full("f"), "-o", target).ok();
        long history = origin.history;
        origin.history = 0;
        long base = origin.era;
        origin.scribble(5);
        Run.apply(increment("a", base, origin.size()), "-o", target).ok();
        origin.history = history + 1;
        base = origin.era;
        origin.scribble(5);
        Path b = increment("b", base, origin.size());
        Run.apply(b, "-o", target).refused("goes back to another full copy");
        String state = Files.readString(dir.resolve("target.erastate"));
        Files.writeString(dir.resolve("target.erastate"), state.replaceAll("history=.*\n", ""));
        Run.apply(b, "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void anIncrementOnNothingIsRefusedUnlessForced() throws IOException {
        origin.full(dir.resolve("f"));
        Files.copy(origin.path, target);
        long base = origin.era;
        origin.scribble(5);
        Path a = increment("a", base, origin.size());
        Run.apply(a, "-o", target).refused("nothing is known of the target");
        Run.apply(a, "-o", target, "--force").ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void aNameOfSeveralLinesIsRememberedAsTheSame() throws IOException {
        String name = "/a\nb\rera=9\r\nend=no";
        Path f = dir.resolve("f");
        origin.write(
                f,
                ByteRanges.all(origin.size()),
                origin.header(0, 0, StreamHeader.FULL, name),
                CopyEngine.Options.DEFAULT);
        long base = origin.era;
        Run.apply(f, "-o", target).ok();
        origin.scribble(3);
        Path a = dir.resolve("a");
        origin.increment(a, base, origin.size(), name);
        Run.apply(a, "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void anotherDevicesIncrementIsRefused() throws IOException {
        Path f = full("f");
        long base = origin.era;
        origin.scribble(5);
        Path a = dir.resolve("a");
        origin.increment(a, base, origin.size(), "somebody else");
        Run.apply(f, a, "-o", target).refused("another origin", "somebody else", "scratch");
    }

    @Test
    void aTargetThatSomebodyWroteToIsRefusedAndAFullStreamMendsIt() throws IOException {
        Path f = full("f");
        Run.apply(f, "-o", target).ok();
        long base = origin.era;
        origin.scribble(5);
        Path a = increment("a", base, origin.size());
        try (RandomAccessFile file = new RandomAccessFile(target.toFile(), "rw")) {
            file.seek(100_000);
            file.write(1);
        }
        // A file system may give a fresh write the very time of the last one: say plainly that it is later.
        Files.setLastModifiedTime(target, java.nio.file.attribute.FileTime.fromMillis(4_000_000_000_000L));
        Run.apply(a, "-o", target).refused("has been written to since");
        Run.apply(f, a, "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void aMissingLinkIsRefusedAlsoWhereTheTargetWasWrittenTo() throws IOException {
        Path f = full("f");
        Run.apply(f, "-o", target).ok();
        long base = origin.era;
        origin.scribble(5);
        increment("a", base, origin.size());
        base = origin.era;
        origin.scribble(5);
        Path b = increment("b", base, origin.size());
        Files.setLastModifiedTime(target, java.nio.file.attribute.FileTime.fromMillis(4_000_000_000_000L));
        Run.apply(f, b, "-o", target).refused("a stream in between is missing");
        Run.apply("-n", f, b, "-o", target).refused("a stream in between is missing");
        Run.apply(b, f, "-o", target).refused("has been written to since");
    }

    @Test
    void anOriginThatGrowsAndShrinksIsFollowed() throws IOException {
        Run.apply(full("f"), "-o", target).ok();
        Random random = new Random(6);
        for (int i = 0; i < 12; i++) {
            long base = origin.era;
            long baseSize = origin.size();
            origin.scribble(5);
            origin.resize(1 + random.nextInt(6_000_000));
            origin.scribble(5);
            Run.apply(increment("i" + i, base, baseSize), "-o", target).ok();
            assertTargetEqualsOrigin();
        }
    }

    @Test
    void growthThatTheStreamDoesNotHoldIsRefused() throws IOException {
        Run.apply(full("f"), "-o", target).ok();
        long base = origin.era;
        origin.resize(5_000_000);
        Path a = increment("a", base, origin.size());
        Run.apply(a, "-o", target).refused("the origin grew from 3000001 to 5000000 bytes");
    }

    @Test
    void aMergedChainIsWorthTheChain() throws IOException {
        Random random = new Random(7);
        List<Object> chain = new ArrayList<>(List.of(full("f")));
        Path before = dir.resolve("before");
        for (int i = 0; i < 8; i++) {
            long base = origin.era;
            long baseSize = origin.size();
            if (i == 3) {
                Run.apply(concat(chain, "-o", before)).ok();
            }
            if (i % 3 == 2) {
                origin.resize(1 + random.nextInt(6_000_000));
            }
            origin.scribble(30);
            chain.add(increment("i" + i, base, baseSize));
        }
        Path merged = dir.resolve("merged");
        Run.copy(concat(chain, "--merge", "-o", merged)).ok();
        Run.apply(merged, "-o", target).ok();
        assertTargetEqualsOrigin();
        assertTrue(Run.apply(concat(chain, "--verify", "-o", target)).ok().out().contains("holds what the streams"));

        Path later = dir.resolve("later");
        Run.copy(concat(chain.subList(4, chain.size()), "--merge", "-o", later)).ok();
        Run.apply(later, "-o", before).ok();
        assertEquals(-1L, Files.mismatch(origin.path, before));
        Run.copy(chain.get(0), chain.get(2), "--merge", "-o", dir.resolve("gap"))
                .refused("in between is missing");
        assertTrue(Files.notExists(dir.resolve("gap")) && Files.notExists(dir.resolve("gap.partial")));
    }

    /** A year of nights, and more: with room for a whole chunk of each, they would not go into this test's memory. */
    @Test
    void manyStreamsThatHoldLittleTakeLittleMemory() throws Exception {
        List<Object> chain = new ArrayList<>(List.of(full("f")));
        long base = origin.era;
        origin.scribble(1);
        chain.addAll(java.util.Collections.nCopies(1200, increment("i", base, origin.size())));
        Path merged = dir.resolve("merged");
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin/java").toString(), "-XX:TieredStopAtLevel=1", "-Xmx64m"));
        command.addAll(List.of(
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                Main.class.getName(),
                "era_copy"));
        for (Object word : concat(chain, "--merge", "-q", "-o", merged)) {
            command.add(word.toString());
        }
        assertEquals(0, new ProcessBuilder(command).inheritIO().start().waitFor());
        Run.apply(merged, "-o", target).ok();
        assertTargetEqualsOrigin();
        Run.apply(concat(chain, "--verify", "-o", target)).ok();
    }

    /** Any neighbours in a chain may be merged: what comes out is worth what went in, after each part. */
    @Test
    void mergingAnyNeighboursChangesNothing() throws IOException {
        for (long seed = 0; seed < (Boolean.getBoolean("era.nightly") ? 400 : 12); seed++) {
            Random random = new Random(seed);
            ScratchOrigin small = new ScratchOrigin(dir.resolve("small" + seed), 300_001, 4096, 200, seed);
            List<Path> chain = new ArrayList<>();
            List<byte[]> then = new ArrayList<>();
            for (int i = 0; i < 3 + random.nextInt(5); i++) {
                long base = small.era;
                long baseSize = small.size();
                if (random.nextInt(3) == 0) {
                    small.resize(random.nextInt(700_000));
                }
                small.scribble(random.nextInt(20));
                Path stream = dir.resolve("part" + i);
                if (i == 0 || random.nextInt(6) == 0) {
                    small.full(stream);
                } else {
                    small.increment(stream, base - random.nextInt(2), baseSize);
                }
                chain.add(stream);
                then.add(Files.readAllBytes(small.path));
            }
            Path copy = dir.resolve("copy" + seed);
            for (int from = 0; from < chain.size(); ) {
                int to = from + 1 + random.nextInt(chain.size() - from);
                Path merged = dir.resolve("merged");
                Run.copy(concat(List.copyOf(chain.subList(from, to)), "--merge", "-o", merged))
                        .ok();
                Run.apply(merged, "-o", copy).ok();
                org.junit.jupiter.api.Assertions.assertArrayEquals(
                        then.get(to - 1), Files.readAllBytes(copy), "seed " + seed + ", streams " + from + " to " + to);
                from = to;
            }
        }
    }

    @Test
    void aStateFileThatIsCutAnywhereIsRefusedAndCanBeLeftBehind() throws IOException {
        Path full = full("f");
        Run.apply(full, "-o", target).ok();
        Path state = dir.resolve("target.erastate");
        byte[] whole = Files.readAllBytes(state);
        for (int cut = 0; cut < whole.length - 1; cut += 1 + cut / 50) {
            Files.write(state, java.util.Arrays.copyOf(whole, cut));
            Run.apply(full, "-o", target).refused("state file");
        }
        Files.delete(state);
        Run.apply(full, "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void verificationFindsAByteThatDiffers() throws IOException {
        Path f = full("f");
        Run.apply(f, "-o", target).ok();
        Run.apply("--verify", f, "-o", target).ok();
        try (RandomAccessFile file = new RandomAccessFile(target.toFile(), "rw")) {
            file.seek(2_222_222);
            int was = file.read();
            file.seek(2_222_222);
            file.write(was ^ 1);
        }
        Run run = Run.apply("--verify", f, "-o", target).refused("differ from the streams");
        assertTrue(run.out().contains("differs within"), run.out());
    }

    @Test
    void aFullStreamOverAnExistingFileReplacesEveryByte() throws IOException {
        byte[] noise = new byte[4_000_000];
        new Random(8).nextBytes(noise);
        Files.write(target, noise);
        Run.apply(full("f"), "-o", target).ok();
        assertTargetEqualsOrigin();
    }

    @Test
    void anEmptyOriginAndAnEmptyIncrementAreStreamsToo() throws IOException {
        Path f = full("f");
        Path nothing = increment("nothing", origin.era, origin.size());
        Run.apply(f, nothing, "-o", target).ok();
        assertTargetEqualsOrigin();
        origin.resize(0);
        Path empty = full("empty");
        Run.apply(empty, "-o", target).ok();
        assertEquals(0, Files.size(target));
    }

    @Test
    void aSparseOriginGivesASparseTarget() throws IOException {
        ScratchOrigin sparse = new ScratchOrigin(dir.resolve("sparse"), 200 << 20, 64 << 10, 4000, 9);
        sparse.scribble(3);
        Path f = dir.resolve("sf");
        sparse.full(f);
        assertTrue(Files.size(f) < 2 << 20, "zeroes are not stored: " + Files.size(f));
        Run.apply(f, "-o", target).ok();
        long blocks = usedBytes(target);
        assertTrue(blocks < 4 << 20, "zeroes are not written: " + blocks);
        assertEquals(-1L, Files.mismatch(sparse.path, target));
    }

    private static long usedBytes(Path file) throws IOException {
        Process du = new ProcessBuilder("du", "-B1", file.toString()).start();
        String text = new String(du.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        return Long.parseLong(text.split("\\s", -1)[0]);
    }

    private static Object[] concat(List<Object> first, Object... rest) {
        List<Object> all = new ArrayList<>(first);
        all.addAll(List.of(rest));
        return all.toArray();
    }
}
