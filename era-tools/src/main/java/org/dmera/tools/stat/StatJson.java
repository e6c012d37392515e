// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.OutputStream;
import java.util.HexFormat;
import org.dmera.core.EraToken;
import org.dmera.core.content.EraHistogram;
import org.dmera.core.linux.NativeText;
import org.dmera.core.read.MetadataRoots;

/** The facts as JSON: every era that has blocks, and what each "since" would copy. */
final class StatJson {
    private StatJson() {}

    static void write(OutputStream out, String device, MetadataFacts facts, EraToken token, boolean snapshot)
            throws IOException {
        MetadataRoots roots = facts.roots();
        try (JsonGenerator json = new JsonFactory().createGenerator(out)) {
            json.useDefaultPrettyPrinter();
            json.writeStartObject();
            json.writeStringField("device", NativeText.toUnicode(device));
            json.writeBooleanField("metadata_snapshot", snapshot);
            json.writeStringField("uuid", HexFormat.of().formatHex(roots.uuid()));
            json.writeNumberField("metadata_blocks", facts.metadataBlocks());
            json.writeNumberField("metadata_blocks_used", facts.metadataUsedBlocks());
            json.writeNumberField("metadata_device_blocks", facts.deviceBlocks());
            json.writeNumberField("block_size", facts.blockBytes());
            json.writeNumberField("nr_blocks", roots.nrBlocks());
            json.writeNumberField("origin_bytes", facts.originBytes());
            json.writeNumberField("current_era", roots.currentEra());
            json.writeStringField("token", token.toString());
            if (roots.metadataSnap() == 0) {
                json.writeNullField("snapshot_block");
            } else {
                json.writeNumberField("snapshot_block", roots.metadataSnap());
            }
            writesets(json, facts);
            eras(json, facts);
            json.writeEndObject();
            json.writeRaw('\n');
        }
    }

    private static void writesets(JsonGenerator json, MetadataFacts facts) throws IOException {
        json.writeArrayFieldStart("writesets");
        for (MetadataFacts.Writeset w : facts.writesets()) {
            json.writeStartObject();
            json.writeNumberField("era", w.era());
            json.writeNumberField("nr_bits", w.nrBits());
            json.writeNumberField("marked", w.marked());
            json.writeBooleanField(
                    "current",
                    facts.roots().hasCurrentWriteset()
                            && w.era() == facts.roots().currentEra());
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    /** Ascending; era 0 means never. */
    private static void eras(JsonGenerator json, MetadataFacts facts) throws IOException {
        EraHistogram histogram = facts.histogram();
        long since = histogram.blocks();
        json.writeArrayFieldStart("eras");
        for (int bin = 0; bin < histogram.bins(); bin++) {
            long blocks = histogram.count(bin);
            if (blocks > 0) {
                json.writeStartObject();
                json.writeNumberField("era", histogram.firstEra(bin));
                if (histogram.lastEra(bin) != histogram.firstEra(bin)) {
                    json.writeNumberField("last_era", histogram.lastEra(bin));
                }
                json.writeNumberField("blocks", blocks);
                json.writeNumberField("bytes", blocks * facts.blockBytes());
                json.writeNumberField("blocks_since", since);
                json.writeNumberField("bytes_since", since * facts.blockBytes());
                json.writeEndObject();
            }
            since -= blocks;
        }
        json.writeEndArray();
    }
}
