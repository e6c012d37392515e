// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The sequences that hang on the kernel ({@code fixtures/dmsetup/suspended-hangs.txt}), one command after another: each is
 * answered before the next is sent, or the test's time is up.
 */
@Timeout(300)
class SuspendedDeviceTest {
    @TempDir
    Path folder;

    private String table;

    @BeforeEach
    void makeFiles() throws IOException {
        TestEngine.makeFile(folder.resolve("meta"), 8192);
        TestEngine.makeFile(folder.resolve("data"), 65_536);
        table = "0 65536 era " + folder.resolve("meta") + " " + folder.resolve("data") + " 8";
    }

    /** The recorded sequences, as {@code A: suspend; dmsetup status (background)}. */
    static List<String> sequences() throws IOException {
        return Files.readAllLines(Fixtures.folder().resolve("dmsetup/suspended-hangs.txt")).stream()
                .filter(line -> line.matches("[A-Z]: .*"))
                .toList();
    }

    @ParameterizedTest
    @MethodSource("sequences")
    void whatHangsOnTheKernelIsAnswered(String sequence) throws IOException {
        try (TestEngine engine = new TestEngine(folder)) {
            DmSetupOnEngine dmsetup = new DmSetupOnEngine(engine);
            good(dmsetup, "create", "era0", "--table", table);
            good(dmsetup, "suspend", "era0");
            switch (sequence.charAt(0)) {
                case 'A' -> {
                    assertEquals("0 65536 era 8 17/1024 1 -", good(dmsetup, "status", "era0"));
                    assertEquals(table, good(dmsetup, "table", "era0"));
                    good(dmsetup, "resume", "era0");
                    assertStatus("8 21/1024 2 -", dmsetup);
                }
                case 'B' -> {
                    DmSetupOnEngine.Result refused = dmsetup.run(List.of("message", "era0", "0", "checkpoint"), "");
                    assertEquals(1, refused.exit());
                    assertEquals(
                            List.of(
                                    "device-mapper: message ioctl on era0  failed: Device or resource busy",
                                    "Command failed."),
                            refused.stderr());
                    good(dmsetup, "resume", "era0");
                    assertStatus("8 21/1024 2 -", dmsetup);
                }
                case 'C' -> {
                    good(dmsetup, "reload", "era0", "--table", table);
                    assertTrue(good(dmsetup, "status", "era0").matches("0 65536 era 8 \\d+/1024 1 -"));
                    good(dmsetup, "resume", "era0");
                    assertTrue(good(dmsetup, "status", "era0").matches("0 65536 era 8 \\d+/1024 2 -"));
                }
                default -> throw new AssertionError("a sequence that is not replayed: " + sequence);
            }
        }
    }

    private static String good(DmSetupOnEngine dmsetup, String... words) {
        DmSetupOnEngine.Result result = dmsetup.run(List.of(words), "");
        assertEquals(0, result.exit(), () -> String.join(" ", words) + ": " + result.stderr());
        return String.join("\n", result.stdout());
    }

    private static void assertStatus(String expected, DmSetupOnEngine dmsetup) throws IOException {
        String printed = good(dmsetup, "status", "era0");
        assertEquals(List.of("0 65536 era " + expected), dmsetup.answered("era0", List.of(printed)));
    }

    @Test
    void everyRecordedSequenceIsFound() throws IOException {
        assertEquals(3, sequences().size());
    }
}
