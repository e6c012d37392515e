// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cache;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.cache.CacheMetadata;
import org.dmera.core.cache.StaleCacheBlocks;
import org.dmera.core.read.MetadataRoots;
import org.dmera.tools.io.OutputPipe;
import org.dmera.tools.json.PipeStream;
import org.dmera.tools.xml.Ascii;

/** The forms of a list of cache blocks that have to go. */
final class CacheBlocksWriter {
    /** The longest line of any form. */
    private static final int LINE_BYTES = 160;

    private CacheBlocksWriter() {}

    /** What the message {@code invalidate_cblocks} takes: {@code N} or {@code BEGIN-END}, the end exclusive, one a line. */
    static void text(StaleCacheBlocks stale, OutputPipe pipe) throws IOException {
        stale.blocks().forEachRange((begin, end) -> {
            ByteBuffer b = pipe.room(LINE_BYTES);
            Ascii.putDecimal(b, begin);
            if (end - begin > 1) {
                b.put((byte) '-');
                Ascii.putDecimal(b, end);
            }
            b.put((byte) '\n');
        });
    }

    /** One element for each cache block, as the peer's cache_dump has them. */
    static void xml(StaleCacheBlocks stale, CacheMetadata cache, OutputPipe pipe) throws IOException {
        pipe.ascii("<cache block_size=\"" + cache.blockSizeSectors() + "\" nr_cache_blocks=\"" + cache.cacheBlocks()
                + "\" mapped=\"" + stale.mapped() + "\" invalidate=\"" + stale.count() + "\" keep=\"" + stale.kept()
                + "\" dirty=\"" + stale.dirty() + "\">\n");
        stale.forEach((cacheBlock, originBlock, dirty) -> {
            ByteBuffer b = pipe.room(LINE_BYTES);
            put(b, "  <mapping cache_block=\"");
            Ascii.putDecimal(b, cacheBlock);
            put(b, "\" origin_block=\"");
            Ascii.putDecimal(b, originBlock);
            put(b, dirty ? "\" dirty=\"true\"/>\n" : "\" dirty=\"false\"/>\n");
        });
        pipe.ascii("</cache>\n");
    }

    private static void put(ByteBuffer b, String text) {
        for (int i = 0; i < text.length(); i++) {
            b.put((byte) text.charAt(i));
        }
    }

    /** One object: the figures, and an object for each cache block. */
    static void json(StaleCacheBlocks stale, CacheMetadata cache, MetadataRoots roots, long since, OutputPipe pipe)
            throws IOException {
        try (JsonGenerator json = new JsonFactory().createGenerator(new PipeStream(pipe))) {
            json.writeStartObject();
            json.writeNumberField("cache_block_size", cache.blockSizeSectors());
            json.writeNumberField("nr_cache_blocks", cache.cacheBlocks());
            json.writeNumberField("era_block_size", roots.dataBlockSizeSectors());
            json.writeNumberField("current_era", roots.currentEra());
            json.writeNumberField("written_since", since);
            json.writeNumberField("mapped", stale.mapped());
            json.writeNumberField("invalidate", stale.count());
            json.writeNumberField("keep", stale.kept());
            json.writeNumberField("dirty", stale.dirty());
            json.writeArrayFieldStart("mappings");
            stale.forEach((cacheBlock, originBlock, dirty) -> {
                json.writeRaw('\n');
                json.writeStartObject();
                json.writeNumberField("cache_block", cacheBlock);
                json.writeNumberField("origin_block", originBlock);
                json.writeBooleanField("dirty", dirty);
                json.writeEndObject();
            });
            json.writeEndArray();
            json.writeEndObject();
            json.writeRaw('\n');
        }
    }
}
