// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.dmera.core.file.FileReplacement;

/** What streams are called: in the order of their names they are a chain. */
final class StreamNames {
    /** As a pattern, whose group is the number; %s is the device. */
    private static final String NAME = "%s\\.([0-9]{1,18})\\.(?:full|incr)\\.erastream";

    private StreamNames() {}

    static String of(String device, long number, boolean full) {
        return String.format(Locale.ROOT, "%s.%06d.%s.erastream", device, number, full ? "full" : "incr");
    }

    /**
     * The highest number of a stream of {@code device} in {@code folder}, 0 for none. Numbers go on from there even when
     * the state file was lost, so that a backup never takes an earlier one's place.
     */
    static long highest(Path folder, String device) throws IOException {
        Pattern pattern = Pattern.compile(NAME.formatted(Pattern.quote(device)));
        long highest = 0;
        for (Path file : matching(folder, pattern)) {
            Matcher name = pattern.matcher(file.getFileName().toString());
            if (name.matches()) {
                highest = Math.max(highest, Long.parseLong(name.group(1)));
            }
        }
        return highest;
    }

    /** The streams of {@code device} in {@code folder} that are not whole: a killed run left them, or somebody is at them. */
    static List<Path> partial(Path folder, String device) throws IOException {
        return matching(
                folder,
                Pattern.compile(NAME.formatted(Pattern.quote(device)) + Pattern.quote(FileReplacement.PARTIAL)));
    }

    /** The files in {@code folder} with such names; none when there is no such folder. */
    static List<Path> matching(Path folder, Pattern name) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(
                            file -> name.matcher(file.getFileName().toString()).matches())
                    .toList();
        }
    }
}
