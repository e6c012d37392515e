// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.image;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Consumer;
import org.dmera.tools.backup.apply.Chain;
import org.dmera.tools.backup.stream.Chunk;
import org.dmera.tools.backup.stream.ChunkCursor;
import org.dmera.tools.backup.stream.StreamException;
import org.dmera.tools.backup.stream.StreamFile;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamReader;

/**
 * The states that a chain of streams has led through, each readable at any place: what a target would hold to which the
 * streams up to one of them had been applied.
 *
 * <p>Memory is bounded whatever the size of the origin: an index with two numbers for each chunk or each n-th
 * ({@link StreamIndex}), the tables and the data of the chunks that were read last. A chunk is verified each time it is
 * read from the file. What is damaged fails alone: the ranges that it may have held, in those states that would have taken
 * them from it.
 *
 * <p>Any number of threads may read.
 */
public final class StreamImage implements Closeable {
    /** For the indexes of all streams; 12.6 million chunks are 11 TiB, or what all streams of a chain hold together. */
    private static final long INDEX_BYTES = 192L << 20;

    private static final long TABLES_BYTES = 32L << 20;
    /** So many chunks may be read from their files at a time; who wants the same waits for the other. */
    private static final int LOCKS = 64;

    private final List<StreamIndex> streams = new ArrayList<>();
    /** Of each state, the stream that it begins with: the last full one. */
    private final int[] first;

    private final LeastRecentlyUsed<ChunkTable> tables;
    private final ChunkCache data;
    private final Queue<ChunkCursor> cursors = new ConcurrentLinkedQueue<>();
    private final Object[] locks = new Object[LOCKS];
    private final Consumer<String> log;
    private final Set<ChunkKey> complained = ConcurrentHashMap.newKeySet();

    private StreamImage(List<StreamFile> files, long cacheBytes, long indexBytes, Consumer<String> log) {
        this.log = log;
        tables = new LeastRecentlyUsed<>(TABLES_BYTES, ChunkTable::memoryBytes);
        data = new ChunkCache(cacheBytes);
        for (int i = 0; i < LOCKS; i++) {
            locks[i] = new Object();
        }
        first = new int[files.size()];
        long chunks = 0;
        for (StreamFile file : files) {
            chunks += file.chunks();
        }
        int stride = (int) Math.max(1, (chunks * StreamIndex.NOTE_BYTES + indexBytes - 1) / indexBytes);
        ChunkCursor cursor = takeCursor();
        for (StreamFile file : files) {
            int i = streams.size();
            streams.add(new StreamIndex(file, stride, cursor, log));
            first[i] = file.header().isFull() ? i : first[i - 1];
        }
        cursors.add(cursor);
    }

    /**
     * Opens a chain.
     *
     * @param paths its streams, oldest first, of which the first is a full one
     * @param cacheBytes for the data of chunks that were read last
     * @param log gets a line for each place that is found damaged
     * @return the states that it leads through, to be closed
     * @throws IOException when one is no stream or not whole, or they don't follow one another
     */
    public static StreamImage open(List<Path> paths, long cacheBytes, Consumer<String> log) throws IOException {
        return open(paths, cacheBytes, INDEX_BYTES, log);
    }

    /**
     * Opens a chain, with other memory for the index: with less than two numbers for each chunk, finding one takes longer.
     *
     * @param paths its streams, oldest first, of which the first is a full one
     * @param cacheBytes for the data of chunks that were read last
     * @param indexBytes for where the chunks lie
     * @param log gets a line for each place that is found damaged
     * @return the states that it leads through, to be closed
     * @throws IOException when one is no stream or not whole, or they don't follow one another
     */
    public static StreamImage open(List<Path> paths, long cacheBytes, long indexBytes, Consumer<String> log)
            throws IOException {
        List<StreamFile> files = new ArrayList<>();
        try {
            List<StreamReader> readers = new ArrayList<>();
            for (Path path : paths) {
                StreamFile file = StreamFile.open(path);
                files.add(file);
                readers.add(file.reader());
            }
            if (!files.get(0).header().isFull()) {
                throw new IOException(files.get(0).name() + ": it is an increment on era "
                        + files.get(0).header().baseEra() + ", and what did not change is in none of the streams: begin"
                        + " with a full stream");
            }
            Chain.requireLinked(readers);
            return new StreamImage(files, cacheBytes, indexBytes, log);
        } catch (IOException | RuntimeException | Error e) {
            for (StreamFile file : files) {
                file.close();
            }
            throw e;
        }
    }

