// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whoever names the streams of one device gets no other's. */
class StreamNamesTest {
    private static final Pattern STREAMS = Pattern.compile("\\bdata\\.[^\\s/'`]*[?*\\[][^\\s/'`]*\\.erastream");

    /** The patterns of names that the documentation gives for the streams of a device {@code data}. */
    private static Set<String> documented() throws IOException {
        Set<String> patterns = new LinkedHashSet<>();
        Matcher found = STREAMS.matcher(Files.readString(Fixtures.projectRoot().resolve("docs/backup.md")));
        while (found.find()) {
            patterns.add(found.group());
        }
        return patterns;
    }

    @Test
    void theDocumentedPatternsMatchTheStreamsOfTheDeviceThatIsMeantAndOfNoOther() throws IOException {
        Set<String> patterns = documented();
        assertTrue(patterns.contains("data.??????.????.erastream"), patterns::toString);
        for (String pattern : patterns) {
            PathMatcher shell = FileSystems.getDefault().getPathMatcher("glob:" + pattern);
            int own = 0;
            for (long number : new long[] {1, 2, 8, 999_999, 1_000_000, 999_999_999_999_999_999L}) {
                for (boolean full : new boolean[] {true, false}) {
                    own += shell.matches(Path.of(StreamNames.of("data", number, full))) ? 1 : 0;
                    for (String other : List.of(
                            "data.old",
                            "data.",
                            "data..",
                            "data.1",
                            "data.000001",
                            "data.000001.full",
                            "data.000001.full.erastream",
                            "data2",
                            "old.data",
                            "dat",
                            "d")) {
                        String name = StreamNames.of(other, number, full);
                        assertFalse(shell.matches(Path.of(name)), pattern + " matches " + name);
                    }
                }
            }
            assertTrue(own > 0, pattern + " matches nothing");
        }
    }

    @Test
    void theStreamsOfADeviceAreListedWithoutThoseOfOneWhoseNameBeginsAlike(@TempDir Path folder) throws IOException {
        for (String device : List.of("data", "data.old", "data.000001.full")) {
            Files.createFile(folder.resolve(StreamNames.of(device, device.length(), false)));
        }
        for (String device : List.of("data", "data.old", "data.000001.full")) {
            assertEquals(
                    List.of(folder.resolve(StreamNames.of(device, device.length(), false))),
                    StreamNames.all(folder, device).stream()
                            .map(StreamNames.Named::file)
                            .toList());
        }
    }
}
