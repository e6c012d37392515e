// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.damage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.repair.SpaceMapRepair;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.testkit.Anatomy.Role;
import org.dmera.testkit.DamageGenerator;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.Fixtures;
import org.dmera.testkit.GeneratedMetadata;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Gives every kind of damage to the peers and to us, and writes down who finds it, who repairs it and what is lost: the
 * table in docs/damage.md, which is written anew with {@code -Dera.damage.table=true} and otherwise only spot-checked.
 */
class DamageTableTest {
    private static final boolean WRITE = Boolean.getBoolean("era.damage.table");
    private static final String SUBJECT = "e_crash_bs24.crash";
    private static final String SNAPSHOT_SUBJECT = "c_snap_bs24.live";
    private static final String GENERATED = "generated";
    private static final long LIMIT_SECONDS = 10;
    private static final List<String> CPP = List.of("/usr/sbin/era_");
    private static final List<String> RUST = List.of(
            System.getenv().getOrDefault("ERA_PEER_RUST_ROOT", "/opt/tpt-1.1.0") + "/usr/sbin/pdata_tools", "era_");

    @TempDir
    Path folder;

    /** What a tool made of one damage. */
    private record Outcome(boolean found, String repaired, long lost, long widened) {
        String cells() {
            return (found ? "yes" : "**no**") + " | "
                    + (repaired.isEmpty()
                            ? "–"
                            : repaired
                                    + (lost > 0 ? ", **" + lost + " lost**" : ", 0 lost")
                                    + (widened > 0 ? ", " + widened + " widened" : ""));
        }
    }

    @Test
    void oursFindsAllAndLosesNoneWhileThePeersDoNot() throws Exception {
        needs(CPP.get(0) + "check");
        needs(RUST.get(0));
        Map<String, String> rows = new LinkedHashMap<>();
        for (String subject : List.of(SUBJECT, SNAPSHOT_SUBJECT, GENERATED)) {
            byte[] sound = image(subject);
            EraTruth truth = truthOf(sound);
            int n = 0;
            for (DamageGenerator.Case damaged : DamageGenerator.cases(sound, null, 7)) {
                if (!subject.equals(subjectFor(damaged)) || !WRITE && n++ % 12 != 0) {
                    continue;
                }
                byte[] image = damaged.image();
                Outcome ours = ours(image, truth);
                assertEquals(true, ours.found, damaged::toString);
                assertEquals(0, ours.lost, damaged::toString);
                rows.put(
                        label(damaged),
                        peer(CPP, image, truth).cells() + " | "
                                + peer(RUST, image, truth).cells() + " | " + ours.cells());
            }
        }
        if (WRITE) {
            write(rows);
        } else {
            spotCheck(rows);
        }
    }

    private static byte[] image(String subject) throws IOException {
        return subject.equals(GENERATED) ? GeneratedMetadata.wide() : Fixtures.imageBytes(Fixtures.image(subject));
    }

    /** The metadata on which a damage is shown: what the other subjects don't have, each shows for itself. */
    private static String subjectFor(DamageGenerator.Case damaged) {
        if (damaged.isInterior()) {
            return GENERATED;
        }
        return damaged.role() == Role.SNAPSHOT || damaged.role() == Role.SNAPSHOT_TREES ? SNAPSHOT_SUBJECT : SUBJECT;
    }

    /** After each repair, in place and elsewhere, of kernel-made and of generated metadata. */
    @ParameterizedTest
    @CsvSource({SUBJECT + ", 1", SNAPSHOT_SUBJECT + ", 1", GENERATED + ", 4"})
    void thePeersAcceptWhatComesOutOfEveryRepair(String subject, int step) throws Exception {
        needs(CPP.get(0) + "check");
        needs(RUST.get(0));
        byte[] sound = image(subject);
        EraTruth truth = truthOf(sound);
        List<DamageGenerator.Case> cases = DamageGenerator.cases(sound, null, 9);
        for (int i = 0; i < cases.size(); i += step) {
            DamageGenerator.Case damaged = cases.get(i);
            byte[] image = damaged.image();
            CheckReport report = MetadataChecker.check(new MemoryBlockDevice(image));
            if (!report.isBeyondAutoRepair() && SpaceMapRepair.isNeeded(report)) {
                byte[] mended = inPlace(image, report);
                assertEquals(
                        "", MetadataChecker.check(new MemoryBlockDevice(mended)).toString(), damaged::toString);
                assertAccepted(mended, damaged + ", mended in place");
            }
            assertAccepted(rebuilt(image, truth), damaged + ", rebuilt");
        }
    }

