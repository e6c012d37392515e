// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dmera.testkit.Anatomy.Role;
import org.dmera.testkit.DamageGenerator;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every option of era_check and era_repair, by running the launchers on metadata that is damaged on purpose. */
class CheckAndRepairTest {
    private static final String LEAK = "leak";
    private static final String LOW = "a used block counted as free";

    private static byte[] sound;
    private static List<DamageGenerator.Case> cases;

    @TempDir
    private Path folder;

    @BeforeAll
    static void prepare() {
        Ran.needLaunchers();
        sound = Fixtures.imageBytes(Fixtures.image("c_snap_bs24.live"));
        cases = DamageGenerator.cases(sound, null, 7);
    }

    private static byte[] damaged(Role role, String kind) {
        return cases.stream()
                .filter(c -> c.role() == role && c.kind().equals(kind))
                .findFirst()
                .orElseThrow()
                .image();
    }

    private Path file(byte[] image) throws IOException {
        return Files.write(folder.resolve("metadata"), image);
    }

    private Path blank() throws IOException {
        return Files.write(folder.resolve("output"), new byte[sound.length]);
    }

    /** Both kinds of damage in one image: counts that could be mended, and a lost array block. */
    private static byte[] leakAndLoss() {
        byte[] both = damaged(Role.BITMAP, LEAK);
        byte[] loss = damaged(Role.ERA_BLOCK, "zeroed");
        for (int at = 0; at < sound.length; at += 4096) {
            if (!java.util.Arrays.equals(loss, at, at + 4096, sound, at, at + 4096)) {
                System.arraycopy(loss, at, both, at, 4096);
            }
        }
        return both;
    }

    @Test
    void soundMetadataGivesNoWordAndExitCode0() throws Exception {
        Path file = file(sound);
        for (String option : new String[] {"-q", "--super-block-only", "--metadata-snapshot", "--auto-repair"}) {
            assertEquals("", Ran.tool("era_check", option, file).good().out(), option);
        }
        assertArrayEquals(sound, Files.readAllBytes(file));
    }

    @Test
    void fatalDamageIsNamedWithItsBlockAndWithWhatToRun() throws Exception {
        Path file = file(damaged(Role.ERA_BLOCK, "zeroed"));
        Ran ran = Ran.tool("era_check", file);
        assertEquals(1, ran.code());
        assertEquals("", ran.err());
        assertTrue(ran.out().matches("(?s)fatal: era array, block \\d+: .*found zeroes.*"), ran.out());
        assertTrue(ran.out().contains("1 fatal and 0 non-fatal errors found. "), ran.out());
        assertTrue(ran.out().endsWith("era_repair -i " + file + " -o <NEW DEVICE>\n"), ran.out());
        assertEquals(1, Ran.tool("era_check", "--ignore-non-fatal-errors", file).code());
        Ran.tool("era_check", "-q", file).silentFailure();
        Ran.tool("era_check", "-q", "--format", "json", file).silentFailure();
    }

    @Test
    void damageThatIsNotFatalCanBeIgnored() throws Exception {
        Path file = file(damaged(Role.BITMAP, LEAK));
        Ran ran = Ran.tool("era_check", file);
        assertEquals(1, ran.code());
        assertTrue(ran.out().contains("era_check --auto-repair " + file), ran.out());
        assertEquals(
                "",
                Ran.tool("era_check", "--ignore-non-fatal-errors", file).good().out());
    }

    @Test
    void theReportAsJsonHoldsWhatTheManualPromises() throws Exception {
        Path file = file(leakAndLoss());
        Ran ran = Ran.tool("era_check", "--format", "json", file);
        assertEquals(1, ran.code());
        JsonNode report = new ObjectMapper().readTree(ran.out());
        assertEquals(file.toString(), report.get("device").asText());
        assertFalse(report.get("clean").asBoolean());
        assertEquals(1, report.get("fatal").asInt());
        // The array block at fault has no children, so the counts can be judged all the same.
        assertEquals(3, report.get("non_fatal").asInt(), ran.out());
        assertEquals(1, report.get("kinds").get("leaked").asInt());
        JsonNode finding = report.get("findings").get(0);
        assertEquals("fatal", finding.get("severity").asText());
        assertEquals("bad-checksum", finding.get("kind").asText());
        assertEquals("era array", finding.get("structure").asText());
        assertTrue(finding.get("path").asText().startsWith("superblock > era array > key "), ran.out());
        assertTrue(finding.get("block").asInt() > 0);
        assertEquals(1, finding.get("nr_blocks").asInt());
        assertEquals("rebuild", finding.get("remedy").asText());
        assertFalse(finding.get("repair").asText().isEmpty());
        JsonNode clean = new ObjectMapper()
                .readTree(Ran.tool("era_check", "--format", "json", file(sound))
                        .good()
                        .out());
        assertTrue(clean.get("clean").asBoolean());
        assertEquals(0, clean.get("findings").size());
    }

