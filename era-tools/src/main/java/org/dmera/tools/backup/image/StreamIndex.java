// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.image;

import java.io.IOException;
import java.util.Arrays;
import java.util.function.Consumer;
import org.dmera.tools.backup.stream.ChunkCursor;
import org.dmera.tools.backup.stream.ExtentTable;
import org.dmera.tools.backup.stream.StreamFile;

/**
 * Where in a stream's file the chunk lies that holds a given byte of the origin. Chunks ascend through the origin, so two
 * numbers for each tell: where it begins in the origin, and in the file. Of a stream with more chunks than there is memory
 * for, only each n-th is noted, and those between are found by going from chunk to chunk.
 *
 * <p>It is made by reading the head of every chunk. Where no sound one begins, the next is looked for; what lies between in
 * the origin may have been in the chunks that are lost, and is damaged.
 */
final class StreamIndex {
    /** What the index takes for each chunk that it notes. */
    static final int NOTE_BYTES = 2 * Long.BYTES;

    private final StreamFile file;
    private final int stride;
    private long[] begins;
    private long[] places;
    private int notes;
    /** Pairs of begin and end in the origin, ascending. */
    private long[] damaged = new long[0];

    /** Makes the index, noting each {@code stride}-th chunk; {@code log} gets a line for each damaged place. */
    StreamIndex(StreamFile file, int stride, ChunkCursor cursor, Consumer<String> log) {
        this.file = file;
        this.stride = stride;
        int expected = (int) Math.min((file.chunks() + stride - 1) / stride, 1 << 26);
        begins = new long[expected];
        places = new long[expected];
        scan(cursor, log);
        if (notes < begins.length) {
            begins = Arrays.copyOf(begins, notes);
            places = Arrays.copyOf(places, notes);
        }
    }

    StreamFile file() {
        return file;
    }

    private void scan(ChunkCursor cursor, Consumer<String> log) {
        long at = file.firstChunkAt();
        long end = 0;
        int sinceNote = 0;
        while (at < file.chunksEndAt()) {
            long next;
            boolean lost = false;
            try {
                next = cursor.head(file, at, end);
            } catch (IOException e) {
                lost = true;
                at = findNext(cursor, at, end, e, log);
                if (at == file.chunksEndAt()) {
                    return;
                }
                next = at + cursor.chunk().streamBytes();
            }
            ExtentTable extents = cursor.chunk().extents();
            if (lost || sinceNote == 0) {
                // Behind a gap always: from before it nothing leads across.
                note(extents.offsetBytes(0), at);
                sinceNote = 0;
            }
            sinceNote = (sinceNote + 1) % stride;
            end = extents.offsetBytes(extents.size() - 1) + extents.lengthBytes(extents.size() - 1);
            at = next;
        }
    }

    /** Where the next sound chunk lies, its head read; notes what may be lost before it. */
    private long findNext(ChunkCursor cursor, long at, long end, IOException why, Consumer<String> log) {
        long found;
        long until = file.header().originSizeBytes();
        try {
            found = cursor.find(file, at + 1, end);
        } catch (IOException e) {
            why.addSuppressed(e);
            found = file.chunksEndAt();
        }
        if (found < file.chunksEndAt()) {
            until = cursor.chunk().extents().offsetBytes(0);
        }
        damaged = Arrays.copyOf(damaged, damaged.length + 2);
        damaged[damaged.length - 2] = end;
        damaged[damaged.length - 1] = until;
        log.accept(why.getMessage() + ": bytes " + end + " to " + until + " of the origin can't be told");
        return found;
    }

    private void note(long begin, long place) {
        if (notes == begins.length) {
            begins = Arrays.copyOf(begins, notes + notes / 2 + 16);
            places = Arrays.copyOf(places, begins.length);
        }
        begins[notes] = begin;
        places[notes] = place;
        notes++;
    }

    /** Bytes that the index takes. */
    long memoryBytes() {
        return (long) begins.length * NOTE_BYTES + (long) damaged.length * Long.BYTES;
    }

    /** The end of the damaged range that {@code offset} lies in; −1 when it lies in none. */
    long damagedUntil(long offset) {
        for (int i = 0; i < damaged.length; i += 2) {
            if (offset >= damaged[i] && offset < damaged[i + 1]) {
                return damaged[i + 1];
            }
        }
        return -1;
    }

    /** Where the first damaged range begins that begins after {@code offset}; {@code Long.MAX_VALUE} for none. */
    long nextDamaged(long offset) {
        for (int i = 0; i < damaged.length; i += 2) {
            if (damaged[i] > offset && damaged[i] < damaged[i + 1]) {
                return damaged[i];
            }
        }
        return Long.MAX_VALUE;
    }

    /** The last note of a chunk that begins at or before {@code offset}; −1 when all begin behind it. */
    int noteBefore(long offset) {
        int low = 0;
        int high = notes;
        while (low < high) {
            int middle = low + high >>> 1;
            if (begins[middle] <= offset) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low - 1;
    }

    /** Where in the origin the chunk of a note begins; {@code Long.MAX_VALUE} behind the last. */
    long begin(int note) {
        return note < notes ? begins[note] : Long.MAX_VALUE;
    }

    /** Where in the file the chunk of a note begins; where the footer does, behind the last. */
    long place(int note) {
        return note < notes ? places[note] : file.chunksEndAt();
    }
}
