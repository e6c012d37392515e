// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.content.ContentException;
import org.dmera.core.content.MetadataVisitor;

/**
 * Gathers single bits, runs of bits and eras into the long runs that a {@link MetadataVisitor} takes: it gives the
 * elements of metadata XML their meaning. Both readers of XML speak to it, so they can't differ in meaning.
 *
 * <p>Blocks must ascend within a writeset and within the era array. Bits that are not named are not set; an era that is
 * missing is an error, because reading it as "never" could lose a write. Problems are {@link ContentException}s.
 */
public final class ContentGatherer {
    private static final int WORDS = 4096;
    private static final int ERAS = 8192;

    private final MetadataVisitor visitor;
    private final ByteBuffer words = buffer(WORDS * Long.BYTES);
    private final ByteBuffer eras = buffer(ERAS * Integer.BYTES);

    private long nrBlocks;
    private long currentEra;

    private long era;
    private long nrBits;
    /** Bits before this one are settled; those of its word are in {@link #word}. */
    private long nextBit;

    private long word;
    private int wordsHeld;
    private long wordsPassed;

    private long nextBlock;
    private int erasHeld;
    private boolean eraArrayDone;

    public ContentGatherer(MetadataVisitor visitor) {
        this.visitor = visitor;
    }

    private static ByteBuffer buffer(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    public void superblock(long blockSizeSectors, long nrBlocks, long currentEra) throws IOException {
        this.nrBlocks = nrBlocks;
        this.currentEra = currentEra;
        visitor.superblock(blockSizeSectors, nrBlocks, currentEra);
    }

    public void beginWriteset(long era, long nrBits) throws IOException {
        if (eraArrayDone) {
            // The visitor's order; nobody writes them the other way round.
            throw new ContentException("a writeset after the era array");
        }
        this.era = era;
        this.nrBits = nrBits;
        nextBit = 0;
        word = 0;
        wordsHeld = 0;
        wordsPassed = 0;
        visitor.beginWriteset(era, nrBits);
    }

    /** Bits of the writeset that is open. */
    public long nrBits() {
        return nrBits;
    }

    /** The lowest bit that may still be named. */
    long nextBit() {
        return nextBit;
    }

    void bit(long block, boolean value) throws IOException {
        if (block < nextBit || block >= nrBits) {
            throw badBit(block);
        }
        fill(block, false);
        fill(block + 1, value);
    }

    public void marked(long begin, long length) throws IOException {
        if (begin < nextBit || begin >= nrBits) {
            throw badBit(begin);
        }
        if (length < 1 || length > nrBits - begin) {
            throw new ContentException("writeset of era " + era + ": a run of " + length + " blocks from block " + begin
                    + " on, nr_bits is " + nrBits);
        }
        fill(begin, false);
        fill(begin + length, true);
    }

    private ContentException badBit(long block) {
        return new ContentException("writeset of era " + era + ": block " + block
                + (block >= nrBits
                        ? " is not one of its " + nrBits + " bits"
                        : " was named already, or comes after a higher one"));
    }

    /** Settles all bits below {@code end}. */
    private void fill(long end, boolean value) throws IOException {
        while (nextBit < end) {
            int shift = (int) nextBit & 63;
            int count = (int) Math.min(64 - shift, end - nextBit);
            if (value) {
                word |= (count == 64 ? -1L : (1L << count) - 1) << shift;
            }
            nextBit += count;
            if (shift + count == 64) {
                pushWord(word);
                word = 0;
            }
        }
    }

    /** The next 64 bits at once; only when {@link #nextBit} is a multiple of 64, and 64 bits are left. */
    void bits64(long bits) throws IOException {
        nextBit += 64;
        pushWord(bits);
    }

    private void pushWord(long bits) throws IOException {
        words.putLong(8 * wordsHeld, bits);
        if (++wordsHeld == WORDS) {
            passWords();
        }
    }

    private void passWords() throws IOException {
        if (wordsHeld > 0) {
            visitor.words(wordsPassed, words, 0, wordsHeld);
            wordsPassed += wordsHeld;
            wordsHeld = 0;
        }
    }

    public void endWriteset() throws IOException {
        fill(nrBits, false);
        if ((nrBits & 63) != 0) {
            pushWord(word);
        }
        passWords();
        visitor.endWriteset();
    }

    public void beginEraArray() throws IOException {
        if (eraArrayDone) {
            throw new ContentException("a second era array");
        }
        nextBlock = 0;
        erasHeld = 0;
        visitor.beginEraArray();
    }

    /** The block whose era comes next. */
    long nextBlock() {
        return nextBlock;
    }

    long nrBlocks() {
        return nrBlocks;
    }

    long currentEra() {
        return currentEra;
    }

    void era(long block, long era) throws IOException {
        if (block != nextBlock) {
            throw new ContentException("era array: block " + block + " where block " + nextBlock + " was expected");
        }
        if (block >= nrBlocks) {
            throw new ContentException("era array: block " + block + ", nr_blocks is " + nrBlocks);
        }
        if (era > currentEra) {
            throw new ContentException(
                    "era array: block " + block + " has era " + era + ", above the current era, " + currentEra);
        }
        nextEra((int) era);
    }

    /** As {@link #era} for {@link #nextBlock}, checked by the caller. */
    public void nextEra(int era) throws IOException {
        eras.putInt(4 * erasHeld, era);
        nextBlock++;
        if (++erasHeld == ERAS) {
            passEras();
        }
    }

    private void passEras() throws IOException {
        if (erasHeld > 0) {
            visitor.eras(nextBlock - erasHeld, eras, 0, erasHeld);
            erasHeld = 0;
        }
    }

    public void endEraArray() throws IOException {
        passEras();
        if (nextBlock < nrBlocks) {
            throw new ContentException("era array: it ends before block " + nextBlock + ", nr_blocks is " + nrBlocks);
        }
        eraArrayDone = true;
        visitor.endEraArray();
    }

    public void end() throws IOException {
        if (!eraArrayDone) {
            throw new ContentException("the era array is missing");
        }
        visitor.end();
    }
}