    private void assertAccepted(byte[] image, String what) throws Exception {
        Path file = Files.write(folder.resolve("repaired"), image);
        for (List<String> peer : List.of(CPP, RUST)) {
            assertEquals(
                    0,
                    run(peer, "check", file.toString()),
                    () -> what + ": " + peer + " says " + Text.of(folder.resolve("output")));
        }
    }

    /** What a file says, for messages. */
    private static final class Text {
        static String of(Path file) {
            try {
                return Files.readString(file);
            } catch (IOException e) {
                return e.toString();
            }
        }
    }

    private static void needs(String program) {
        boolean there = Files.isExecutable(Path.of(program));
        if (!there && "true".equals(System.getenv("CI"))) {
            throw new AssertionError("needs " + program);
        }
        assumeTrue(there, "needs " + program);
    }

    private static String label(DamageGenerator.Case damaged) {
        return damaged.role().name().toLowerCase(java.util.Locale.ROOT).replace('_', ' ')
                + (damaged.isInterior() ? " (interior)" : "") + " | " + damaged.kind();
    }

    private static EraTruth truthOf(byte[] image) throws IOException {
        EraTruth truth = new EraTruth();
        Salvage.open(new MemoryBlockDevice(image), SalvageHints.NONE).stream(truth);
        return truth;
    }

    private static Outcome ours(byte[] image, EraTruth truth) throws IOException {
        CheckReport report = MetadataChecker.check(new MemoryBlockDevice(image));
        boolean mendable = !report.isBeyondAutoRepair() && SpaceMapRepair.isNeeded(report);
        EraTruth now = truthOf(mendable ? inPlace(image, report) : rebuilt(image, truth));
        return new Outcome(
                !report.isClean(), mendable ? "in place" : "rebuilt", truth.lostIn(now), truth.widenedIn(now));
    }

