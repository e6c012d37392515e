// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ReadableByteChannel;

/**
 * Reads XML that has exactly the shape in which era_dump writes it, ten times as fast as a parser could.
 *
 * <p>There, the next line is known but for a value: so it isn't parsed, it is compared, eight bytes at a time, with what
 * it should be. The first line that differs in a single byte ends the scan, and a parser goes on from there; whatever
 * has been taken until then is XML of which no parser could make anything else.
 */
final class DumpScanner {
    private static final int BUFFER_BYTES = 1 << 20;
    /** Longer than any line of the shape: the buffer is followed by so many zeroes at the end of the input. */
    private static final int LINE_BYTES = 160;

    private static final long BIT_0 = Ascii.word("    <bit");
    private static final long BLOCK = Ascii.word(" block=\"");
    private static final long VALUE = Ascii.word(" value=\"");
    private static final long TRUE = Ascii.word("true\"/>\n");
    private static final long FALSE = Ascii.word("false\"/>");
    private static final long ERA_0 = Ascii.word("    <era");
    private static final long ERA = Ascii.word(" era=\"");
    private static final long ERA_MASK = (1L << 48) - 1;
    private static final int END_OF_ERA = (int) Ascii.word("\"/>\n");

    private final ReadableByteChannel in;
    private final ContentGatherer content;
    private final ByteBuffer buffer =
            ByteBuffer.allocateDirect(BUFFER_BYTES + LINE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private final BlockNumber number = new BlockNumber();
    private int at;
    private int limit;
    private boolean ended;
    private XmlPosition position = XmlPosition.START;
    private long lines;

    /** The number that {@link #number()} found. */
    private long parsed;

    DumpScanner(ReadableByteChannel in, ContentGatherer content) {
        this.in = in;
        this.content = content;
    }

    /**
     * Reads as far as the shape holds.
     *
     * @return whether that was the whole document
     */
    boolean scan() throws IOException {
        boolean more = true;
        while (more) {
            refill(LINE_BYTES);
            more = switch (position) {
                case START -> superblock();
                case IN_SUPERBLOCK -> writesetOrEraArray();
                case IN_WRITESET -> bits();
                case IN_ERA_ARRAY -> eras();
                case END -> false;
            };
        }
        return position == XmlPosition.END && at == limit && ended;
    }

    /** Where the shape was left. */
    XmlPosition position() {
        return position;
    }

    /** Lines read. */
    long lines() {
        return lines;
    }

    /** What was read from the channel and not taken. */
    byte[] rest() {
        byte[] rest = new byte[limit - at];
        buffer.get(at, rest);
        return rest;
    }

    /** Sees to it that {@code bytes} more can be looked at, or all there are, with a line's worth of zeroes after. */
    private void refill(int bytes) throws IOException {
        if (limit - at >= bytes || ended) {
            return;
        }
        buffer.limit(limit).position(at);
        buffer.compact();
        limit -= at;
        at = 0;
        buffer.limit(BUFFER_BYTES);
        while (limit < bytes && !ended) {
            ended = in.read(buffer) < 0;
            limit = buffer.position();
        }
        buffer.clear();
        for (int i = 0; i < LINE_BYTES; i++) {
            buffer.put(limit + i, (byte) 0);
        }
    }

    private boolean take(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (buffer.get(at + i) != text.charAt(i)) {
                return false;
            }
        }
        at += text.length();
        return true;
    }

    /** Takes a number of at most ten digits to {@link #parsed}. */
    private boolean number() {
        long value = 0;
        int begin = at;
        for (int digit = buffer.get(at) - '0'; digit >= 0 && digit <= 9; digit = buffer.get(at) - '0') {
            value = value * 10 + digit;
            at++;
            if (at - begin > 10) {
                return false;
            }
        }
        parsed = value;
        return at > begin;
    }

    private boolean superblock() throws IOException {
        int begin = at;
        if (take("<superblock uuid=\"\" block_size=\"") && number()) {
            long blockSize = parsed;
            if (take("\" nr_blocks=\"") && number()) {
                long nrBlocks = parsed;
                if (take("\" current_era=\"") && number() && take("\">\n")) {
                    content.superblock(blockSize, nrBlocks, parsed);
                    return enter(XmlPosition.IN_SUPERBLOCK);
                }
            }
        }
        return leave(begin);
    }

    private boolean enter(XmlPosition position) {
        this.position = position;
        lines++;
        return true;
    }

    private boolean leave(int begin) {
        at = begin;
        return false;
    }

