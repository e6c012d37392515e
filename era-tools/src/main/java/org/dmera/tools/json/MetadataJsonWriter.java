// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.json;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.tools.io.OutputPipe;

/** A dump as one JSON object: writesets by runs of set bits (begin and length), the era array as numbers. */
public final class MetadataJsonWriter implements MetadataVisitor {
    private final JsonGenerator json;
    private long nrBits;
    private long runBegin;
    private boolean inWritesets;

    public MetadataJsonWriter(OutputPipe out) throws IOException {
        json = new JsonFactory().createGenerator(new PipeStream(out));
    }

    @Override
    public void superblock(long dataBlockSizeSectors, long nrBlocks, long currentEra) throws IOException {
        json.writeStartObject();
        json.writeStringField("uuid", "");
        json.writeNumberField("block_size", dataBlockSizeSectors);
        json.writeNumberField("nr_blocks", nrBlocks);
        json.writeNumberField("current_era", currentEra);
        json.writeArrayFieldStart("writesets");
        inWritesets = true;
    }

    @Override
    public void beginWriteset(long era, long nrBits) throws IOException {
        this.nrBits = nrBits;
        runBegin = -1;
        json.writeRaw('\n');
        json.writeStartObject();
        json.writeNumberField("era", era);
        json.writeNumberField("nr_bits", nrBits);
        json.writeArrayFieldStart("marked");
    }

    @Override
    public void words(long firstWord, ByteBuffer buffer, int offset, int count) throws IOException {
        for (int i = 0; i < count; i++) {
            long word = buffer.getLong(offset + 8 * i);
            long begin = (firstWord + i) * 64;
            if (word == 0 && runBegin < 0) {
                continue;
            }
            int bits = (int) Math.min(64, nrBits - begin);
            for (int bit = 0; bit < bits; bit++) {
                boolean set = (word >>> bit & 1) != 0;
                if (set && runBegin < 0) {
                    runBegin = begin + bit;
                } else if (!set && runBegin >= 0) {
                    writeRun(begin + bit);
                }
            }
        }
    }

    private void writeRun(long end) throws IOException {
        json.writeStartObject();
        json.writeNumberField("block_begin", runBegin);
        json.writeNumberField("len", end - runBegin);
        json.writeEndObject();
        runBegin = -1;
    }

    @Override
    public void endWriteset() throws IOException {
        if (runBegin >= 0) {
            writeRun(nrBits);
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    @Override
    public void beginEraArray() throws IOException {
        if (inWritesets) {
            json.writeEndArray();
            inWritesets = false;
        }
        json.writeArrayFieldStart("era_array");
    }

    @Override
    public void eras(long firstBlock, ByteBuffer buffer, int offset, int count) throws IOException {
        for (int i = 0; i < count; i++) {
            json.writeNumber(Integer.toUnsignedLong(buffer.getInt(offset + 4 * i)));
        }
    }

    @Override
    public void endEraArray() throws IOException {
        json.writeEndArray();
    }

    @Override
    public void end() throws IOException {
        json.writeEndObject();
        json.writeRaw('\n');
        json.close();
    }
}