    @Test
    void onlyThePartThatIsAskedForIsChecked() throws Exception {
        Path trees = file(damaged(Role.CURRENT_BLOCK, "zeroed"));
        assertEquals(
                "", Ran.tool("era_check", "--super-block-only", trees).good().out());
        assertEquals(
                "", Ran.tool("era_check", "--metadata-snapshot", trees).good().out());
        Path snapshot = file(damaged(Role.SNAPSHOT, "zeroed"));
        assertEquals(1, Ran.tool("era_check", "--metadata-snapshot", snapshot).code());
        Ran.tool("era_check", "--super-block-only", file(damaged(Role.SUPERBLOCK, "zeroed")))
                .refused("bad checksum in superblock");
    }

    @Test
    void countsAreMendedInPlaceAndNothingElseChanges() throws Exception {
        for (String kind : new String[] {LEAK, LOW}) {
            byte[] before = damaged(Role.BITMAP, kind);
            Path file = file(before);
            String dump = Ran.tool("era_dump", file).good().out();
            Ran ran = Ran.tool("era_check", "--auto-repair", file).good();
            assertTrue(ran.out().startsWith("repaired: "), ran.out());
            assertEquals("", Ran.tool("era_check", file).good().out());
            assertEquals(dump, Ran.tool("era_dump", file).good().out());
        }
        Path file = file(damaged(Role.BITMAP, LEAK));
        assertEquals(
                "", Ran.tool("era_check", "-q", "--auto-repair", file).good().out());
        Ran.tool("era_check", "--auto-repair", "--format", "json", file(damaged(Role.BITMAP, LEAK)))
                .good();
    }

    @Test
    void nothingIsMendedInPlaceWhileFatalDamageRemains() throws Exception {
        byte[] before = leakAndLoss();
        Path file = file(before);
        Ran ran = Ran.tool("era_check", "--auto-repair", file);
        assertEquals(1, ran.code());
        assertTrue((ran.out() + ran.err()).contains("nothing was changed"), ran.toString());
        assertTrue((ran.out() + ran.err()).contains("era_repair -i " + file), ran.toString());
        assertArrayEquals(before, Files.readAllBytes(file));
        Ran.tool("era_check", "-q", "--auto-repair", file).silentFailure();
        assertEquals(
                1,
                Ran.tool("era_check", "--auto-repair", "--ignore-non-fatal-errors", file)
                        .code());
        assertArrayEquals(before, Files.readAllBytes(file));
    }

    @Test
    void optionsThatContradictOneAnotherAreRefused() throws Exception {
        Path file = file(sound);
        Ran.tool("era_check", "--super-block-only", "--metadata-snapshot", file).refused("exclude each other");
        Ran.tool("era_check", "--auto-repair", "--repair-to", blank(), file).refused("exclude each other");
        Ran.tool("era_check", "--auto-repair", "--metadata-snapshot", file).refused("leave out --metadata-snapshot");
        Ran.tool("era_check", "--repair-to", blank(), "--super-block-only", file)
                .refused("leave out --super-block-only");
        Ran.tool("era_check", "--format", "yaml", file).misused("[possible values: text, json]");
    }

