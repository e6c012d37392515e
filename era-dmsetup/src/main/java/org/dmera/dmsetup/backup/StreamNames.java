// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.FileReplacement;
import org.dmera.core.file.Folders;

/** What streams are called: in the order of their names they are a chain. */
final class StreamNames {
    /** As a pattern, whose group is the number; %s is the device. */
    private static final String NAME = "%s\\.([0-9]{1,18})\\.(full|incr)\\.erastream";

    /** One of them. */
    record Named(Path file, long number, boolean full) {}

    private StreamNames() {}

    /** What a device's streams are called after: its name, without what would make it a path. */
    static String device(String name) {
        return name.replace('/', '-');
    }

    static String of(String device, long number, boolean full) {
        return String.format(Locale.ROOT, "%s.%06d.%s.erastream", device, number, full ? "full" : "incr");
    }

    /**
     * The number after the highest of {@code streams}, which are in order. Numbers go on from there even when the state file
     * was lost, so that a backup never takes an earlier one's place.
     */
    static long nextNumber(List<Named> streams) {
        return streams.isEmpty() ? 1 : streams.get(streams.size() - 1).number() + 1;
    }

    /** No stream takes another's place, and not everywhere do locks and numbers keep other hosts and other names away. */
    static void requireFree(Path stream) throws IOException {
        if (FileErrors.isThere(stream)) {
            throw new IOException(
                    stream + ": somebody else has made a stream of this name: another host, or a device whose"
                            + " name differs in upper and lower case alone; each needs a folder of its own");
        }
    }

    /**
     * The streams of {@code device} in {@code folder}, in the order of the chain. Of two with the same number the full one
     * comes first: the increment has been merged into it, and whoever did that was killed before it was deleted.
     */
    static List<Named> all(Path folder, String device) throws IOException {
        Pattern pattern = Pattern.compile(NAME.formatted(Pattern.quote(device)));
        List<Named> all = new ArrayList<>();
        for (Path file : matching(folder, pattern)) {
            Matcher name = pattern.matcher(file.getFileName().toString());
            if (name.matches()) {
                all.add(new Named(
                        file, Long.parseLong(name.group(1)), name.group(2).equals("full")));
            }
        }
        all.sort(Comparator.comparingLong(Named::number).thenComparing(stream -> !stream.full()));
        return all;
    }

    /** The streams of {@code device} in {@code folder} that are not whole: a killed run left them, or somebody is at them. */
    static List<Path> partial(Path folder, String device) throws IOException {
        return matching(
                folder,
                Pattern.compile(NAME.formatted(Pattern.quote(device)) + Pattern.quote(FileReplacement.PARTIAL)));
    }

    /** The files in {@code folder} with such names; none when there is no such folder. */
    static List<Path> matching(Path folder, Pattern name) throws IOException {
        if (!FileErrors.isThere(folder)) {
            return List.of();
        }
        return Folders.entries(folder, "*").stream()
                .filter(file -> name.matcher(file.getFileName().toString()).matches())
                .toList();
    }
}
