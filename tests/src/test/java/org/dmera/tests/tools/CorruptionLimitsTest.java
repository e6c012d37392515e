// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.dmera.testkit.Alone;
import org.dmera.testkit.Corruption;
import org.dmera.testkit.Fixtures;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A sample of the corruptions through the launchers, whose time and memory the system measures. */
@Alone
class CorruptionLimitsTest {
    private static final int CORRUPTIONS = Boolean.getBoolean("era.nightly") ? 400 : 10;
    private static final long MAX_KIB = 512 << 10;
    private static final double MAX_SECONDS = 20;
    private static final String[] IMAGES = {"b_eras_bs8.live", "c_snap_bs24.live", "e_crash_bs24.crash"};
    private static final Path TIME = Path.of("/usr/bin/time");

    @TempDir
    private Path folder;

    @Test
    void everyToolEndsInSecondsWithinItsMemoryAndWithoutATrace() throws Exception {
        Ran.needLaunchers();
        Ran.need(TIME, "apt-get install time");
        Random random = new Random(40);
        Corruption corruption = new Corruption(random);
        Path file = folder.resolve("metadata");
        for (int i = 0; i < CORRUPTIONS; i++) {
            byte[] image = Fixtures.imageBytes(Fixtures.image(IMAGES[i % IMAGES.length]));
            corruption.corrupt(image, 64);
            boolean cut = random.nextInt(8) == 0;
            Files.write(file, cut ? Arrays.copyOf(image, random.nextInt(image.length)) : image);
            Path output = Files.write(folder.resolve("output"), new byte[image.length]);
            measure(i, "era_check", "--format", i % 2 == 0 ? "text" : "json", file);
            measure(i, "era_dump", "-o", "/dev/null", file);
            measure(i, "era_dump", "--repair", "--block-size", 8, "-o", "/dev/null", file);
            measure(i, "era_invalidate", "--written-since", 2, file);
            measure(i, "era_repair", "--block-size", 8, "--current-era", 90, "-i", file, "-o", output);
        }
    }

    private void measure(int nr, String tool, Object... args) throws Exception {
        Path figures = folder.resolve("figures");
        StringBuilder words = new StringBuilder();
        for (Object arg : args) {
            words.append(' ').append(arg);
        }
        Ran ran = Ran.of(
                List.of(
                        "bash",
                        "-c",
                        TIME + " -q -f '%M %e' -o " + figures + " " + Distribution.BIN.resolve(tool) + words),
                Map.of());
        String what = "corruption " + nr + ": " + ran;
        assertTrue(ran.code() == 0 || ran.code() == 1, what);
        assertFalse(ran.err().contains("\tat ") || ran.err().contains("internal error"), what);
        assertTrue(ran.code() == 0 || !ran.err().isEmpty() || !ran.out().isEmpty(), what);
        String[] measured = Files.readString(figures).trim().split(" ", -1);
        assertTrue(Long.parseLong(measured[0]) <= MAX_KIB, () -> measured[0] + " KiB: " + what);
        assertTrue(Double.parseDouble(measured[1]) <= MAX_SECONDS, () -> measured[1] + " s: " + what);
    }
}
