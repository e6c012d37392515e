// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.dmera.tools.backup.ByteCount;
import org.dmera.tools.backup.StreamCheck;
import org.dmera.tools.backup.StreamText;
import org.dmera.tools.backup.apply.Chain;
import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamReader;

/**
 * The backups of one device in a folder: which there are, and whether they are sound. Meanwhile a backup may merge older ones
 * and delete them: what is gone is no fault, but a reason to look again.
 */
final class StoredBackups {
    /** One stream; {@code header} is null when it is no sound one, {@code trouble} what is wrong with it, or null. */
    record Stored(StreamNames.Named name, long bytes, StreamHeader header, String trouble) {}

    private final Path folder;
    private final String device;
    private final List<Stored> streams = new ArrayList<>();

    /** Looks at the header and the footer of each. */
    StoredBackups(Path folder, String device) throws IOException {
        this.folder = folder;
        this.device = device;
        do {
            streams.clear();
            for (StreamNames.Named name : StreamNames.all(folder, device)) {
                look(name);
            }
        } while (streams.stream().anyMatch(stream -> isGone(stream.name)));
    }

    private void look(StreamNames.Named name) {
        long bytes = 0;
        StreamHeader header = null;
        String trouble = null;
        try {
            bytes = Files.size(name.file());
            try (StreamReader stream = StreamReader.open(name.file().toString(), null)) {
                header = stream.header();
                stream.requireComplete();
            }
        } catch (IOException e) {
            trouble = e.getMessage();
        }
        streams.add(new Stored(name, bytes, header, trouble));
    }

    private static boolean isGone(StreamNames.Named name) {
        return Files.notExists(name.file(), LinkOption.NOFOLLOW_LINKS);
    }

    String device() {
        return device;
    }

    /** In the order of the chain. */
    List<Stored> streams() {
        return streams;
    }

    /** The newest one that is whole; null for none. */
    Stored newest() {
        for (int i = streams.size() - 1; i >= 0; i--) {
            if (streams.get(i).trouble == null) {
                return streams.get(i);
            }
        }
        return null;
    }

    /** Bytes that all of them take. */
    long bytes() {
        return streams.stream().mapToLong(Stored::bytes).sum();
    }

    boolean isSound() {
        return streams.stream().allMatch(stream -> stream.trouble == null);
    }

    /** A table for people: a line for each stream. */
    List<String> table() {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"STREAM", "HOLDS", "UP TO ERA", "MADE", "SIZE"});
        for (Stored stream : streams) {
            String file = stream.name.file().getFileName().toString();
            StreamHeader h = stream.header;
            rows.add(
                    stream.trouble != null
                            ? new String[] {file, stream.trouble}
                            : new String[] {
                                file,
                                h.isFull() ? "all" : "since era " + h.baseEra(),
                                Long.toString(h.newEra()),
                                Instant.ofEpochSecond(h.createdUnixSeconds()).toString(),
                                ByteCount.text(stream.bytes)
                            });
        }
        int[] widths = new int[rows.get(0).length];
        for (String[] row : rows) {
            for (int i = 0; i < row.length && row.length == widths.length; i++) {
                widths[i] = Math.max(widths[i], row[i].length());
            }
        }
        return rows.stream().map(row -> line(row, widths)).toList();
    }

    private static String line(String[] cells, int[] widths) {
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < cells.length; i++) {
            line.append(cells[i]);
            if (i < cells.length - 1) {
                line.append(" ".repeat(Math.max(0, widths[i] - cells[i].length()) + 2));
            }
        }
        return line.toString();
    }

    /** Reads every chunk of every stream, and looks whether each follows the one before it; what is wrong is reported. */
    boolean verify(Backup.Log log) throws IOException {
        return verify(log, new HashSet<>());
    }

    /** {@code known}: the ids of those that need not be read again. */
    private boolean verify(Backup.Log log, Set<String> known) throws IOException {
        boolean sound = true;
        StreamReader before = null;
        try {
            for (Stored stored : streams) {
                StreamReader stream = null;
                try {
                    stream = StreamReader.open(stored.name.file().toString(), null);
                    if (before == null && !stream.header().isFull()) {
                        throw new IOException(stream.name() + ": it is an increment on era "
                                + stream.header().baseEra() + ", and there is no full stream before it");
                    }
                    if (before != null && !stream.header().isFull()) {
                        Chain.requireLinked(List.of(before, stream));
                    }
                    if (!known.contains(stream.header().idText())) {
                        StreamFooter footer = StreamCheck.requireSound(stream, bytes -> {});
                        log.say(stream.name() + ": sound, " + StreamText.of(stream.header(), footer));
                        known.add(stream.header().idText());
                    }
                } catch (IOException e) {
                    if (stream == null && isGone(stored.name)) {
                        return new StoredBackups(folder, device).verify(log, known) && sound;
                    }
                    sound = false;
                    log.say(e.getMessage());
                }
                if (stream != null) {
                    if (before != null) {
                        before.close();
                    }
                    before = stream;
                }
            }
        } finally {
            if (before != null) {
                before.close();
            }
        }
        return sound;
    }
}
