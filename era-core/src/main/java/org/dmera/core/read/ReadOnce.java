// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.util.BitSet;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.DamageKind;

/**
 * One reading of the trees by somebody who uses what is read: no block is in two places, since live trees never share
 * blocks among themselves. It costs a bit a block.
 */
public final class ReadOnce implements Visits {
    private final BlockSource source;
    /** Null when nothing is known of them. */
    private final StoredCounts counts;

    private final BitSet read = new BitSet();

    /** A reading of trees that nobody counts, as far as is known. */
    public ReadOnce(BlockDevice device) {
        this(new BlockSource(device), null);
    }

    private ReadOnce(BlockSource source, StoredCounts counts) {
        this.source = source;
        this.counts = counts;
    }

    /**
     * A reading of the trees of {@code roots} that has visited nothing yet: one for each walk over all of them. It refuses what
     * the space map of the same commit counts as free, for that is an older version, as a rule, of what belongs there, and
     * lacks marks. What a snapshot holds is read while the map changes, so there it isn't looked at.
     *
     * @throws IOException when the reader was interrupted
     */
    public static ReadOnce of(BlockDevice device, MetadataRoots roots) throws IOException {
        BlockSource source = new BlockSource(device);
        return new ReadOnce(source, roots.countsOf(source));
    }

    BlockSource source() {
        return source;
    }

    @Override
    public Problem use(long blockNr, long key) {
        int b = (int) blockNr;
        if (counts != null && counts.count(b) == 0) {
            return Problem.of(
                    DamageKind.COUNT_TOO_LOW,
                    blockNr,
                    "the space map counts it as free: it may be an older version of what belongs there");
        }
        if (read.get(b)) {
            return Problem.of(
                    DamageKind.DOUBLY_USED,
                    blockNr,
                    "it is in use in another place too: a cycle, or a wrong reference");
        }
        read.set(b);
        return null;
    }
}
