// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.apply;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.FileReplacement;
import org.dmera.core.linux.NativeText;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamReader;

/**
 * What is known of a target: which origin it holds, as of which era, and which stream is being applied to it. It is kept
 * as lines of {@code name=value} in a file of its own, which is replaced atomically and made durable before the target
 * is touched: at any moment of a crash it says either what the target is, or that it is half-way.
 *
 * @param identity metadata device that the streams came from
 * @param history that they name; 0 when that is not known
 * @param era every write of eras below it is in the target; −1 when the target has never been whole
 * @param sizeBytes of the origin then
 * @param blockSizeBytes of the era device
 * @param applied ids of the streams that made it, the last one last
 * @param targetId {@link TargetCheck#idOf} of the target that this is about; empty before the first stream
 * @param mark what {@link Target#mark} was when the target was left; −1 when the target was not whole then
 * @param pending the stream that is being applied, or null
 */
record TargetState(
        String identity,
        long history,
        long era,
        long sizeBytes,
        long blockSizeBytes,
        List<String> applied,
        String targetId,
        long mark,
        Pending pending) {
    private static final String FIRST_LINE = "era-target-state=1";
    private static final int REMEMBERED_STREAMS = 400;

    /**
     * A stream half-way.
     *
     * @param streamId which one
     * @param name what its file was called, for messages
     * @param chunksDone chunks that are durably on the target
     * @param continues whether it is an increment that fits the target as it was before; not what was forced
     * @param newEra the era that it leads to
     * @param sizeBytes the size that it gives the target
     * @param holeFromBytes from here on the target was a hole when the stream was begun, so zeroes need no writing
     */
    record Pending(
            String streamId,
            String name,
            boolean continues,
            long newEra,
            long sizeBytes,
            long chunksDone,
            long holeFromBytes) {}

    /** No stream has ever been applied. */
    static TargetState none() {
        return new TargetState("", 0, -1, 0, 0, List.of(), "", -1, null);
    }

    boolean isWhole() {
        return pending == null && era >= 0;
    }

    private TargetState with(long size, String target, long markThen, Pending p) {
        return new TargetState(identity, history, era, size, blockSizeBytes, applied, target, markThen, p);
    }

    /** The target before the stream that was interrupted; what that one may have cut off is gone. */
    TargetState beforePending() {
        return pending == null ? this : with(Math.min(sizeBytes, pending.sizeBytes), targetId, -1, null);
    }

    /** Whether the stream is of the origin that the target holds. */
    boolean isOf(StreamHeader h) {
        return identity.equals(line(h.identity()));
    }

    /** What can be a value in the file: a path may have ends of lines in it. */
    private static String line(String text) {
        return text.replace('\n', ' ').replace('\r', ' ');
    }

    String lastApplied() {
        return applied.isEmpty() ? "" : applied.get(applied.size() - 1);
    }

    /** {@code forced}: nobody looked whether the stream fits, as {@link Chain} does. */
    TargetState begin(StreamReader stream, String target, boolean forced, long holeFromBytes) {
        StreamHeader h = stream.header();
        Pending p = new Pending(
                h.idText(), stream.name(), !forced && !h.isFull(), h.newEra(), h.originSizeBytes(), 0, holeFromBytes);
        return with(beforePending().sizeBytes, target, -1, p);
    }

    TargetState marked(long newMark) {
        return with(sizeBytes, targetId, newMark, pending);
    }

    TargetState progressed(long chunksDone) {
        Pending p = new Pending(
                pending.streamId,
                pending.name,
                pending.continues,
                pending.newEra,
                pending.sizeBytes,
                chunksDone,
                pending.holeFromBytes);
        return with(sizeBytes, targetId, mark, p);
    }

    TargetState finished(StreamHeader h, long mark) {
        List<String> ids = new ArrayList<>(h.isFull() ? List.of() : applied);
        ids.add(h.idText());
        if (ids.size() > REMEMBERED_STREAMS) {
            ids.remove(0);
        }
        return new TargetState(
                line(h.identity()),
                h.historyAfter(history),
                h.newEra(),
                h.originSizeBytes(),
                h.blockSizeBytes(),
                List.copyOf(ids),
                targetId,
                mark,
                null);
    }

    /** Reads the state, or {@link #none} when there is no such file. */
    static TargetState read(Path file) throws IOException {
        if (!FileErrors.isThere(file)) {
            return none();
        }
        Map<String, String> fields = new LinkedHashMap<>();
        BufferedReader lines = new BufferedReader(new StringReader(NativeText.of(FileErrors.readAllBytes(file))));
        String first = lines.readLine();
        if (!FIRST_LINE.equals(first)) {
            throw new IOException(file + ": not a target's state file: its first line is not \"" + FIRST_LINE + "\"");
        }
        String line;
        while ((line = lines.readLine()) != null) {
            int equals = line.indexOf('=');
            if (equals > 0) {
                fields.put(line.substring(0, equals), line.substring(equals + 1));
            }
        }
        if (!"yes".equals(fields.get("end"))) {
            throw new IOException(file + ": the target's state file is cut: its last line is not \"end=yes\" (remove"
                    + " it, and begin with a full stream)");
        }
        try {
            String pendingId = fields.get("pending-stream");
            Pending p = pendingId == null
                    ? null
                    : new Pending(
                            pendingId,
                            fields.get("pending-name"),
                            "yes".equals(fields.get("pending-continues")),
                            number(fields, "pending-new-era"),
                            number(fields, "pending-size"),
                            number(fields, "pending-chunks-done"),
                            number(fields, "pending-hole-from"));
            String ids = fields.get("applied-streams");
            return new TargetState(
                    fields.get("identity"),
                    Long.parseUnsignedLong(fields.getOrDefault("history", "0"), 16),
                    number(fields, "era"),
                    number(fields, "origin-size"),
                    number(fields, "block-size"),
                    ids.isEmpty() ? List.of() : List.of(ids.split(",", -1)),
                    fields.getOrDefault("target", ""),
                    number(fields, "mark"),
                    p);
        } catch (NumberFormatException | NullPointerException e) {
            throw new IOException(file + ": the target's state file lacks a field or has a bad number", e);
        }
    }

    private static long number(Map<String, String> fields, String name) {
        return Long.parseLong(fields.get(name));
    }

    /** Replaces the file, durably. */
    void write(Path file) throws IOException {
        StringBuilder s = new StringBuilder(FIRST_LINE).append('\n');
        put(s, "identity", identity);
        put(s, "history", Long.toHexString(history));
        put(s, "era", era);
        put(s, "origin-size", sizeBytes);
        put(s, "block-size", blockSizeBytes);
        put(s, "applied-streams", String.join(",", applied));
        put(s, "target", targetId);
        put(s, "mark", mark);
        if (pending != null) {
            put(s, "pending-stream", pending.streamId);
            put(s, "pending-name", pending.name);
            put(s, "pending-continues", pending.continues ? "yes" : "no");
            put(s, "pending-new-era", pending.newEra);
            put(s, "pending-size", pending.sizeBytes);
            put(s, "pending-chunks-done", pending.chunksDone);
            put(s, "pending-hole-from", pending.holeFromBytes);
        }
        put(s, "end", "yes");
        FileReplacement.replace(file, NativeText.bytes(s.toString()));
    }

    private static void put(StringBuilder to, String name, Object value) {
        to.append(name).append('=').append(line(value.toString())).append('\n');
    }
}
