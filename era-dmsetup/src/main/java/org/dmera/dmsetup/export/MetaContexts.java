// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.dmera.core.EraToken;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.TrackedHistory;

/**
 * The metadata contexts of an export: what a client can ask BLOCK_STATUS for.
 *
 * <ul>
 *   <li>{@code base:allocation}: data or holes.
 *   <li>{@code qemu:dirty-bitmap:era-since-N}, N from 1 to the current era: what was written in era N or later, in the form
 *       in which qemu and libvirt consume a dirty bitmap. An era that is yet to come is not offered: nothing would be dirty
 *       since then, and a backup that asks for it has another device's number, or one of metadata that was made anew.
 *   <li>{@code qemu:dirty-bitmap:era-since-TOKEN}: the same since the era of an {@link EraToken}, of these metadata; that of
 *       others is refused. A listing of {@code qemu:dirty-bitmap:era-since-now} gives the one of this moment.
 *   <li>{@code era:writes}: the era of the last write itself; 0 for never.
 * </ul>
 */
final class MetaContexts {
    private static final String ALLOCATION = "base:allocation";
    private static final String SINCE = "qemu:dirty-bitmap:era-since-";
    private static final String NOW = SINCE + "now";
    private static final String WRITES = "era:writes";
    /** How many of the newest eras a listing names; any other can be asked for all the same. */
    private static final int LISTED_ERAS = 64;

    enum Kind {
        ALLOCATION,
        DIRTY_SINCE,
        ERA_WRITES
    }

    /**
     * A context; {@code sinceEra} counts for DIRTY_SINCE alone. Eras are those of {@code lineage}: a device that has got
     * other metadata since can't answer.
     */
    record Context(String name, Kind kind, long sinceEra, Object lineage) {}

    private MetaContexts() {}

    /** Why a query can't be answered, rather than that there is no such context. */
    static final class RefusedException extends IOException {
        private static final long serialVersionUID = 1L;

        RefusedException(String message, IOException cause) {
            super(message, cause);
        }
    }

    /** What a device counts in: {@code lineage} null when it tracks nothing. */
    private record Counting(Object lineage, long currentEra) {
        static Counting of(DeviceIo io) {
            // First: should other metadata come in between, the requests will be refused.
            Object lineage = io.lineage();
            long era = io.currentEra();
            return new Counting(era < 0 ? null : lineage, era);
        }

        boolean tracks() {
            return lineage != null;
        }
    }

    /** The context called {@code name}, or null for none. */
    private static Context find(String name, Counting counting) {
        boolean tracks = counting.tracks();
        if (name.equals(ALLOCATION)) {
            return new Context(name, Kind.ALLOCATION, 0, null);
        }
        if (tracks && name.equals(WRITES)) {
            return new Context(name, Kind.ERA_WRITES, 0, counting.lineage);
        }
        if (tracks && name.startsWith(SINCE) && name.substring(SINCE.length()).matches("[1-9][0-9]{0,9}")) {
            long era = Long.parseLong(name.substring(SINCE.length()));
            if (era <= counting.currentEra) {
                return new Context(name, Kind.DIRTY_SINCE, era, counting.lineage);
            }
        }
        return null;
    }

    /** What {@code queries} select, without repetition; for a listing an empty list and open queries select many. */
    static List<Context> select(DeviceIo io, List<String> queries, boolean listing) throws RefusedException {
        Counting counting = Counting.of(io);
        Set<Context> selected = new LinkedHashSet<>();
        for (String query : listing && queries.isEmpty() ? List.of("base:", "qemu:", "era:") : queries) {
            Context exact = query.startsWith(SINCE) ? since(io, query, listing, counting) : find(query, counting);
            if (exact != null) {
                selected.add(exact);
            } else if (listing) {
                listed(query, counting.currentEra)
                        .map(name -> find(name, counting))
                        .filter(Objects::nonNull)
                        .forEach(selected::add);
            }
        }
        return List.copyOf(selected);
    }

    /** The context of an era, or of a token; null for none. */
    private static Context since(DeviceIo io, String query, boolean listing, Counting counting)
            throws RefusedException {
        String text = query.substring(SINCE.length());
        boolean now = listing && query.equals(NOW);
        TrackedHistory history = now || EraToken.isMeant(text) ? TrackedHistory.of(io) : null;
        if (history == null) {
            return find(query, counting);
        }
        try {
            EraToken token = now ? history.token() : EraToken.parse(text);
            String contradiction = now ? null : history.contradiction(token);
            if (contradiction != null) {
                throw new IOException(
                        "the token is of other metadata, or the metadata was made anew since: " + contradiction);
            }
            return new Context(SINCE + token, Kind.DIRTY_SINCE, token.era(), counting.lineage);
        } catch (IOException e) {
            throw new RefusedException("context era-since: " + e.getMessage(), e);
        }
    }

    /** The names that an open query is for, of which some may be no context of this device. */
    private static Stream<String> listed(String query, long currentEra) {
        return switch (query) {
            case "base:" -> Stream.of(ALLOCATION);
            case "era:" -> Stream.of(WRITES);
            case "qemu:", "qemu:dirty-bitmap:" ->
                LongStream.rangeClosed(Math.max(1, currentEra - LISTED_ERAS + 1), currentEra)
                        .mapToObj(era -> SINCE + era);
            default -> Stream.empty();
        };
    }
}
