// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What era-dmsetup has that dmsetup has not. */
class OwnCommandsTest {
    @TempDir
    Path folder;

    private TestEngine engine;
    private DmSetupOnEngine dmsetup;

    @BeforeEach
    void start() throws IOException {
        engine = new TestEngine(folder);
        dmsetup = new DmSetupOnEngine(engine);
        try (DmClient client = engine.client()) {
            engine.createEra(client, "vol", 8192, 8);
        }
        good("create", "a \"quoted\" name", "--table", "0 8 linear engine:vol 8");
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
    }

    private String good(String... words) {
        DmSetupOnEngine.Result result = dmsetup.run(List.of(words), "");
        assertEquals(0, result.exit(), () -> result.stderr().toString());
        return String.join("\n", result.stdout());
    }

    private JsonNode json(String... words) throws IOException {
        return new ObjectMapper().readTree(good(words));
    }

    @Test
    void checkpointPrintsTheNewEra() throws IOException {
        assertEquals("2", good("checkpoint", "vol"));
        assertEquals(3, json("checkpoint", "--json", "vol").get("era").asLong());
    }

    @Test
    void checkpointOfADeviceWithoutAnEraTargetSaysSo() {
        DmSetupOnEngine.Result result = dmsetup.run(List.of("checkpoint", "a \"quoted\" name"), "");
        assertEquals(1, result.exit());
        assertTrue(
                result.stderr().get(0).endsWith("has no era target"),
                result.stderr().toString());
    }

    @Test
    void statusAsJsonNamesTheFieldsOfAnEraTarget() throws IOException {
        good("message", "vol", "0", "take_metadata_snap");
        JsonNode target = json("status", "--json", "vol").at("/devices/0/targets/0");
        assertEquals("era", target.get("type").asText());
        assertEquals(8192, target.get("length").asLong());
        assertEquals(2, target.get("current_era").asLong());
        assertEquals(8, target.get("metadata_block_sectors").asInt());
        assertEquals(1024, target.get("metadata_total_blocks").asInt());
        assertTrue(target.get("metadata_used_blocks").asInt() > 5);
        assertTrue(target.get("metadata_snapshot_block").asInt() > 0);
        assertEquals(false, target.get("failed").asBoolean());
    }

    @Test
    void tableInfoAndListAreJsonToo() throws IOException {
        JsonNode table = json("table", "--json", "vol").at("/devices/0/targets/0");
        assertEquals(
                folder.resolve("vol.meta").toString(),
                table.get("metadata_device").asText());
        assertEquals(8, table.get("block_size_sectors").asInt());
        JsonNode info = json("info", "--json").get("devices");
        assertEquals("a \"quoted\" name", info.get(0).get("name").asText());
        assertEquals(1, info.get(1).get("open_count").asInt());
        assertEquals("120:0", json("ls", "--json").at("/devices/0/depends_on/0").asText());
        assertEquals(
                0, json("ls", "--json", "--target", "striped").get("devices").size());
        assertEquals(
                List.of("vol"),
                json("status", "--json", "--target", "era").get("devices").findValuesAsText("name"));
    }

    @Test
    void monitorCountsWhatIsMarkedInThisEra() throws IOException {
        for (int block = 0; block < 5; block++) {
            engine.registry().byName("vol").io().write(block * 4096L, ByteBuffer.allocate(512), 0);
        }
        assertEquals(
                "era 1  metadata 18/1024  marked 5  0/s".replaceFirst("metadata \\d+", "metadata N"),
                good("monitor", "--count", "1", "vol").replaceFirst("metadata \\d+", "metadata N"));
        assertEquals(
                5,
                json("monitor", "--count", "1", "--json", "vol")
                        .get("marked_blocks")
                        .asLong());
    }

    @Test
    void theUriNamesTheExportAndTheSocketWithWhatMustBeEscaped() {
        assertEquals("nbd+unix:///vol?socket=" + engine.socket + ".nbd", good("uri", "vol"));
        // The export has the device's name as device-mapper has it.
        assertEquals(
                "nbd+unix:///a%5Cx20%5Cx22quoted%5Cx22%5Cx20name?socket=" + engine.socket + ".nbd",
                good("uri", "a \"quoted\" name"));
    }

    @Test
    void pathsInATableMayBeRelative() throws IOException {
        Path here = Path.of("").toAbsolutePath();
        Path file = engine.file("relative", 64);
        String relative = here.relativize(file).toString();
        good("create", "rel", "--table", "0 64 linear " + relative + " 0");
        assertEquals("0 64 linear " + file + " 0", good("table", "rel"));
    }

    @Test
    void aListThatDoesNotFitTheFirstBufferIsAskedForAgain() throws IOException {
        int many = 200;
        try (DmClient client = engine.client()) {
            for (int i = 0; i < many; i++) {
                TestEngine.call(client, "create", DmCommand.DEV_CREATE, "n".repeat(100) + i);
            }
        }
        assertTrue(many * 100 > DmIoctl.INITIAL_BUFFER_BYTES);
        assertEquals(many + 2, good("ls").lines().count());
        assertEquals(many + 2, json("info", "--json").get("devices").size());
    }

    @Test
    void verboseSaysWhichChannelIsUsed() {
        DmSetupOnEngine.Result result = dmsetup.run(List.of("version", "-v"), "");
        assertEquals(List.of("Control: engine at " + engine.socket), result.stderr());
    }
}
