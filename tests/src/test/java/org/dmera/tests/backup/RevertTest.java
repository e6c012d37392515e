// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** era_apply --changed-since: an origin goes back to its backup by writing what was written since, and that is tracked. */
@Timeout(600)
@Alone
class RevertTest {
    private static final long IMAGE_BYTES = 8 << 20;

    @TempDir
    private Path folder;

    private final long seed = System.nanoTime();
    private final Random random = new Random(seed);
    private TrackedImage image;
    private Path full;
    private Path increment;
    /** The origin as it was when the increment was made. */
    private byte[] then;

    private Path later;
    /** The origin as it was when {@link #later} was made, and written on since. */
    private byte[] now;

    /** The metadata at rest, as it is now. */
    private Path metadata;

    private String era;

    @BeforeEach
    void makeBackups() throws IOException {
        image = new TrackedImage(folder, IMAGE_BYTES);
        full = copy("full", "--full");
        increment = copy("increment", "--after", full);
        then = Files.readAllBytes(image.origin);
        later = copy("later", "--after", increment);
        now = Files.readAllBytes(image.origin);
        metadata = image.metadataCopy(folder.resolve("at-rest"));
        String said = InProcess.run("era_apply", "-n", full, increment, "-o", folder.resolve("none"));
        era = said.replaceAll("(?s).*up to era ([0-9]+).*", "$1");
    }

    @AfterEach
    void closeImage() throws IOException {
        image.close();
    }

    private Path copy(String name, Object... what) throws IOException {
        image.scribble(random, 12);
        image.catchUp();
        image.checkpoint();
        Path stream = folder.resolve(name);
        List<Object> args = new ArrayList<>(Arrays.asList(what));
        args.addAll(List.of("-m", image.metadata, image.origin, "-o", stream));
        InProcess.run("era_copy", args.toArray());
        return stream;
    }

    private Object[] revert(Object... more) {
        List<Object> args = new ArrayList<>(List.of(
                full,
                increment,
                "-o",
                image.origin,
                "--changed-since",
                era,
                "-m",
                metadata,
                "--identity",
                image.metadata));
        args.addAll(List.of(more));
        return args.toArray();
    }

    private void requireThen() throws IOException {
        assertEquals(-1, Arrays.mismatch(then, Files.readAllBytes(image.origin)), "seed " + seed);
    }

    private void refused(String why, Object... args) throws IOException {
        InProcess.Result result = InProcess.tryRun("era_apply", args);
        assertEquals(1, result.code(), result.text());
        assertTrue(result.text().contains(why), result.text());
        assertEquals(-1, Arrays.mismatch(now, Files.readAllBytes(image.origin)), "nothing was written");
    }

    @Test
    void theOriginIsTakenBackAndTheNextIncrementHoldsThat() throws IOException {
        Path elsewhere = folder.resolve("elsewhere");
        InProcess.run("era_apply", full, increment, later, "-o", elsewhere);
        String said = InProcess.run("era_apply", revert());
        assertTrue(said.contains("taken back to before era " + era + ", and verified: wrote "), said);
        requireThen();
        // A backup that was made in between is the base of the next: it must hold what was taken back.
        Path next = folder.resolve("next");
        InProcess.run(
                "era_copy", "--after", later, "-m", metadata, "--identity", image.metadata, image.origin, "-o", next);
        InProcess.run("era_apply", next, "-o", elsewhere);
        assertEquals(-1L, Files.mismatch(image.origin, elsewhere), "seed " + seed);
        InProcess.run("era_check", metadata);
    }

    @Test
    void aDryRunSaysWhatItWouldWriteAndWritesNothing() throws IOException {
        byte[] marks = Files.readAllBytes(metadata);
        String said = InProcess.run("era_apply", revert("-n"));
        assertTrue(said.contains("would be taken back to before era " + era + ", by writing "), said);
        assertEquals(-1, Arrays.mismatch(now, Files.readAllBytes(image.origin)));
        assertEquals(-1, Arrays.mismatch(marks, Files.readAllBytes(metadata)));
    }

    @Test
    void withCompareOnlyWhatDiffersIsWrittenAndMarked() throws IOException {
        InProcess.run("era_apply", revert());
        byte[] marks = Files.readAllBytes(metadata);
        String said = InProcess.run("era_apply", revert("--compare"));
        assertTrue(said.contains("wrote 0 B in 0 blocks of the "), said);
        assertEquals(-1, Arrays.mismatch(marks, Files.readAllBytes(metadata)), "nothing is marked for nothing");
        try (RandomAccessFile origin = new RandomAccessFile(image.origin.toFile(), "rw")) {
            int written = 0;
            while (then[written] == now[written]) {
                written++;
            }
            origin.seek(written);
            origin.write(then[written] + 1);
        }
        said = InProcess.run("era_apply", revert("--compare"));
        assertTrue(said.contains("wrote 4.0 KiB in 1 blocks of the "), said);
        requireThen();
    }

