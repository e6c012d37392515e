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
 * @param commandPid the process that the user's command was last started as, or −1
 * @param commandStart when that began, as {@link ProcessStart} has it: numbers of processes come again
 * @param snapshotBefore the era before that of our metadata snapshot, which taking it began; −1 when there was none
 * @param snapshotBlock the metadata block that our snapshot was seen in, or −1 when it has not been taken yet
 * @param invalidated whether nothing stale is in the cache any more
 */
record RollbackRecord(
        long since,
        CacheTable former,
        boolean commandDone,
        long commandPid,
        long commandStart,
        long snapshotBefore,
        long snapshotBlock,
        boolean invalidated) {
    private static final String END = "end=yes";

    static RollbackRecord begin(long since, CacheTable former) {
        return new RollbackRecord(since, former, false, -1, -1, -1, -1, false);
    }

    RollbackRecord withCommandStarted(long pid, long start) {
        return new RollbackRecord(since, former, false, pid, start, snapshotBefore, snapshotBlock, invalidated);
    }

    RollbackRecord withCommandDone(boolean done) {
        return new RollbackRecord(since, former, done, -1, -1, snapshotBefore, snapshotBlock, invalidated);
    }

    RollbackRecord withSnapshot(long eraBefore, long block) {
        return new RollbackRecord(since, former, commandDone, commandPid, commandStart, eraBefore, block, invalidated);
    }

    RollbackRecord withInvalidated() {
        return new RollbackRecord(
                since, former, commandDone, commandPid, commandStart, snapshotBefore, snapshotBlock, true);
    }

    /** Whether the user's command, started by a run that was killed, is still at work. */
    boolean isCommandRunning() throws IOException {
        return commandPid >= 0 && commandStart >= 0 && ProcessStart.ticks(commandPid) == commandStart;
    }

    void save(Path file) throws IOException {
        String text = "since=" + since
                + "\nlength=" + former.lengthSectors()
                + "\ntable=" + former.spec().params()
                + "\ncommand-done=" + commandDone
                + "\ncommand-pid=" + commandPid
                + "\ncommand-start-ticks=" + commandStart
                + "\nsnapshot-before=" + snapshotBefore
                + "\nsnapshot-block=" + snapshotBlock
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
                    Long.parseLong(values.get("command-pid")),
                    Long.parseLong(values.get("command-start-ticks")),
                    Long.parseLong(values.get("snapshot-before")),
                    Long.parseLong(values.get("snapshot-block")),
                    Boolean.parseBoolean(values.get("invalidated")));
        } catch (IllegalArgumentException e) {
            throw new IOException(file + ": not the record of a rollback: " + e.getMessage(), e);
        }
    }
}
