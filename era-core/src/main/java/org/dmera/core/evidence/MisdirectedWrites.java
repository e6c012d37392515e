// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.nio.ByteBuffer;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.dmera.core.format.DamageKind;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.Problem;
import org.dmera.core.read.StoredCounts;

/**
 * Writes that went to another block's place. What they have overwritten shows it: under a valid checksum it has the number
 * of some other block. That one then holds what it held before the write, or what was written to it since; nothing shows which,
 * so it can't be relied on.
 */
public final class MisdirectedWrites {
    private MisdirectedWrites() {}

    static Problem problem(long blockNr) {
        return Problem.of(
                DamageKind.MISDIRECTED_WRITE,
                blockNr,
                "a write of it went to another block's place, so this may be an older version");
    }

    /**
     * Finds the blocks in use of which a write went elsewhere.
     *
     * @param counts what the space map stores, or null when that is not known
     * @param damages what walks with {@code reader} have come across; where a write has gone is among it
     * @return the block that each was meant for, and where it is
     */
    public static Map<Integer, Long> find(BlockReader reader, StoredCounts counts, Stream<Damage> damages) {
        Map<Integer, Long> found = new TreeMap<>();
        BlockUse table = reader.table();
        ByteBuffer written = BlockReader.newBuffer();
        ByteBuffer inPlace = BlockReader.newBuffer();
        damages.mapToLong(Damage::blockNr)
                .distinct()
                .filter(b -> table.isUsable(b) && reader.code(b) == BlockVerdict.MISPLACED)
                .forEach(b -> {
                    long meant = reader.claimedBlockNr(b, written);
                    boolean isInUse = table.isUsable(meant)
                            && (table.references((int) meant) > 0 || counts == null || counts.count((int) meant) != 0);
                    if (isInUse
                            && reader.claimedBlockNr(meant, inPlace) == meant
                            && reader.identify(inPlace) == reader.identify(written)
                            && !inPlace.clear().equals(written.clear())) {
                        found.put((int) meant, b);
                    }
                });
        return found;
    }
}
