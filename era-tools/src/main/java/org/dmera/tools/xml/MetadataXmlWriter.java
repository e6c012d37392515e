// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.format.MetadataVisitor;
import org.dmera.tools.io.OutputPipe;

/**
 * era_dump's XML, byte for byte as thin-provisioning-tools 1.x writes it: one element a line, two spaces a level.
 *
 * <p>Nearly all of it is lines of two shapes. Each is stored as a handful of eight-byte words: constant text, digits
 * from {@link BlockNumber}, constant text; a store may run past the end of its line, the next line covers that.
 */
public final class MetadataXmlWriter implements MetadataVisitor {
    private static final long BIT_0 = Ascii.word("    <bit");
    private static final long BIT_1 = Ascii.word(" block=\"");
    private static final long VALUE = Ascii.word(" value=\"");
    private static final long TRUE = Ascii.word("true\"/>\n");
    private static final long FALSE = Ascii.word("false\"/>");
    private static final long ERA_0 = Ascii.word("    <era");
    private static final long ERA_1 = BIT_1;

    /** The longest line, with what a store may run past it. */
    private static final int LINE_BYTES = 80;
    /** Lines for which room is asked at a time. */
    private static final int LINES = 1024;

    private final OutputPipe out;
    private final boolean compact;
    private final BlockNumber number = new BlockNumber();
    private EraText eraText;

    private long nrBits;
    private long runBegin;

    /** @param compact whether writesets name runs of set bits rather than every bit */
    public MetadataXmlWriter(OutputPipe out, boolean compact) {
        this.out = out;
        this.compact = compact;
    }

    @Override
    public void superblock(long dataBlockSizeSectors, long nrBlocks, long currentEra) throws IOException {
        // The uuid is always empty: the kernel keeps none, and the peers write none.
        out.ascii("<superblock uuid=\"\" block_size=\"");
        out.ascii(Long.toString(dataBlockSizeSectors));
        out.ascii("\" nr_blocks=\"");
        out.ascii(Long.toString(nrBlocks));
        out.ascii("\" current_era=\"");
        out.ascii(Long.toString(currentEra));
        out.ascii("\">\n");
    }

    @Override
    public void beginWriteset(long era, long nrBits) throws IOException {
        this.nrBits = nrBits;
        runBegin = -1;
        out.ascii("  <writeset era=\"");
        out.ascii(Long.toString(era));
        out.ascii("\" nr_bits=\"");
        out.ascii(Long.toString(nrBits));
        out.ascii("\">\n");
    }

    @Override
    public void words(long firstWord, ByteBuffer buffer, int offset, int count) throws IOException {
        for (int i = 0; i < count; i++) {
            long begin = (firstWord + i) * 64;
            int bits = (int) Math.min(64, nrBits - begin);
            long word = buffer.getLong(offset + 8 * i);
            if (compact) {
                addRuns(begin, bits, word);
            } else {
                if (i == 0) {
                    number.set(begin);
                }
                writeBits(out.room(64 * LINE_BYTES), word, bits);
            }
        }
    }

    private void writeBits(ByteBuffer b, long word, int bits) {
        int p = b.position();
        long rest = word;
        for (int i = 0; i < bits; i++) {
            b.putLong(p, BIT_0);
            b.putLong(p + 8, BIT_1);
            p = putNumber(b, p + 16);
            b.putLong(p, VALUE);
            if ((rest & 1) != 0) {
                b.putLong(p + 8, TRUE);
                p += 16;
            } else {
                b.putLong(p + 8, FALSE);
                b.put(p + 16, (byte) '\n');
                p += 17;
            }
            rest >>>= 1;
        }
        b.position(p);
    }

    /** Puts the number and its closing quotation mark, and counts up; returns where it ends. */
    private int putNumber(ByteBuffer b, int at) {
        BlockNumber n = number;
        int low = n.low;
        int p = at;
        int length = n.highLength;
        if (length != 0) {
            b.putLong(p, n.high);
            p += length;
            b.putInt(p, Ascii.THREE_DIGITS_QUOTE[low]);
            p += 4;
        } else {
            b.putInt(p, BlockNumber.shortDigits(low));
            p += BlockNumber.shortLength(low);
        }
        n.low = ++low;
        if (low == 1000) {
            n.carry();
        }
        return p;
    }

    private void addRuns(long begin, int bits, long word) throws IOException {
        long valid = bits == 64 ? -1L : (1L << bits) - 1;
        long set = word & valid;
        if (set == (runBegin < 0 ? 0 : -1L)) {
            return;
        }
        for (int bit = 0; bit < bits; ) {
            long changes = (runBegin < 0 ? set : ~set) & -1L << bit;
            int at = Math.min(bits, Long.numberOfTrailingZeros(changes));
            if (at == bits) {
                return;
            }
            if (runBegin < 0) {
                runBegin = begin + at;
            } else {
                writeRun(begin + at);
            }
            bit = at;
        }
    }

    private void writeRun(long end) throws IOException {
        out.ascii("    <marked block_begin=\"");
        out.ascii(Long.toString(runBegin));
        out.ascii("\" len=\"");
        out.ascii(Long.toString(end - runBegin));
        out.ascii("\"/>\n");
        runBegin = -1;
    }

    @Override
    public void endWriteset() throws IOException {
        if (compact && runBegin >= 0) {
            writeRun(nrBits);
        }
        out.ascii("  </writeset>\n");
    }

    @Override
    public void beginEraArray() throws IOException {
        eraText = new EraText();
        out.ascii("  <era_array>\n");
    }

    @Override
    public void eras(long firstBlock, ByteBuffer buffer, int offset, int count) throws IOException {
        number.set(firstBlock);
        for (int done = 0; done < count; ) {
            int n = Math.min(LINES, count - done);
            writeEras(out.room(LINES * LINE_BYTES), buffer, offset + 4 * done, n);
            done += n;
        }
    }

    private void writeEras(ByteBuffer b, ByteBuffer eras, int offset, int count) {
        EraText text = eraText;
        int p = b.position();
        for (int i = 0; i < count; i++) {
            b.putLong(p, ERA_0);
            b.putLong(p + 8, ERA_1);
            p = putNumber(b, p + 16);
            int slot = text.slot(eras.getInt(offset + 4 * i));
            b.putLong(p, text.first[slot]);
            b.putLong(p + 8, text.second[slot]);
            b.putLong(p + 16, text.third[slot]);
            p += text.length[slot];
        }
        b.position(p);
    }

    @Override
    public void endEraArray() throws IOException {
        out.ascii("  </era_array>\n");
    }

    @Override
    public void end() throws IOException {
        out.ascii("</superblock>\n");
    }

    /** {@code  era="N"/>} and a line end, for eras that were met lately: a device has few, and they repeat. */
    private static final class EraText {
        private static final int SLOTS = 1024;

        final long[] first = new long[SLOTS];
        final long[] second = new long[SLOTS];
        final long[] third = new long[SLOTS];
        final int[] length = new int[SLOTS];
        private final int[] eras = new int[SLOTS];

        int slot(int era) {
            int slot = era & SLOTS - 1;
            if (eras[slot] != era || length[slot] == 0) {
                fill(slot, era);
            }
            return slot;
        }

        private void fill(int slot, int era) {
            String text = " era=\"" + Integer.toUnsignedString(era) + "\"/>\n";
            eras[slot] = era;
            first[slot] = Ascii.word(text, 0);
            second[slot] = Ascii.word(text, 8);
            third[slot] = Ascii.word(text, 16);
            length[slot] = text.length();
        }
    }
}
