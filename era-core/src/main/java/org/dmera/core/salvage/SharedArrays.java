// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.dmera.core.evidence.ArrayMap;

/**
 * Arrays that states of the metadata share: each is walked once. A device on which the kernel has not yet come round holds
 * thousands of states, one a commit, and each differs from the one before in a few blocks.
 */
final class SharedArrays {
    private record Key(long root, int valueBytes, long entries) {}

    private final Map<Key, ArrayMap> maps = new HashMap<>();
    /** How long an array is, as far as is known, and whether its end is lost. */
    record Length(long entries, boolean isEndUnknown) {}

    private final Map<Key, Length> lengths = new HashMap<>();

    /** The blocks of the array at {@code root}. */
    ArrayMap map(long root, int valueBytes, long entries, Supplier<ArrayMap> walk) {
        return maps.computeIfAbsent(new Key(root, valueBytes, entries), key -> walk.get());
    }

    /** How many entries the array at {@code root} has. */
    Length length(long root, int valueBytes, Supplier<Length> walk) {
        return lengths.computeIfAbsent(new Key(root, valueBytes, -1), key -> walk.get());
    }
}
