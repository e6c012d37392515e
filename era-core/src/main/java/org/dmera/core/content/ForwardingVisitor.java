// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Passes everything on to the next visitor, but for what a subclass does about it. */
public class ForwardingVisitor implements MetadataVisitor {
    private final MetadataVisitor next;

    protected ForwardingVisitor(MetadataVisitor next) {
        this.next = next;
    }

    @Override
    public void superblock(long dataBlockSizeSectors, long nrBlocks, long currentEra) throws IOException {
        next.superblock(dataBlockSizeSectors, nrBlocks, currentEra);
    }

    @Override
    public void beginWriteset(long era, long nrBits) throws IOException {
        next.beginWriteset(era, nrBits);
    }

    @Override
    public void words(long firstWord, ByteBuffer buffer, int offset, int count) throws IOException {
        next.words(firstWord, buffer, offset, count);
    }

    @Override
    public void endWriteset() throws IOException {
        next.endWriteset();
    }

    @Override
    public void beginEraArray() throws IOException {
        next.beginEraArray();
    }

    @Override
    public void eras(long firstBlock, ByteBuffer buffer, int offset, int count) throws IOException {
        next.eras(firstBlock, buffer, offset, count);
    }

    @Override
    public void endEraArray() throws IOException {
        next.endEraArray();
    }

    @Override
    public void end() throws IOException {
        next.end();
    }
}
