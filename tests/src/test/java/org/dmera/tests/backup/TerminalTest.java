// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a person sees who runs a copy on a terminal: progress, the rate, and when it will be done. */
@Timeout(300)
class TerminalTest {
    private static final long MIB = 24;
    private static final int LIMIT_MIB = 4;

    @TempDir
    private Path folder;

    @Test
    void aCopyShowsProgressWithTheRateAndTheTimeLeft() throws Exception {
        Programs.need("script");
        Programs programs = new Programs(folder, Map.of());
        try (TrackedImage image = new TrackedImage(folder, MIB << 20)) {
            image.scribble(new Random(1), 200);
            image.catchUp();
            image.checkpoint();
            // No holes, which take no time.
            byte[] dense = new byte[(int) (MIB << 20)];
            new Random(2).nextBytes(dense);
            Files.write(image.origin, dense, StandardOpenOption.WRITE);
            String copy = String.join(
                    " ",
                    Path.of(System.getProperty("java.home"), "bin/java").toString(),
                    "-cp",
                    "'" + System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")) + "'",
                    "org.dmera.tools.Main era_copy --full -c none --bwlimit " + LIMIT_MIB + "M -m",
                    image.metadata.toString(),
                    image.origin.toString(),
                    "-o full");
            Path shown = folder.resolve("shown");
            long began = System.nanoTime();
            programs.host("script", "-qec", "stty cols 120; " + copy, shown).good();
            double seconds = (System.nanoTime() - began) / 1e9;
            assertTrue(
                    seconds > 0.9 * MIB / LIMIT_MIB,
                    "limited to " + LIMIT_MIB + " MiB/s, and over in " + seconds + " s");
            String text = Files.readString(shown);
            assertFalse(text.contains("Exception"), text);

            List<Double> rates = new ArrayList<>();
            Matcher bar = Pattern.compile("era_copy +(\\d+)% \\[.*\\] +(\\d+)/" + MIB
                            + "MiB \\(\\d:\\d\\d:\\d\\d / (\\d:\\d\\d:\\d\\d)\\) +([0-9.]+)MiB/s")
                    .matcher(text);
            boolean someTimeLeft = false;
            while (bar.find()) {
                rates.add(Double.parseDouble(bar.group(4)));
                someTimeLeft |= !bar.group(3).equals("0:00:00");
            }
            assertTrue(rates.size() >= 2, text);
            assertTrue(someTimeLeft, text);
            // The bar reckons in whole seconds; a machine that is too busy for the limit is slower.
            double last = rates.get(rates.size() - 1);
            assertTrue(last <= LIMIT_MIB + 2 && last >= MIB / seconds - 2, text);
            assertTrue(text.contains("full: full, up to era "), text);
        }
    }
}
