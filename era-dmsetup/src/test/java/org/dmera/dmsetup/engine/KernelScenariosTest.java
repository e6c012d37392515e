// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.dmsetup.cli.ShellWords;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.testkit.Fixtures;
import org.dmera.testkit.MetadataDiff;
import org.dmera.testkit.Scenario;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The sequences that were recorded with the real kernel, by the front door: era-dmsetup's commands on an engine, writes to
 * the mapped device. The metadata file must come to have the kernel's bytes, and status the kernel's figures.
 */
class KernelScenariosTest {
    private static final Pattern TABLE = Pattern.compile("0 (\\d+) era \\S+ \\S+ (\\d+)");
    private static final int SECTOR_BYTES = 512;

    @TempDir
    Path folder;

    private Path metadata;
    private Path origin;
    private long originSectors;
    private long blockBytes;
    private boolean deterministic;
    private int compared;

    static Stream<String> scenarios() {
        return Scenario.names().stream().filter(KernelScenariosTest::isDeterministicAtFirst);
    }

    private static boolean isDeterministicAtFirst(String scenario) {
        return Fixtures.images().stream()
                .anyMatch(image -> image.get("scenario").asText().equals(scenario)
                        && image.get("deterministic").asBoolean());
    }

    @ParameterizedTest
    @MethodSource("scenarios")
    void leaveTheKernelsBytesInTheMetadata(String scenario) throws IOException {
        int bytes = Fixtures.images().stream()
                .filter(i -> i.get("scenario").asText().equals(scenario))
                .mapToInt(i -> i.get("metadata_bytes").asInt())
                .findFirst()
                .orElseThrow();
        try (TestEngine engine = new TestEngine(folder)) {
            metadata = engine.file("metadata", bytes / SECTOR_BYTES);
            originSectors = originSectors(scenario);
            origin = engine.file("origin", originSectors);
            if (scenario.endsWith("_recovered")) {
                restore(scenario.substring(0, scenario.length() - "_recovered".length()) + ".crash");
            }
            deterministic = true;
            DmSetupOnEngine dmsetup = new DmSetupOnEngine(engine);
            for (JsonNode step :
                    Fixtures.manifest().get("scenarios").get(scenario).get("steps")) {
                step(engine, dmsetup, step);
            }
            assertTrue(compared > 0);
        }
    }

    /** The longest table of the scenario, plus what the kernel would let a table go beyond. */
    private static long originSectors(String scenario) {
        long longest = 0;
        for (JsonNode step : Fixtures.manifest().get("scenarios").get(scenario).get("steps")) {
            Matcher table = TABLE.matcher(step.path("cmd").asText());
            while (table.find()) {
                longest = Math.max(longest, Long.parseLong(table.group(1)));
            }
        }
        return longest;
    }

    private void step(TestEngine engine, DmSetupOnEngine dmsetup, JsonNode step) throws IOException {
        switch (step.get("op").asText()) {
            case "dmsetup", "message" -> command(dmsetup, step.get("cmd").asText());
            case "status" -> {
                List<String> ours = command(dmsetup, step.get("cmd").asText()).stdout();
                if (deterministic) {
                    String kernels = step.get("status").asText().strip();
                    String cmd = step.get("cmd").asText();
                    String device = engine.registry().devices().get(0).name();
                    assertEquals(List.of(kernels), dmsetup.answered(device, ours), cmd);
                }
            }
            case "write" -> write(engine, dmsetup, step);
            case "image" -> image(step.get("name").asText());
            case "restore_image" -> restore(step.get("name").asText());
            default -> deterministic = false;
        }
    }

    private DmSetupOnEngine.Result command(DmSetupOnEngine dmsetup, String command) {
        Matcher table = TABLE.matcher(command);
        String here = command;
        if (table.find()) {
            blockBytes = Long.parseLong(table.group(2)) * SECTOR_BYTES;
            here = table.replaceAll("0 $1 era " + Matcher.quoteReplacement(metadata + " " + origin) + " $2");
        }
        ShellWords line = ShellWords.of(here);
        DmSetupOnEngine.Result result = dmsetup.run(line.words(), line.stdin());
        assertEquals(0, result.exit(), () -> command + ": " + result.stderr());
        return result;
    }

    private void write(TestEngine engine, DmSetupOnEngine dmsetup, JsonNode step) throws IOException {
        MappedDevice device = engine.registry().devices().get(0);
        int[] blocks = Scenario.blocks(step.get("blocks").asText());
        if (step.get("how").asText().contains("span")) {
            long bytes = blocks.length * blockBytes;
            device.io().write(blocks[0] * blockBytes, ByteBuffer.allocate((int) bytes), 0);
            dmsetup.awaitRest();
            return;
        }
        for (int block : blocks) {
            device.io().write(block * blockBytes, ByteBuffer.allocate(SECTOR_BYTES), 0);
            dmsetup.awaitRest();
        }
    }

    private void image(String name) throws IOException {
        JsonNode image = Fixtures.image(name);
        deterministic &= image.get("deterministic").asBoolean();
        if (deterministic) {
            List<MetadataDiff.Difference> differences = MetadataDiff.compare(
                    new MemoryBlockDevice(Fixtures.imageBytes(image)),
                    new MemoryBlockDevice(Files.readAllBytes(metadata)));
            assertTrue(differences.isEmpty(), () -> name + " (kernel / ours): " + differences);
            compared++;
        }
    }

    private void restore(String image) throws IOException {
        Files.write(metadata, Fixtures.imageBytes(Fixtures.image(image)), StandardOpenOption.WRITE);
    }
}