    private static byte[] inPlace(byte[] image, CheckReport report) throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(image.clone());
        SpaceMapRepair.repair(device, report);
        return device.bytes();
    }

    private static byte[] rebuilt(byte[] image, EraTruth truth) throws IOException {
        MemoryBlockDevice rebuilt = new MemoryBlockDevice(image.length / 4096);
        SalvageHints hints = new SalvageHints(truth.dataBlockSizeSectors(), -1, -1);
        Salvage salvage;
        try {
            salvage = Salvage.open(new MemoryBlockDevice(image), hints);
        } catch (IOException e) {
            // The era can't be derived from the rest: the user says it.
            salvage = Salvage.open(
                    new MemoryBlockDevice(image),
                    new SalvageHints(hints.dataBlockSizeSectors(), -1, truth.currentEra()));
        }
        salvage.stream(new MetadataBuilder(rebuilt));
        assertEquals("", MetadataChecker.check(rebuilt).toString());
        return rebuilt.bytes();
    }

    /**
     * era_check; then era_repair where the peer has it (1.1.0 does, though it installs no command of that name), or era_dump
     * --repair and era_restore: whichever of the two loses less.
     */
    private Outcome peer(List<String> peer, byte[] image, EraTruth truth) throws Exception {
        Path damaged = Files.write(folder.resolve("damaged"), image);
        boolean found = run(peer, "check", damaged.toString()) != 0;
        Path xml = folder.resolve("xml");
        Path restored = Files.write(folder.resolve("restored"), new byte[image.length]);
        Files.deleteIfExists(xml);
        Outcome dumped = new Outcome(found, "", 0, 0);
        if (run(peer, "dump", "--repair", "-o", xml.toString(), damaged.toString()) == 0
                && run(peer, "restore", "-i", xml.toString(), "-o", restored.toString()) == 0) {
            dumped = outcome(found, "dump --repair", restored, truth);
        }
        if (peer != RUST) {
            return dumped;
        }
        Files.write(restored, new byte[image.length]);
        if (run(peer, "repair", "-i", damaged.toString(), "-o", restored.toString()) != 0) {
            return dumped;
        }
        Outcome repaired = outcome(found, "era_repair", restored, truth);
        boolean better = dumped.repaired.isEmpty() || repaired.lost <= dumped.lost;
        return repaired.repaired.isEmpty() || !better ? dumped : repaired;
    }

    private static Outcome outcome(boolean found, String how, Path made, EraTruth truth) throws IOException {
        try {
            EraTruth now = truthOf(Files.readAllBytes(made));
            return new Outcome(found, how, truth.lostIn(now), truth.widenedIn(now));
        } catch (IOException e) {
            return new Outcome(found, "", 0, 0);
        }
    }

    private int run(List<String> peer, String tool, String... arguments) throws Exception {
        // Of the processor's time, which a busy machine does not use up: some go round in circles for ever.
        List<String> command =
                new ArrayList<>(List.of("sh", "-c", "ulimit -t " + LIMIT_SECONDS + "; exec \"$0\" \"$@\""));
        command.addAll(peer);
        command.set(command.size() - 1, peer.get(peer.size() - 1) + tool);
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("output").toFile())
                .start();
        return process.waitFor();
    }

    private static Path page() {
        return Fixtures.projectRoot().resolve("docs/damage.md");
    }

    private static void write(Map<String, String> rows) throws IOException {
        StringBuilder text = new StringBuilder(Files.readString(page(), StandardCharsets.UTF_8));
        int begin = text.indexOf("In short,");
        int next = text.indexOf("\n## ", begin);
        String rest = next < 0 ? "" : text.substring(next);
        text.setLength(begin);
        text.append(summary(rows)).append("\n\n");
        text.append("| structure | damage | 0.9.0 finds it | 0.9.0 repair | 1.1.0 finds it | 1.1.0 repair"
                + " | ours finds it | our repair |\n|---|---|---|---|---|---|---|---|\n");
        rows.forEach((damage, outcome) ->
                text.append("| ").append(damage).append(" | ").append(outcome).append(" |\n"));
        text.append(rest);
        Files.writeString(page(), text, StandardCharsets.UTF_8);
    }

    private static String summary(Map<String, String> rows) {
        int[] found = new int[3];
        int[] usable = new int[3];
        int[] lossy = new int[3];
        for (String row : rows.values()) {
            String[] cells = row.split(" \\| ", -1);
            for (int tool = 0; tool < 3; tool++) {
                found[tool] += cells[2 * tool].equals("yes") ? 1 : 0;
                usable[tool] += cells[2 * tool + 1].equals("–") ? 0 : 1;
                lossy[tool] += cells[2 * tool + 1].contains("lost**") ? 1 : 0;
            }
        }
        return "In short, of " + rows.size() + " damages: found by 0.9.0 " + found[0] + ", by 1.1.0 " + found[1]
                + ", by ours " + found[2] + "; usable metadata came out of 0.9.0 in " + usable[0] + " cases,\nin "
                + lossy[0] + " of them with marks lost; of 1.1.0 in " + usable[1] + ", with marks lost in " + lossy[1]
                + "; of ours in " + usable[2] + ", with marks lost in " + lossy[2] + ".";
    }

    private static void spotCheck(Map<String, String> rows) throws IOException {
        List<String> lines = Files.readAllLines(page(), StandardCharsets.UTF_8);
        rows.forEach((damage, outcome) -> assertEquals(
                true,
                lines.contains("| " + damage + " | " + outcome + " |"),
                () -> "docs/damage.md says otherwise (write it anew with -Dera.damage.table=true): " + damage + " | "
                        + outcome));
    }
}
