// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.image;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.ToIntFunction;

/** What was read last, by chunk, in so many bytes at most. Any number of threads may use it. */
final class LeastRecentlyUsed<T> {
    private final Map<ChunkKey, T> entries = new LinkedHashMap<>(16, 0.75f, true);
    private final long maxBytes;
    private final ToIntFunction<T> size;
    private long bytes;

    /** {@code size}: the bytes that an entry takes. */
    LeastRecentlyUsed(long maxBytes, ToIntFunction<T> size) {
        this.maxBytes = maxBytes;
        this.size = size;
    }

    /** Null when it is not there. */
    synchronized T get(ChunkKey key) {
        return entries.get(key);
    }

    /** Keeps it, and lets go of what was not used for longest. */
    synchronized void put(ChunkKey key, T value) {
        T before = entries.put(key, value);
        bytes += size.applyAsInt(value) - (before == null ? 0 : size.applyAsInt(before));
        Iterator<T> oldest = entries.values().iterator();
        while (bytes > maxBytes && entries.size() > 1) {
            bytes -= size.applyAsInt(oldest.next());
            oldest.remove();
        }
    }
}
