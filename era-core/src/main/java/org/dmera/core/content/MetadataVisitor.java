// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * The content of metadata as a stream, free of how it is laid out: what dumping, restoring and repairing pass along.
 *
 * <p>Order of the calls: {@link #superblock}; for each writeset, by ascending era, {@link #beginWriteset}, its
 * {@link #words} in order without a gap, {@link #endWriteset}; {@link #beginEraArray}, {@link #eras} in order without a
 * gap, {@link #endEraArray}; {@link #end}. Values come in runs, little-endian, in a buffer that is valid only during the
 * call.
 */
public interface MetadataVisitor {
    /**
     * The sizes and the era.
     *
     * @param dataBlockSizeSectors sectors in an origin block
     * @param nrBlocks origin blocks: as many eras follow
     * @param currentEra 0 to 2^32 − 1
     */
    void superblock(long dataBlockSizeSectors, long nrBlocks, long currentEra) throws IOException;

    /** A writeset of {@code nrBits} bits, of which ceil(nrBits / 64) words follow. */
    void beginWriteset(long era, long nrBits) throws IOException;

    /**
     * Words {@code firstWord} to {@code firstWord + count − 1} of the writeset, 8 bytes each from {@code offset} on. Bits
     * past nrBits in the last word mean nothing.
     */
    void words(long firstWord, ByteBuffer buffer, int offset, int count) throws IOException;

    void endWriteset() throws IOException;

    void beginEraArray() throws IOException;

    /**
     * The eras (u32) of origin blocks {@code firstBlock} to {@code firstBlock + count − 1}, 4 bytes each from
     * {@code offset} on.
     */
    void eras(long firstBlock, ByteBuffer buffer, int offset, int count) throws IOException;

    void endEraArray() throws IOException;

    /** The end of the content. */
    void end() throws IOException;
}
