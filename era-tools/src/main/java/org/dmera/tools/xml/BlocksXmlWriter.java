// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.changes.BlockSet;
import org.dmera.tools.io.OutputPipe;

/**
 * era_invalidate's XML: {@code <range begin="0" end="16"/>} (end exclusive) for two blocks and more, {@code <block
 * block="7"/>} for single ones.
 */
public final class BlocksXmlWriter implements BlockSet.RangeVisitor {
    private static final int LINE_BYTES = 64;

    private final OutputPipe out;

    private BlocksXmlWriter(OutputPipe out) {
        this.out = out;
    }

    /** Writes the whole document. */
    public static void write(BlockSet blocks, OutputPipe out) throws IOException {
        out.ascii("<blocks>\n");
        blocks.forEachRange(new BlocksXmlWriter(out));
        out.ascii("</blocks>\n");
    }

    @Override
    public void range(long begin, long endExclusive) throws IOException {
        ByteBuffer b = out.room(LINE_BYTES);
        if (endExclusive - begin == 1) {
            Ascii.put(b, "  <block block=\"");
            Ascii.putDecimal(b, begin);
        } else {
            Ascii.put(b, "  <range begin=\"");
            Ascii.putDecimal(b, begin);
            Ascii.put(b, "\" end=\"");
            Ascii.putDecimal(b, endExclusive);
        }
        Ascii.put(b, "\"/>\n");
    }
}
