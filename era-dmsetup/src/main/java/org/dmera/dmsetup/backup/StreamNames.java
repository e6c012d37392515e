// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** What streams are called: in the order of their names they are a chain. */
final class StreamNames {
    private StreamNames() {}

    static String of(String device, long number, boolean full) {
        return String.format(Locale.ROOT, "%s.%06d.%s.erastream", device, number, full ? "full" : "incr");
    }

    /**
     * The highest number of a stream of {@code device} in {@code folder}, 0 for none. Numbers go on from there even when
     * the state file was lost, so that a backup never takes an earlier one's place.
     */
    static long highest(Path folder, String device) throws IOException {
        Pattern pattern = Pattern.compile(Pattern.quote(device) + "\\.([0-9]{1,18})\\.(full|incr)\\.erastream");
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> pattern.matcher(file.getFileName().toString()))
                    .filter(Matcher::matches)
                    .mapToLong(name -> Long.parseLong(name.group(1)))
                    .max()
                    .orElse(0);
        }
    }
}
