// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import org.dmera.core.file.Folders;
import org.dmera.tools.backup.CopyPlan;
import org.dmera.tools.backup.StreamCheck;
import org.dmera.tools.backup.StreamText;
import org.dmera.tools.backup.apply.StreamMerge;
import org.dmera.tools.backup.copy.StreamOutput;
import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamReader;

/**
 * Keeps the newest increments of a device, and one full stream before them, into which the older ones are merged.
 *
 * <p>The order makes it safe to be killed anywhere: the merged stream is made beside the others, under the number of the
 * newest that is in it, made durable, read back, and only then are those deleted that it replaces, newest first. At each
 * moment the names in their order are a chain that leads to the same states: a full stream fits wherever it stands, and the
 * increment that is in it fits behind it once more. The next run finds what is left to delete.
 *
 * @param increments how many are kept
 */
record Retention(Path folder, String device, int increments, int zstdLevel, Backup.Log log, Retention.Steps steps) {
    /** Called before each step that changes something, for tests. */
    interface Steps {
        void before(String step) throws IOException;
    }

    /** Does it; when streams are damaged or don't follow one another it fails, and none is deleted. */
    void keep() throws IOException {
        List<StreamNames.Named> all = own();
        List<Long> numbers =
                all.stream().map(StreamNames.Named::number).distinct().toList();
        if (numbers.size() <= increments + 1) {
            return;
        }
        long base = numbers.get(numbers.size() - 1 - increments);
        List<StreamNames.Named> merged = toMerge(all, base);
        Path full = folder.resolve(StreamNames.of(device, base, true));
        if (merged.size() > 1) {
            merge(merged, full);
        } else {
            full = merged.get(0).file();
        }
        // Also one that was there: without those before it nothing would be left if it is damaged.
        StreamCheck.requireSound(full);
        List<StreamNames.Named> replaced = new ArrayList<>();
        for (StreamNames.Named stream : all) {
            if (stream.number() <= base && !stream.file().equals(full)) {
                replaced.add(stream);
            }
        }
        Collections.reverse(replaced);
        for (StreamNames.Named stream : replaced) {
            steps.before("delete " + stream.file().getFileName());
            Files.delete(stream.file());
            // So that the order of deletions survives a power cut.
            Folders.syncFolderOf(stream.file());
        }
    }

    /** Those of the metadata that the newest is of: another device of the same name may have its own beside them. */
    private List<StreamNames.Named> own() throws IOException {
        List<StreamNames.Named> own = StreamNames.all(folder, device);
        if (!own.isEmpty()) {
            String identity = identity(own.get(own.size() - 1));
            Iterator<StreamNames.Named> each = own.iterator();
            while (each.hasNext()) {
                if (!identity(each.next()).equals(identity)) {
                    each.remove();
                }
            }
        }
        return own;
    }

    private static String identity(StreamNames.Named name) throws IOException {
        try (StreamReader stream = StreamReader.open(name.file().toString(), null)) {
            return stream.header().identity();
        }
    }

    /** The last full stream up to number {@code base}, and what follows it up to there. */
    private List<StreamNames.Named> toMerge(List<StreamNames.Named> all, long base) throws IOException {
        List<StreamNames.Named> chain = new ArrayList<>();
        for (StreamNames.Named stream : all) {
            if (stream.number() > base) {
                break;
            }
            if (stream.full()) {
                chain.clear();
            }
            boolean isInThatBefore =
                    !chain.isEmpty() && chain.get(chain.size() - 1).number() == stream.number();
            if (stream.full() || !chain.isEmpty() && !isInThatBefore) {
                chain.add(stream);
            }
        }
        if (chain.isEmpty()) {
            throw new IOException(
                    folder + ": nothing is merged: there is no full stream of " + device + " up to number " + base);
        }
        return chain;
    }

    private void merge(List<StreamNames.Named> chain, Path full) throws IOException {
        List<StreamReader> streams = new ArrayList<>();
        try {
            for (StreamNames.Named stream : chain) {
                StreamReader reader = StreamReader.open(stream.file().toString(), null);
                streams.add(reader);
                reader.requireComplete();
            }
            StreamHeader header = StreamMerge.header(streams, CopyPlan.newStreamId());
            StreamFooter footer;
            StreamNames.requireFree(full);
            steps.before("write " + full.getFileName());
            try (StreamOutput out = new StreamOutput(full)) {
                footer = StreamMerge.merge(streams, header, out, zstdLevel, bytes -> {});
                steps.before("rename " + full.getFileName());
                out.commit();
            }
            log.say(full + ": merged of " + chain.size() + " streams: " + StreamText.of(header, footer));
        } finally {
            for (StreamReader stream : streams) {
                stream.close();
            }
        }
    }
}
