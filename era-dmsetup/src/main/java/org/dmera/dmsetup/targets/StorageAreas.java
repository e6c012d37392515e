// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;

/** Where the bytes of a device lie in the end: areas of files and block devices, found by following tables down. */
public final class StorageAreas {
    /** More areas than this are not told apart: the whole of what they lie on is taken. */
    private static final int MAX_AREAS = 1 << 16;

    /** Some bytes of a file or device, and the targets that every access to them passes on this way. */
    private record Area(Object storage, long startBytes, long endBytes, Set<Target> through) {}

    private final List<Area> areas = new ArrayList<>();
    private final ArrayDeque<Target> path = new ArrayDeque<>();

    /** The areas of all of a backing. */
    static StorageAreas of(Backing backing) {
        StorageAreas found = new StorageAreas();
        backing.storage(0, backing.sizeBytes(), found);
        return found;
    }

    /** Adds an area; {@code storage} tells what it lies on by its equality. */
    public void add(Object storage, long startBytes, long lengthBytes) {
        boolean tooMany = areas.size() >= MAX_AREAS;
        areas.add(new Area(
                storage,
                tooMany ? 0 : startBytes,
                tooMany ? Long.MAX_VALUE : startBytes + lengthBytes,
                path.isEmpty() ? Set.of() : new HashSet<>(path)));
    }

    /** What {@code find} adds is reached through {@code target} alone, which knows of every write to it. */
    void through(Target target, Runnable find) {
        path.push(target);
        try {
            find.run();
        } finally {
            path.pop();
        }
    }

    /** Whether some byte is in both. */
    public boolean overlaps(StorageAreas other) {
        return overlaps(other, null);
    }

    /** The same, but for areas here that are reached through {@code target}, null for none. */
    boolean overlaps(StorageAreas other, Target target) {
        Map<Object, NavigableMap<Long, Long>> ends = other.ends();
        return areas.stream().anyMatch(mine -> {
            Map.Entry<Long, Long> before =
                    ends.getOrDefault(mine.storage, new TreeMap<>()).lowerEntry(mine.endBytes);
            return before != null
                    && before.getValue() > mine.startBytes
                    && (target == null || !mine.through.contains(target));
        });
    }

    /** By storage and start, the furthest end of what begins there or before: so that many areas needn't all be compared. */
    private Map<Object, NavigableMap<Long, Long>> ends() {
        Map<Object, NavigableMap<Long, Long>> ends = new HashMap<>();
        for (Area area : areas) {
            ends.computeIfAbsent(area.storage, any -> new TreeMap<>()).merge(area.startBytes, area.endBytes, Math::max);
        }
        for (NavigableMap<Long, Long> each : ends.values()) {
            long[] furthest = {0};
            each.replaceAll((start, end) -> furthest[0] = Math.max(furthest[0], end));
        }
        return ends;
    }
}
