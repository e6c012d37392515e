// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.activation;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.dmera.core.EraPoint;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.FileReplacement;
import org.dmera.core.file.Sha256;
import org.dmera.core.read.MetadataRoots;

/**
 * That this metadata belongs to this origin, written down when somebody knew it: what both are called for good, and what the
 * metadata knew then. Metadata carries no name of its origin, so nothing else shows that two pairs were mixed up, that
 * metadata was made anew, or that an old copy was put back; any of these would have a backup miss writes.
 */
public record Enrollment(Set<String> metadataIds, Set<String> originIds, EraPoint point) {
    private static final String FIRST_LINE = "era-enrollment 1";

    /** As of now. {@code roots} are of metadata that doesn't change while this reads them. */
    public static Enrollment of(Path metadata, Path origin, BlockDevice device, MetadataRoots roots)
            throws IOException {
        // Writes that are to come may still have the current era: of a device in use, or after one that was not
        // stopped.
        return new Enrollment(
                StableIds.of(metadata), StableIds.of(origin), EraPoint.of(device, roots, roots.currentEra()));
    }

    /**
     * Why these are not the metadata and the origin of this enrollment; null when nothing contradicts.
     *
     * @throws IOException when they can't be read
     */
    public String contradiction(Path metadata, Path origin, BlockDevice device, MetadataRoots roots)
            throws IOException {
        String why = another("origin", originIds, origin);
        if (why == null) {
            why = another("metadata device", metadataIds, metadata);
        }
        if (why == null) {
            String history = point.contradiction(device, roots);
            why = history == null ? null : metadata + " holds another history than was enrolled: " + history;
        }
        return why;
    }

    private static String another(String what, Set<String> then, Path path) throws IOException {
        Set<String> now = StableIds.of(path);
        // A device without any such name is known by its path alone.
        return then.isEmpty() || !Collections.disjoint(now, then)
                ? null
                : path + " is not the " + what + " that was enrolled: that was " + String.join(", ", then)
                        + ", and this is " + (now.isEmpty() ? "without such a name" : String.join(", ", now));
    }

    /** Writes it durably, as {@code FOLDER/NAME}. */
    public void write(Path folder, String name) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        point.write(bytes);
        String text = FIRST_LINE + "\nmetadata " + String.join(" ", metadataIds) + "\norigin "
                + String.join(" ", originIds) + "\npoint "
                + Base64.getEncoder().encodeToString(bytes.toByteArray()) + "\n";
        FileReplacement.replace(
                folder.resolve(name), (text + "sha256 " + digest(text) + "\n").getBytes(StandardCharsets.ISO_8859_1));
    }

    /**
     * Reads what {@link #write} wrote; null when {@code name} was never enrolled.
     *
     * @throws IOException in one line, when the file is damaged
     */
    public static Enrollment read(Path folder, String name) throws IOException {
        Path file = folder.resolve(name);
        if (!FileErrors.isThere(file)) {
            return null;
        }
        String text = Files.readString(file, StandardCharsets.ISO_8859_1);
        int sum = text.lastIndexOf("sha256 ");
        if (sum < 0
                || !text.startsWith(FIRST_LINE + "\n")
                || !text.substring(sum).strip().equals("sha256 " + digest(text.substring(0, sum)))) {
            throw new IOException(file + " is damaged, or of another version");
        }
        Map<String, String> lines = new HashMap<>();
        text.substring(0, sum).lines().forEach(line -> {
            int blank = line.indexOf(' ');
            lines.put(line.substring(0, blank), line.substring(blank + 1));
        });
        return new Enrollment(
                words(lines.get("metadata")),
                words(lines.get("origin")),
                EraPoint.read(new ByteArrayInputStream(Base64.getDecoder().decode(lines.get("point")))));
    }

    private static Set<String> words(String text) {
        Set<String> words = new TreeSet<>(List.of(text.split(" ", -1)));
        words.remove("");
        return words;
    }

    private static String digest(String text) {
        return Sha256.hex(text.getBytes(StandardCharsets.ISO_8859_1));
    }
}