    @Test
    void damagedMetadataIsRebuiltElsewhereAndOnlyThen() throws Exception {
        Path output = blank();
        Ran.tool("era_check", "--repair-to", output, file(sound)).good();
        assertArrayEquals(new byte[sound.length], Files.readAllBytes(output));
        byte[] before = leakAndLoss();
        Path file = file(before);
        Ran ran = Ran.tool("era_check", "--repair-to", output, file).good();
        assertTrue(ran.out().contains("count as written in era "), ran.out());
        assertEquals("", Ran.tool("era_check", output).good().out());
        assertArrayEquals(before, Files.readAllBytes(file));
        byte[] first = Files.readAllBytes(output);
        Ran again = Ran.tool("era_repair", "-i", file, "-o", blank()).good();
        assertTrue(ran.out().endsWith(again.out()), again.out());
        assertArrayEquals(first, Files.readAllBytes(output));
        assertEquals(
                "",
                Ran.tool("era_repair", "-q", "-i", file, "-o", blank()).good().out());
        assertEquals(
                Ran.tool("era_dump", output).good().out(),
                Ran.tool("era_dump", "--repair", file).out());
    }

    @Test
    void whatALostSuperblockKnewIsAskedFor() throws Exception {
        byte[] crashed = Fixtures.imageBytes(Fixtures.image("b_eras_bs8.clean"));
        java.util.Arrays.fill(crashed, 0, 4096, (byte) 0);
        Path file = file(crashed);
        Path output = Files.write(folder.resolve("output"), new byte[crashed.length]);
        Ran.tool("era_repair", "-i", file, "-o", output).refused("--block-size");
        Ran.tool("era_repair", "--block-size", 7, "-i", file, "-o", output).misused("--block-size");
        Ran.tool("era_repair", "--block-size", 12, "-i", file, "-o", output).misused("multiple of 8");
        Ran.tool("era_repair", "--nr-blocks", -1, "-i", file, "-o", output).misused("--nr-blocks");
        Ran.tool("era_repair", "--nr-blocks", 1L << 31, "-i", file, "-o", output)
                .misused("--nr-blocks");
        Ran.tool("era_repair", "--current-era", "x", "-i", file, "-o", output).misused("--current-era");
        assertArrayEquals(new byte[crashed.length], Files.readAllBytes(output));

        Ran good = Ran.tool(
                        "era_repair",
                        "--block-size",
                        16,
                        "--nr-blocks",
                        77,
                        "--current-era",
                        1234,
                        "-i",
                        file,
                        "-o",
                        output)
                .good();
        assertTrue(good.out().contains(" of the metadata"), good.out());
        Ran.tool("era_repair", "--block-size", 16, "--nr-blocks", 77, "-i", file, "-o", output)
                .refused("--current-era; it is at least");
        assertEquals("", Ran.tool("era_check", output).good().out());
        String dump = Ran.tool("era_dump", output).good().out();
        assertTrue(
                dump.startsWith("<superblock uuid=\"\" block_size=\"16\" nr_blocks=\"77\" current_era=\"1234\">"),
                dump);
        assertEquals(
                dump,
                Ran.tool("era_dump", "--repair", "--block-size", 16, "--nr-blocks", 77, "--current-era", 1234, file)
                        .out());
    }

    @Test
    void aCurrentEraBelowWhatTheMetadataHoldsIsRefused() throws Exception {
        Path file = file(damaged(Role.ERA_BLOCK, "zeroed"));
        Path output = blank();
        Ran.tool("era_repair", "--current-era", 1, "-i", file, "-o", output).refused("above --current-era 1");
        assertArrayEquals(new byte[sound.length], Files.readAllBytes(output));
    }

    @Test
    void theDamagedMetadataIsNeverOverwrittenNorHalfARepairTakenForMetadata() throws Exception {
        byte[] before = leakAndLoss();
        Path file = file(before);
        Ran.tool("era_repair", "-i", file, "-o", file).refused("input and output are the same");
        Path link = Files.createSymbolicLink(folder.resolve("link"), file);
        Ran.tool("era_repair", "-i", file, "-o", link).refused("input and output are the same");
        Ran.tool("era_check", "--repair-to", link, file);
        assertArrayEquals(before, Files.readAllBytes(file));
        Path small = Files.write(folder.resolve("small"), new byte[5 * 4096]);
        Ran failed = Ran.tool("era_repair", "-i", file, "-o", small);
        assertNotEquals(0, failed.code());
        Ran.tool("era_dump", small).refused("bad checksum in superblock");
        Ran.tool("era_repair", "-i", file, "-o", folder.resolve("nothing")).refused("Couldn't find output file");
        Ran.tool("era_repair", "-i", folder.resolve("nothing"), "-o", blank()).refused("Couldn't find input file");
    }
}
