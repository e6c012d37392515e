// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.content.BlockSet;
import org.dmera.tools.io.OutputPipe;

/**
 * era_invalidate's XML: {@code <range begin="0" end="16"/>} (end exclusive) for two blocks and more, {@code <block
 * block="7"/>} for single ones.
 */
public final class BlocksXmlWriter implements BlockSet.RangeVisitor {
    /** The longest line, with what a store may run past it. */
    private static final int LINE_BYTES = 80;

    private static final long BLOCK_0 = Ascii.word("  <block");
    private static final long BLOCK_1 = Ascii.word(" block=\"");
    private static final long RANGE_0 = Ascii.word("  <range");
    private static final long RANGE_1 = Ascii.word(" begin=\"");
    private static final long END = Ascii.word("\" end=\"");
    private static final int CLOSE = (int) Ascii.word("\"/>\n");

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
        int p = b.position();
        if (endExclusive - begin == 1) {
            b.putLong(p, BLOCK_0);
            b.putLong(p + 8, BLOCK_1);
            p = Ascii.putDecimal(b, p + 16, begin);
        } else {
            b.putLong(p, RANGE_0);
            b.putLong(p + 8, RANGE_1);
            p = Ascii.putDecimal(b, p + 16, begin);
            b.putLong(p, END);
            p = Ascii.putDecimal(b, p + 7, endExclusive);
        }
        b.putInt(p, CLOSE);
        b.position(p + 4);
    }
}