    /** {@return how many states there are: one after each stream} */
    public int states() {
        return streams.size();
    }

    /**
     * {@return the header of the stream that led to a state}
     *
     * @param state from 0
     */
    public StreamHeader header(int state) {
        return streams.get(state).file().header();
    }

    /**
     * {@return the name of the stream that led to a state}
     *
     * @param state from 0
     */
    public String name(int state) {
        return streams.get(state).file().name();
    }

    /**
     * {@return the origin's size in a state, in bytes}
     *
     * @param state from 0
     */
    public long sizeBytes(int state) {
        return header(state).originSizeBytes();
    }

    /** {@return bytes of memory that the indexes take} */
    public long indexBytes() {
        long bytes = 0;
        for (StreamIndex stream : streams) {
            bytes += stream.memoryBytes();
        }
        return bytes;
    }

    /** Where a byte of a state comes from, and up to where it is so. */
    private static final class Place {
        int stream;
        ChunkKey chunk;
        ChunkTable table;
        int extent;
        long end;

        boolean isZero() {
            return table.dataAt(extent) == ChunkTable.ZERO;
        }
    }

    /**
     * Fills a buffer from a state; what lies behind the origin's end is zero.
     *
     * @param state from 0
     * @param offset of the first byte
     * @param dst is filled up to its limit
     * @throws IOException a {@link StreamException} when a part of it was in a chunk that is damaged, or when it can't be read;
     *     then {@code dst} is undefined
     */
    public void read(int state, long offset, ByteBuffer dst) throws IOException {
        long at = offset;
        Place place = new Place();
        while (dst.hasRemaining()) {
            int length;
            if (at >= sizeBytes(state)) {
                length = dst.remaining();
                zero(dst, length);
            } else {
                find(state, at, place);
                length = (int) Math.min(dst.remaining(), place.end - at);
                if (place.isZero()) {
                    zero(dst, length);
                } else {
                    long skipped = at - place.table.begin(place.extent);
                    ChunkCache.Slot slot = data(place);
                    try {
                        dst.put(slot.bytes, place.table.dataAt(place.extent) + (int) skipped, length);
                    } finally {
                        data.letGo(slot);
                    }
                }
            }
            at += length;
        }
    }

    private static void zero(ByteBuffer dst, int length) {
        int end = dst.position() + length;
        while (end - dst.position() >= Long.BYTES) {
            dst.putLong(0);
        }
        while (dst.position() < end) {
            dst.put((byte) 0);
        }
    }

    /**
     * {@return how many bytes of a state are alike: the count for data, the negated count for zeroes} What isn't known counts as
     * data: reading it shows why.
     *
     * @param state from 0
     * @param offset of the first byte
     * @param length the most that is wanted, in bytes
     * @throws IOException when it can't be read
     */
    public long allocation(int state, long offset, long length) throws IOException {
        long size = sizeBytes(state);
        if (offset >= size) {
            return -length;
        }
        Place place = new Place();
        try {
            find(state, offset, place);
        } catch (StreamException e) {
            return Math.min(length, Chunk.ALIGNMENT_BYTES - offset % Chunk.ALIGNMENT_BYTES);
        }
        long bytes = Math.min(length, place.end - offset);
        return place.isZero() ? -bytes : bytes;
    }

