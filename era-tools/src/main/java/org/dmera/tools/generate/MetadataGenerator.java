// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.generate;

import java.io.IOException;
import java.util.SplittableRandom;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.tools.xml.ContentGatherer;

/**
 * Makes up the history of a device: in each era a share of its blocks ({@code density}) was written, in runs whose mean
 * length is {@code clustering}; the last {@code writesets} eras are not digested yet, those before are in the era array.
 *
 * @param blockSizeSectors sectors in an origin block
 * @param nrBlocks origin blocks
 * @param currentEra the current era; the writesets are of the eras up to it
 * @param writesets archived writesets
 * @param density share of the blocks that an era writes, above 0 and at most 1
 * @param clustering mean blocks in a run of writes, at least 1
 * @param seed the same seed gives the same metadata
 */
public record MetadataGenerator(
        long blockSizeSectors,
        long nrBlocks,
        long currentEra,
        long writesets,
        double density,
        double clustering,
        long seed) {

    /** Streams it. */
    public void generate(MetadataVisitor visitor) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        ContentGatherer out = new ContentGatherer(visitor);
        out.superblock(blockSizeSectors, nrBlocks, currentEra);
        long firstWriteset = currentEra - writesets + 1;
        for (long era = firstWriteset; era <= currentEra; era++) {
            writeset(out, era, random.split());
        }
        out.beginEraArray();
        eras(out, firstWriteset - 1, random.split());
        out.endEraArray();
        out.end();
    }

    private void writeset(ContentGatherer out, long era, SplittableRandom random) throws IOException {
        out.beginWriteset(era, nrBlocks);
        double gap = clustering * (1 - density) / density;
        long block = 0;
        while (block < nrBlocks) {
            // A gap may be empty: then two runs make one, and none is needed where everything is written.
            block += gap == 0 ? 0 : runLength(random, gap + 1) - 1;
            if (block < nrBlocks) {
                long length = Math.min(runLength(random, clustering), nrBlocks - block);
                out.marked(block, length);
                block += length;
            }
        }
        out.endWriteset();
    }

    /** The last of the digested eras in which a run was written: era e − k with the chance of k misses, then a hit. */
    private void eras(ContentGatherer out, long lastDigested, SplittableRandom random) throws IOException {
        long block = 0;
        while (block < nrBlocks) {
            long age = density >= 1 ? 0 : runLength(random, 1 / density) - 1;
            int era = (int) Math.max(0, lastDigested - age);
            long end = Math.min(nrBlocks, block + runLength(random, clustering));
            for (; block < end; block++) {
                out.nextEra(era);
            }
        }
    }

    /** Geometric: at least 1, {@code mean} on average. */
    private static long runLength(SplittableRandom random, double mean) {
        if (mean <= 1) {
            return 1;
        }
        double length = Math.log(1 - random.nextDouble()) / Math.log(1 - 1 / mean);
        return 1 + (long) Math.min(length, 1L << 40);
    }
}
