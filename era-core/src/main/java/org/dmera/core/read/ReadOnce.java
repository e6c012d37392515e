// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.util.BitSet;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.DamageKind;

/**
 * One reading of the trees by somebody who uses what is read: no block is in two places, since live trees never share
 * blocks among themselves. It costs a bit a block.
 */
public final class ReadOnce implements Visits {
    private final BlockSource source;
    private final BitSet read = new BitSet();

    /** A reading that has visited nothing yet: one for each walk over all trees. */
    public ReadOnce(BlockDevice device) {
        this.source = new BlockSource(device);
    }

    BlockSource source() {
        return source;
    }

    /** The blocks that were visited. */
    BitSet visited() {
        return read;
    }

    @Override
    public Problem use(long blockNr, long key) {
        int b = (int) blockNr;
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