    private boolean writesetOrEraArray() throws IOException {
        int begin = at;
        if (take("  <writeset era=\"") && number()) {
            long era = parsed;
            if (take("\" nr_bits=\"") && number() && take("\">\n")) {
                content.beginWriteset(era, parsed);
                return enter(XmlPosition.IN_WRITESET);
            }
            return leave(begin);
        }
        at = begin;
        if (take("  <era_array>\n")) {
            content.beginEraArray();
            return enter(XmlPosition.IN_ERA_ARRAY);
        }
        if (take("</superblock>\n")) {
            return enter(XmlPosition.END);
        }
        return leave(begin);
    }

    private boolean bits() throws IOException {
        if ((content.nextBit() & 63) == 0) {
            wholeWords();
            refill(LINE_BYTES);
        }
        int begin = at;
        if (take("    <bit block=\"") && number()) {
            long block = parsed;
            boolean value = take("\" value=\"true\"/>\n");
            if (block != content.nextBit() || block >= content.nrBits() || !value && !take("\" value=\"false\"/>\n")) {
                return leave(begin);
            }
            content.bit(block, value);
            lines++;
            return true;
        }
        at = begin;
        if (take("    <marked block_begin=\"") && number()) {
            long block = parsed;
            if (take("\" len=\"") && number() && take("\"/>\n")) {
                content.marked(block, parsed);
                lines++;
                return true;
            }
            return leave(begin);
        }
        at = begin;
        if (take("  </writeset>\n")) {
            content.endWriteset();
            return enter(XmlPosition.IN_SUPERBLOCK);
        }
        return leave(begin);
    }

    /** Takes lines in lots of 64, as long as they are the next 64 bits. */
    private void wholeWords() throws IOException {
        long block = content.nextBit();
        number.set(block);
        for (; block + 64 <= content.nrBits(); block += 64) {
            refill(64 * LINE_BYTES);
            int begin = at;
            long word = word();
            if (at == begin) {
                return;
            }
            content.bits64(word);
            lines += 64;
        }
    }

    /** Takes 64 lines, or none: then {@link #at} stays where it was. */
    private long word() {
        ByteBuffer b = buffer;
        BlockNumber n = number;
        int p = at;
        long word = 0;
        for (int i = 0; i < 64; i++) {
            if (p > limit || b.getLong(p) != BIT_0 || b.getLong(p + 8) != BLOCK) {
                return 0;
            }
            p = pastNumber(b, n, p + 16);
            if (p < 0 || b.getLong(p) != VALUE) {
                return 0;
            }
            long value = b.getLong(p + 8);
            p += 16;
            if (value == TRUE) {
                word |= 1L << i;
            } else if (value == FALSE && b.get(p) == '\n') {
                p++;
            } else {
                return 0;
            }
        }
        at = p;
        return word;
    }

    /** Compares with the expected number and its quotation mark, and counts up; −1 when it differs. */
    private static int pastNumber(ByteBuffer b, BlockNumber n, int at) {
        int low = n.low;
        int length = n.highLength;
        int p = at;
        if (length != 0) {
            if (((b.getLong(p) ^ n.high) & n.highMask) != 0 || b.getInt(p + length) != Ascii.THREE_DIGITS_QUOTE[low]) {
                return -1;
            }
            p += length + 4;
        } else {
            int shortLength = BlockNumber.shortLength(low);
            int unused = 32 - 8 * shortLength;
            if (b.getInt(p) << unused != BlockNumber.shortDigits(low) << unused) {
                return -1;
            }
            p += shortLength;
        }
        n.low = ++low;
        if (low == 1000) {
            n.carry();
        }
        return p;
    }

    private boolean eras() throws IOException {
        long nrBlocks = content.nrBlocks();
        long currentEra = content.currentEra();
        long block = content.nextBlock();
        ByteBuffer b = buffer;
        BlockNumber n = number;
        n.set(block);
        for (; block < nrBlocks; block++) {
            if (limit - at < LINE_BYTES) {
                refill(LINE_BYTES);
            }
            int p = at;
            if (b.getLong(p) != ERA_0 || b.getLong(p + 8) != BLOCK) {
                return false;
            }
            p = pastNumber(b, n, p + 16);
            if (p < 0 || (b.getLong(p) & ERA_MASK) != ERA) {
                return false;
            }
            p += 6;
            int begin = p;
            long era = (long) b.get(p++) - '0';
            if (era < 0 || era > 9) {
                return false;
            }
            for (int digit = b.get(p) - '0'; digit >= 0 && digit <= 9; digit = b.get(p) - '0') {
                era = era * 10 + digit;
                if (++p - begin > 10) {
                    return false;
                }
            }
            if (b.getInt(p) != END_OF_ERA || era > currentEra) {
                return false;
            }
            content.nextEra((int) era);
            lines++;
            at = p + 4;
        }
        refill(LINE_BYTES);
        if (take("  </era_array>\n")) {
            content.endEraArray();
            return enter(XmlPosition.IN_SUPERBLOCK);
        }
        return false;
    }
}