    @Test
    void whatDoesNotBelongTogetherIsRefusedBeforeAnythingIsWritten() throws IOException {
        Object[] others = revert();
        others[others.length - 1] = "another";
        refused("it comes from another origin", others);
        Object[] sooner = revert();
        sooner[5] = Long.parseLong(era) - 1;
        refused("say --changed-since " + era, sooner);
        refused("it is an increment on era", Arrays.copyOfRange(revert(), 1, 10));
        Object[] blank = revert();
        blank[7] = Files.write(folder.resolve("blank"), new byte[1 << 20]);
        refused("superblock", blank);
        Object[] piped = revert();
        piped[0] = "-";
        refused("standard input can't be read here and there", piped);
        refused("--force has no meaning", revert("--force"));
        refused("is for --changed-since ERA", full, "-o", folder.resolve("x"), "--compare");
        refused("--metadata DEV is needed", full, "-o", image.origin, "--changed-since", "3");
    }

    @Test
    void aTargetThatIsNotTheOriginIsNotWrittenTo() throws IOException {
        byte[] another = new byte[(int) IMAGE_BYTES];
        random.nextBytes(another);
        Path stranger = Files.write(folder.resolve("stranger"), another);
        Object[] args = revert();
        args[3] = stranger;
        byte[] marks = Files.readAllBytes(metadata);
        refused("it is not the origin, or was written past its era device", args);
        assertEquals(-1, Arrays.mismatch(another, Files.readAllBytes(stranger)));
        assertEquals(-1, Arrays.mismatch(marks, Files.readAllBytes(metadata)));
        args[3] = Files.write(folder.resolve("short"), Arrays.copyOf(another, another.length / 2));
        refused("Output file too small", args);
        args[3] = folder.resolve("none");
        refused("Couldn't find output file", args);
    }

    /** Its eras have come past the backup's, and a sample of what it takes for unwritten looks right. */
    @Test
    void metadataThatWasMadeAnewSinceIsRefused() throws IOException {
        try (TrackedImage anew = new TrackedImage(Files.createDirectory(folder.resolve("anew")), IMAGE_BYTES)) {
            anew.scribble(random, 1);
            anew.catchUp();
            for (long i = 0; i < Long.parseLong(era) + 3; i++) {
                anew.checkpoint();
            }
            anew.metadataCopy(metadata);
        }
        now = then.clone();
        Arrays.fill(now, TrackedImage.BLOCK_BYTES, 2 * TrackedImage.BLOCK_BYTES, (byte) 0x55);
        Files.write(image.origin, now);
        refused("was made anew since", revert());
    }

    @Test
    void aDamagedChunkIsFoundBeforeAnythingIsWritten() throws IOException {
        for (Path stream : List.of(full, increment)) {
            byte[] sound = Files.readAllBytes(stream);
            byte[] bytes = sound.clone();
            // All over it, so that one of the blocks to take back is hit.
            for (int i = 256; i < bytes.length - 96; i += 1000) {
                bytes[i] ^= 1;
            }
            Files.write(stream, bytes);
            refused(stream + ": ", revert());
            Files.write(stream, sound);
        }
    }

    @Test
    void aKilledRevertIsFinishedByTheSameCommand() throws Exception {
        Programs programs = new Programs(folder, Map.of());
        long began = System.nanoTime();
        programs.run("era_apply", revert()).good();
        long usual = System.nanoTime() - began;
        int halfway = 0;
        int kills = Programs.NIGHTLY ? 150 : 3;
        for (int i = 0; i < kills; i++) {
            Files.write(image.origin, now);
            image.metadataCopy(metadata);
            Programs.Running running = programs.start("era_apply", revert());
            running.process().waitFor((long) (usual * (0.6 + 0.5 * random.nextDouble())), TimeUnit.NANOSECONDS);
            running.kill();
            running.await();
            byte[] left = Files.readAllBytes(image.origin);
            halfway += Arrays.equals(left, now) || Arrays.equals(left, then) ? 0 : 1;
            requireMarked(left);
            InProcess.run("era_apply", revert());
            requireThen();
        }
        assertTrue(!Programs.NIGHTLY || halfway > 0, "no kill came half-way, seed " + seed);
    }

    /** Whatever was written by now, an increment on the last backup holds it. */
    private void requireMarked(byte[] left) throws IOException {
        Path elsewhere = folder.resolve("elsewhere");
        Path next = folder.resolve("next");
        InProcess.run(
                "era_copy", "--after", later, "-m", metadata, "--identity", image.metadata, image.origin, "-o", next);
        InProcess.run("era_apply", "--force", full, increment, later, next, "-o", elsewhere);
        assertEquals(-1, Arrays.mismatch(left, Files.readAllBytes(elsewhere)), "seed " + seed);
    }
}
