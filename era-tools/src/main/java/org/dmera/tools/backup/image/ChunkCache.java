// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.image;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import org.dmera.tools.backup.stream.Chunk;

/**
 * The data of the chunks that were read last. The memory is taken once and used again and again: a MiB of fresh memory for each
 * chunk would keep the garbage collector as busy as the unpacking. So whoever reads from a slot holds it meanwhile. Any
 * number of threads may use it.
 */
final class ChunkCache {
    private static final int FEWEST_SLOTS = 4;

    /** Room for one chunk's data. */
    static final class Slot {
        final byte[] bytes = new byte[Chunk.MAX_DATA_BYTES];
        /** Null while nothing is in it. Guarded by the cache. */
        private ChunkKey key;
        /** Guarded by the cache. */
        private int holders;
    }

    private final Map<ChunkKey, Slot> slots = new LinkedHashMap<>(16, 0.75f, true);
    private final Deque<Slot> free = new ArrayDeque<>();
    private final int most;
    private int made;

    ChunkCache(long maxBytes) {
        most = (int) Math.max(FEWEST_SLOTS, Math.min(Integer.MAX_VALUE, maxBytes / Chunk.MAX_DATA_BYTES));
    }

    /** The slot that has the chunk, held until {@link #letGo}; null when there is none. */
    synchronized Slot hold(ChunkKey key) {
        Slot slot = slots.get(key);
        if (slot != null) {
            slot.holders++;
        }
        return slot;
    }

    /** A slot to fill, held: of what was not used for longest and nobody holds; one more, if everything is held. */
    synchronized Slot take() {
        Slot slot = free.poll();
        Iterator<Slot> oldest = slots.values().iterator();
        while (slot == null && made >= most && oldest.hasNext()) {
            Slot candidate = oldest.next();
            if (candidate.holders == 0) {
                oldest.remove();
                slot = candidate;
            }
        }
        if (slot == null) {
            slot = new Slot();
            made++;
        }
        slot.key = null;
        slot.holders = 1;
        return slot;
    }

    /** Says what a slot that was taken has been filled with; it stays held. */
    synchronized void filled(Slot slot, ChunkKey key) {
        slot.key = key;
        slots.put(key, slot);
    }

    /** The holder is done with it, filled or not. */
    synchronized void letGo(Slot slot) {
        if (--slot.holders > 0) {
            return;
        }
        if (made > most) {
            made--;
            if (slot.key != null) {
                slots.remove(slot.key);
            }
        } else if (slot.key == null) {
            free.add(slot);
        }
    }
}
