// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.json;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.read.MetadataRoots;
import org.dmera.tools.io.OutputPipe;

/** era_invalidate's list as one JSON object; ranges are of blocks, their ends exclusive. */
public final class BlocksJsonWriter {
    private BlocksJsonWriter() {}

    /** Writes the whole document. */
    public static void write(BlockSet blocks, MetadataRoots roots, long since, long before, OutputPipe out)
            throws IOException {
        try (JsonGenerator json = new JsonFactory().createGenerator(new PipeStream(out))) {
            json.writeStartObject();
            json.writeNumberField("block_size", roots.dataBlockSizeSectors());
            json.writeNumberField("nr_blocks", roots.nrBlocks());
            json.writeNumberField("current_era", roots.currentEra());
            json.writeNumberField("written_since", since);
            if (before != ChangedBlocks.NO_BOUND) {
                json.writeNumberField("written_before", before);
            }
            json.writeNumberField("changed_blocks", blocks.count());
            json.writeArrayFieldStart("ranges");
            blocks.forEachRange((begin, end) -> {
                json.writeRaw('\n');
                json.writeStartObject();
                json.writeNumberField("begin", begin);
                json.writeNumberField("end", end);
                json.writeEndObject();
            });
            json.writeEndArray();
            json.writeEndObject();
            json.writeRaw('\n');
        }
    }
}
