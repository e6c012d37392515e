// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.FileReplacement;
import org.dmera.core.linux.NativeText;

/**
 * What a device's backups have come to: lines of {@code name=value} in a file that is replaced atomically.
 *
 * @param identity of the metadata, as the streams carry it
 * @param era the next increment's base; −1 before the first backup
 * @param sizeBytes of the origin then
 * @param blockSizeBytes of the metadata then
 * @param number of the next stream
 * @param increments since the last full stream
 * @param history names the {@link PointFile} of what the metadata knew then; empty when there is none
 * @param metadataSnapshot {@link #NONE}; else what {@link HeldSnapshot} notes of the one that was taken, or may have been
 * @param originSnapshot {@link #NONE}; {@link #ASKED} when the hook may have made one; else what it made
 */
record BackupState(
        String identity,
        long era,
        long sizeBytes,
        long blockSizeBytes,
        long number,
        long increments,
        String history,
        String metadataSnapshot,
        String originSnapshot) {
    static final String NONE = "";
    static final String ASKED = "asked";

    private static final String FIRST_LINE = "era-backup-state=1";

    static BackupState fresh() {
        return new BackupState("", -1, 0, 0, 1, 0, "", NONE, NONE);
    }

    boolean hasBase() {
        return era >= 0;
    }

    BackupState withMetadataSnapshot(String held) {
        return new BackupState(
                identity, era, sizeBytes, blockSizeBytes, number, increments, history, held, originSnapshot);
    }

    BackupState withOriginSnapshot(String held) {
        return new BackupState(
                identity, era, sizeBytes, blockSizeBytes, number, increments, history, metadataSnapshot, held);
    }

    /** Reads the file, or {@link #fresh} when there is none. */
    static BackupState read(Path file) throws IOException {
        if (!FileErrors.isThere(file)) {
            return fresh();
        }
        Map<String, String> fields = new LinkedHashMap<>();
        for (String line : NativeText.of(FileErrors.readAllBytes(file)).split("\n", -1)) {
            int equals = line.indexOf('=');
            if (equals > 0) {
                fields.put(line.substring(0, equals), line.substring(equals + 1));
            }
        }
        if (!"1".equals(fields.get("era-backup-state")) || !"yes".equals(fields.get("end"))) {
            throw new IOException(
                    file + ": not a whole state file of era_backup (remove it to begin with a full copy)");
        }
        try {
            return new BackupState(
                    text(fields, "identity"),
                    Long.parseLong(text(fields, "era")),
                    Long.parseLong(text(fields, "origin-size")),
                    Long.parseLong(text(fields, "block-size")),
                    Long.parseLong(text(fields, "next-number")),
                    Long.parseLong(text(fields, "increments")),
                    fields.getOrDefault("history", ""),
                    text(fields, "metadata-snapshot"),
                    text(fields, "origin-snapshot"));
        } catch (IllegalArgumentException e) {
            throw new IOException(
                    file + ": " + e.getMessage() + " in the state file (remove it to begin with a full copy)", e);
        }
    }

    private static String text(Map<String, String> fields, String name) {
        String value = fields.get(name);
        if (value == null) {
            throw new IllegalArgumentException("no " + name);
        }
        return value;
    }

    /** Replaces the file, durably. */
    void write(Path file) throws IOException {
        String text = FIRST_LINE
                + "\nidentity=" + identity.replace('\n', ' ')
                + "\nera=" + era
                + "\norigin-size=" + sizeBytes
                + "\nblock-size=" + blockSizeBytes
                + "\nnext-number=" + number
                + "\nincrements=" + increments
                + "\nhistory=" + history
                + "\nmetadata-snapshot=" + metadataSnapshot
                + "\norigin-snapshot=" + originSnapshot.replace('\n', ' ')
                + "\nend=yes\n";
        FileReplacement.replace(file, NativeText.bytes(text));
    }
}