    private void find(int state, long at, Place place) throws IOException {
        long end = sizeBytes(state);
        // What a later stream cut off is gone, even where a still later one lets the origin grow again.
        long limit = end;
        for (int i = state; i >= first[state]; i--) {
            StreamIndex stream = streams.get(i);
            limit = Math.min(limit, stream.file().header().originSizeBytes());
            if (at >= limit) {
                continue;
            }
            if (stream.damagedUntil(at) >= 0) {
                throw new StreamException(
                        stream.file().name(), "byte " + at + " of the origin may have been in a chunk that is damaged");
            }
            long until = stream.nextDamaged(at);
            int note = stream.noteBefore(at);
            if (note >= 0) {
                ChunkKey key = new ChunkKey(i, stream.place(note));
                ChunkTable table = table(stream, key);
                while (at >= table.end() && table.nextPlace() < stream.place(note + 1)) {
                    ChunkKey nextKey = new ChunkKey(i, table.nextPlace());
                    ChunkTable next = table(stream, nextKey);
                    if (next.begin(0) > at) {
                        until = Math.min(until, next.begin(0));
                        break;
                    }
                    table = next;
                    key = nextKey;
                }
                int extent = table.extentBefore(at);
                if (at < table.end(extent)) {
                    place.stream = i;
                    place.chunk = key;
                    place.table = table;
                    place.extent = extent;
                    place.end = Math.min(Math.min(end, limit), table.end(extent));
                    return;
                }
                if (extent + 1 < table.size()) {
                    until = Math.min(until, table.begin(extent + 1));
                }
            }
            end = Math.min(end, Math.min(until, stream.begin(note + 1)));
        }
        throw new StreamException(
                name(state), "byte " + at + " of the origin is in none of the streams, and the first of them is full");
    }

    private ChunkTable table(StreamIndex stream, ChunkKey key) throws IOException {
        ChunkTable table = tables.get(key);
        if (table == null) {
            ChunkCursor cursor = takeCursor();
            try {
                table = readTable(stream, key, cursor);
            } finally {
                cursors.add(cursor);
            }
        }
        return table;
    }

    private ChunkTable readTable(StreamIndex stream, ChunkKey key, ChunkCursor cursor) throws IOException {
        try {
            long next = cursor.head(stream.file(), key.place(), 0);
            ChunkTable table = new ChunkTable(cursor.chunk().extents(), next);
            tables.put(key, table);
            return table;
        } catch (IOException e) {
            throw complain(key, e);
        }
    }

    /** The chunk's data, in a slot that is held. */
    private ChunkCache.Slot data(Place place) throws IOException {
        ChunkCache.Slot slot = data.hold(place.chunk);
        if (slot != null) {
            return slot;
        }
        synchronized (locks[(place.chunk.hashCode() & Integer.MAX_VALUE) % LOCKS]) {
            slot = data.hold(place.chunk);
            return slot != null ? slot : readData(place);
        }
    }

    private ChunkCache.Slot readData(Place place) throws IOException {
        ChunkCache.Slot slot = data.take();
        ChunkCursor cursor = takeCursor();
        boolean filled = false;
        try {
            cursor.head(streams.get(place.stream).file(), place.chunk.place(), 0);
            cursor.data();
            cursor.chunk().data().clear().get(slot.bytes, 0, cursor.chunk().dataBytes());
            data.filled(slot, place.chunk);
            filled = true;
            return slot;
        } catch (IOException e) {
            throw complain(place.chunk, e);
        } finally {
            cursors.add(cursor);
            if (!filled) {
                data.letGo(slot);
            }
        }
    }

    /** Each chunk gets into the log once. */
    private IOException complain(ChunkKey chunk, IOException e) {
        if (complained.add(chunk)) {
            log.accept(e.getMessage());
        }
        return e;
    }

    private ChunkCursor takeCursor() {
        ChunkCursor cursor = cursors.poll();
        return cursor != null ? cursor : new ChunkCursor();
    }

    @Override
    public void close() throws IOException {
        ChunkCursor cursor = cursors.poll();
        while (cursor != null) {
            cursor.close();
            cursor = cursors.poll();
        }
        IOException failed = null;
        for (StreamIndex stream : streams) {
            try {
                stream.file().close();
            } catch (IOException e) {
                failed = e;
            }
        }
        if (failed != null) {
            throw failed;
        }
    }
}
