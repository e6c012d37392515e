// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.tools.io.OutputPipe;

/**
 * era_dump's XML, byte for byte as thin-provisioning-tools 1.x writes it: one element a line, two spaces a level.
 *
 * <p>Nearly all of it is lines of two shapes, each a {@link NumberedLine}. They are made in an array, a few at a time, and
 * go to the output together.
 */
public final class MetadataXmlWriter implements MetadataVisitor {
    /** Lines that are made before they go to the output: as many as a word has bits. */
    private static final int LINES = 64;
    /** Ten bits. */
    private static final int TEN = 0x3ff;

    private final OutputPipe out;
    private final boolean compact;
    private final NumberedLine set = new NumberedLine(bytes("    <bit block=\""), bytes("\" value=\"true\"/>\n"));
    private final NumberedLine unset = new NumberedLine(bytes("    <bit block=\""), bytes("\" value=\"false\"/>\n"));
    private final NumberedLine written = new NumberedLine(bytes("    <era block=\""), new byte[0]);
    private final byte[] lines = new byte[LINES * NumberedLine.MAX_BYTES];
    /** The next block: how many thousands, and what remains. */
    private int thousands;

    private int low;
    private EraTails eraTails;
    private int lastEra;

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
                    setBlock(begin);
                }
                writeBits(out.room(LINES * NumberedLine.MAX_BYTES), word, bits);
            }
        }
    }

    private void writeBits(ByteBuffer b, long word, int bits) {
        byte[] chunk = lines;
        int p = 0;
        long rest = word;
        int at = low;
        // Blocks to go until one whose number ends in 0: ten alike from there on, as most are, go in one piece.
        int untilTen = (10 - at % 10) % 10;
        for (int left = bits; left > 0; ) {
            int count = 1;
            if (untilTen == 0) {
                untilTen = 10;
                int next = (int) rest & TEN;
                if (left >= 10 && (next == 0 || next == TEN) && set.hasTen(at)) {
                    count = 10;
                }
            }
            NumberedLine line = (rest & 1) != 0 ? set : unset;
            p = count == 10 ? line.putTen(chunk, p, at) : line.put(chunk, p, at);
            rest >>>= count;
            left -= count;
            untilTen -= count;
            at += count;
            if (at == 1000) {
                at = 0;
                setThousands(thousands + 1);
            }
        }
        low = at;
        b.put(chunk, 0, p);
    }

    /** Lines are for {@code block} and those after it from now on. */
    private void setBlock(long block) {
        low = (int) (block % 1000);
        setThousands((int) (block / 1000));
    }

    private void setThousands(int thousands) {
        this.thousands = thousands;
        set.setThousands(thousands);
        unset.setThousands(thousands);
        written.setThousands(thousands);
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
        eraTails = new EraTails();
        out.ascii("  <era_array>\n");
    }

    @Override
    public void eras(long firstBlock, ByteBuffer buffer, int offset, int count) throws IOException {
        setBlock(firstBlock);
        for (int done = 0; done < count; ) {
            int n = Math.min(LINES, count - done);
            writeEras(out.room(LINES * NumberedLine.MAX_BYTES), buffer, offset + 4 * done, n);
            done += n;
        }
    }

    private void writeEras(ByteBuffer b, ByteBuffer eras, int offset, int count) {
        byte[] chunk = lines;
        int p = 0;
        int at = low;
        for (int i = 0; i < count; i++) {
            int era = eras.getInt(offset + 4 * i);
            if (era != lastEra || i == 0) {
                written.setTail(eraTails.of(era));
                lastEra = era;
            }
            p = written.put(chunk, p, at);
            if (++at == 1000) {
                at = 0;
                setThousands(thousands + 1);
            }
        }
        low = at;
        b.put(chunk, 0, p);
    }

    @Override
    public void endEraArray() throws IOException {
        out.ascii("  </era_array>\n");
    }

    @Override
    public void end() throws IOException {
        out.ascii("</superblock>\n");
    }

    private static byte[] bytes(String ascii) {
        return ascii.getBytes(StandardCharsets.US_ASCII);
    }

    /** {@code " era="N"/>} and a line end, for eras that were met lately: a device has few, and they repeat. */
    private static final class EraTails {
        private static final int SLOTS = 1024;

        private final byte[][] tails = new byte[SLOTS][];
        private final int[] eras = new int[SLOTS];

        byte[] of(int era) {
            int slot = era & SLOTS - 1;
            if (eras[slot] != era || tails[slot] == null) {
                eras[slot] = era;
                tails[slot] = bytes("\" era=\"" + Integer.toUnsignedString(era) + "\"/>\n");
            }
            return tails[slot];
        }
    }
}
