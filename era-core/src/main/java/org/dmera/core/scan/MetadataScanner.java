// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.scan;

import java.io.IOException;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.MetadataVisitor;

/** Streams the whole content of metadata, in order and in constant memory, to a {@link MetadataVisitor}. */
public final class MetadataScanner {
    private MetadataScanner() {}

    /**
     * Streams what {@code roots} lead to.
     *
     * @throws DamagedMetadataException when something can't be read; the visitor has had what came before it
     */
    public static void scan(BlockDevice device, MetadataRoots roots, MetadataVisitor visitor) throws IOException {
        BlockReader reader = new BlockReader(device);
        WritesetScanner writesets = new WritesetScanner(reader);
        visitor.superblock(roots.dataBlockSizeSectors(), roots.nrBlocks(), roots.currentEra());
        writesets.forEach(roots, (era, nrBits, root) -> {
            visitor.beginWriteset(era, nrBits);
            writesets.scanBits(era, nrBits, root, visitor::words);
            visitor.endWriteset();
        });
        visitor.beginEraArray();
        new ArrayScanner(reader)
                .scan(roots.eraArrayRoot(), roots.nrBlocks(), ArrayBlock.ERA_BYTES, "era array", visitor::eras);
        visitor.endEraArray();
        visitor.end();
    }
}
