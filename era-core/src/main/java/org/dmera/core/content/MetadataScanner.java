// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.check.PlacesCheck;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Eras;
import org.dmera.core.read.ArrayScanner;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.read.ReadOnce;
import org.dmera.core.read.WritesetScanner;

/** Streams the whole content of metadata, in order and in constant memory, to a {@link MetadataVisitor}. */
public final class MetadataScanner implements WritesetScanner.WritesetVisitor {
    private final MetadataVisitor visitor;
    private final WritesetScanner writesets;
    private final Words words = new Words();

    private MetadataScanner(ReadOnce reading, MetadataVisitor visitor) {
        this.visitor = visitor;
        this.writesets = new WritesetScanner(reading);
    }

    /**
     * Streams what {@code roots} lead to.
     *
     * @throws DamagedMetadataException when something can't be read; the visitor has had what came before it
     */
    public static void scan(BlockDevice device, MetadataRoots roots, MetadataVisitor visitor) throws IOException {
        ReadOnce reading = new ReadOnce(device);
        MetadataScanner scanner = new MetadataScanner(reading, visitor);
        visitor.superblock(roots.dataBlockSizeSectors(), roots.nrBlocks(), roots.currentEra());
        scanner.writesets.forEach(roots, scanner);
        visitor.beginEraArray();
        new ArrayScanner(reading).scanEras(roots, 0, roots.nrBlocks(), scanner.new EraPasser(roots.lastArchived()));
        visitor.endEraArray();
        PlacesCheck.refuse(device, roots);
        visitor.end();
    }

    @Override
    public void writeset(long era, long nrBits, long root) throws IOException {
        visitor.beginWriteset(era, nrBits);
        writesets.scanBits(era, nrBits, root, words);
        visitor.endWriteset();
    }

    /** Passes words on. */
    private final class Words implements ArrayScanner.ValueVisitor {
        @Override
        public void values(long firstIndex, ByteBuffer buffer, int offset, int count) throws IOException {
            visitor.words(firstIndex, buffer, offset, count);
        }
    }

    /** Passes eras on. */
    private final class EraPasser implements ArrayScanner.ValueVisitor {
        private final long lastArchived;

        EraPasser(long lastArchived) {
            this.lastArchived = lastArchived;
        }

        @Override
        public void values(long firstIndex, ByteBuffer buffer, int offset, int count) throws IOException {
            Eras.requireDigested(buffer, offset, count, firstIndex, lastArchived);
            visitor.eras(firstIndex, buffer, offset, count);
        }
    }
}
