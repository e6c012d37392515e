// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.dmera.core.file.FileReplacement;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.ioctl.TargetSpec;

/**
 * How far a rollback has come, in a file: written before each step that can't be undone, so that a run after a killed one
 * goes on where that one was. It describes devices of the running kernel, so its place is a folder that a reboot empties.
 *
 * @param since the era that the volume is rolled back to the beginning of
 * @param former the cache's table as it was, and will be again
 * @param commandDone whether the user's command has succeeded
 * @param snapshotBefore the era in which our metadata snapshot was about to be taken, or −1 when there was none
 * @param invalidated whether nothing stale is in the cache any more
 */
record RollbackRecord(long since, CacheTable former, boolean commandDone, long snapshotBefore, boolean invalidated) {
    private static final String END = "end=yes";

    static RollbackRecord begin(long since, CacheTable former) {
        return new RollbackRecord(since, former, false, -1, false);
    }

    RollbackRecord withCommandDone() {
        return new RollbackRecord(since, former, true, snapshotBefore, invalidated);
    }

    RollbackRecord withSnapshotBefore(long era) {
        return new RollbackRecord(since, former, commandDone, era, invalidated);
    }

    RollbackRecord withInvalidated() {
        return new RollbackRecord(since, former, commandDone, snapshotBefore, true);
    }

    void save(Path file) throws IOException {
        String text = "since=" + since
                + "\nlength=" + former.lengthSectors()
                + "\ntable=" + former.spec().params()
                + "\ncommand-done=" + commandDone
                + "\nsnapshot-before=" + snapshotBefore
                + "\ninvalidated=" + invalidated
                + "\n" + END + "\n";
        FileReplacement.replace(file, NativeText.bytes(text));
    }

    /** What an earlier run left, or null. */
    static RollbackRecord load(Path file) throws IOException {
        String text;
        try {
            text = Files.readString(file, NativeText.CHARSET);
        } catch (NoSuchFileException e) {
            return null;
        }
        Map<String, String> values = new HashMap<>();
        text.lines().forEach(line -> {
            int equals = line.indexOf('=');
            values.put(line.substring(0, Math.max(0, equals)), line.substring(equals + 1));
        });
        try {
            if (!text.endsWith(END + "\n")) {
                throw new IllegalArgumentException("it has no end");
            }
            TargetSpec line =
                    new TargetSpec(0, Long.parseLong(values.get("length")), "cache", values.getOrDefault("table", ""));
            return new RollbackRecord(
                    Long.parseLong(values.get("since")),
                    CacheTable.parse(line),
                    Boolean.parseBoolean(values.get("command-done")),
                    Long.parseLong(values.get("snapshot-before")),
                    Boolean.parseBoolean(values.get("invalidated")));
        } catch (IllegalArgumentException e) {
            throw new IOException(file + ": not the record of a rollback: " + e.getMessage(), e);
        }
    }
}
