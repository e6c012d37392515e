// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Locale;
import org.dmera.core.file.FileReplacement;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.control.EraStatus;
import org.dmera.tools.backup.stream.StreamHeader;

/**
 * What monitoring wants to know of a device's backups.
 *
 * @param metadata how full the metadata is; null when the device can't be asked
 * @param now when this is so
 */
record BackupReport(StoredBackups backups, EraStatus metadata, Instant now) {
    /**
     * How a run went.
     *
     * @param success whether it made its backup, and kept what it was to keep
     * @param seconds how long it took
     */
    record Outcome(boolean success, double seconds) {}

    /** As JSON, with a line end. */
    String json() throws IOException {
        StringWriter text = new StringWriter();
        try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
            json.useDefaultPrettyPrinter();
            json.writeStartObject();
            json.writeStringField("device", NativeText.toUnicode(backups.device()));
            json.writeStringField("now", now.toString());
            json.writeFieldName("last_backup");
            if (backups.newest() == null) {
                json.writeNull();
            } else {
                stream(json, backups.newest());
            }
            if (metadata == null) {
                json.writeNullField("metadata");
            } else {
                json.writeObjectFieldStart("metadata");
                json.writeNumberField("used_blocks", metadata.usedBlocks());
                json.writeNumberField("total_blocks", metadata.totalBlocks());
                json.writeNumberField("current_era", metadata.currentEra());
                json.writeEndObject();
            }
            json.writeNumberField("bytes", backups.bytes());
            json.writeArrayFieldStart("streams");
            for (StoredBackups.Stored stream : backups.streams()) {
                stream(json, stream);
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        return text + "\n";
    }

    private void stream(JsonGenerator json, StoredBackups.Stored stream) throws IOException {
        json.writeStartObject();
        json.writeStringField("file", NativeText.toUnicode(stream.name().file().toString()));
        json.writeNumberField("number", stream.name().number());
        json.writeBooleanField("full", stream.name().full());
        json.writeNumberField("bytes", stream.bytes());
        StreamHeader header = stream.header();
        if (header != null) {
            json.writeStringField("id", header.idText());
            json.writeNumberField("base_era", header.baseEra());
            json.writeNumberField("new_era", header.newEra());
            json.writeStringField(
                    "made", Instant.ofEpochSecond(header.createdUnixSeconds()).toString());
            json.writeNumberField("age_seconds", now.getEpochSecond() - header.createdUnixSeconds());
            json.writeNumberField("origin_bytes", header.originSizeBytes());
            json.writeBooleanField("point_in_time", (header.flags() & StreamHeader.POINT_IN_TIME) != 0);
        }
        json.writeStringField("trouble", stream.trouble() == null ? null : NativeText.toUnicode(stream.trouble()));
        json.writeEndObject();
    }

    /** Replaces {@code file}, durably, by metrics in the text format of Prometheus. */
    void writeMetrics(Path file, Outcome outcome) throws IOException {
        Metrics metrics = new Metrics(NativeText.toUnicode(backups.device()));
        metrics.add("run_timestamp_seconds", "When era_backup last ended", now.getEpochSecond());
        metrics.add("run_success", "Whether that run made its backup", outcome.success ? 1 : 0);
        metrics.line(
                "run_duration_seconds", "How long that run took", String.format(Locale.ROOT, "%.3f", outcome.seconds));
        StoredBackups.Stored newest = backups.newest();
        if (newest != null) {
            metrics.add(
                    "last_timestamp_seconds",
                    "When the newest backup was begun",
                    newest.header().createdUnixSeconds());
            metrics.add("last_bytes", "Size of the newest backup", newest.bytes());
            metrics.add(
                    "last_full",
                    "Whether the newest backup is a full copy",
                    newest.name().full() ? 1 : 0);
            metrics.add(
                    "last_era",
                    "Era that the newest backup leads to",
                    newest.header().newEra());
        }
        metrics.add("streams", "Backups in the folder", backups.streams().size());
        metrics.add("bytes", "Size of all backups in the folder", backups.bytes());
        if (metadata != null) {
            metrics.add("metadata_used_blocks", "Metadata blocks in use", metadata.usedBlocks());
            metrics.add("metadata_blocks", "Metadata blocks in all", metadata.totalBlocks());
        }
        FileReplacement.replace(file, metrics.text.toString().getBytes(StandardCharsets.UTF_8));
    }

    /** Gauges with the device as their label. */
    private static final class Metrics {
        final StringBuilder text = new StringBuilder();
        final String label;

        Metrics(String device) {
            label = device.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
        }

        void add(String name, String help, long value) {
            line(name, help, Long.toString(value));
        }

        private void line(String name, String help, String value) {
            String metric = "era_backup_" + name;
            text.append("# HELP ").append(metric).append(' ').append(help).append(".\n");
            text.append("# TYPE ").append(metric).append(" gauge\n");
            text.append(metric)
                    .append("{device=\"")
                    .append(label)
                    .append("\"} ")
                    .append(value)
                    .append('\n');
        }
    }
}
