// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.nio.ByteBuffer;

/**
 * The runs of one BLOCK_STATUS answer, in the form in which they are sent; neighbours with the same status are one.
 *
 * <p>Most answers hold a few, and fit in a buffer that every connection may have. One with more moves to a buffer for
 * {@value #MAX_RUNS}, so that a client gets the map of a device in one answer, or in few: each further one costs it a round trip, and
 * here the look at metadata that was looked at before. The client may be slow to take such an answer, so it counts as a
 * payload that is still to come; where there is no memory for it, the answer ends with what the small buffer holds.
 */
final class StatusRuns implements Closeable {
    /** At most, in the largest of buffers. Twice as many as qemu sends, and far less than clients take. */
    static final int MAX_RUNS = (BufferPool.LARGEST_BYTES - StatusRuns.HEADER_BYTES) / 16;
    /** Room in front for the header of a chunk. */
    private static final int HEADER_BYTES = 64;

    private static final int SMALL_BYTES = 32 << 10;
    /** A run's length without extended headers: 32 bits, kept to a multiple of all block sizes in use. */
    private static final long MAX_NARROW_BYTES = 1L << 31;

    private final NbdMemory memory;
    private final boolean wide;
    private final ByteBuffer small;
    /** Null until it is needed; the runs are in it once it is there. */
    private ByteBuffer large;

    private ByteBuffer out;
    /** Those that are in {@link #out}, and how many there may be. */
    private int count;

    private int limit;
    /** The run that may go on, for which there is room in {@link #out}; none while it has no bytes. */
    private long runBytes;

    private long runStatus;

    /** None yet; {@code wide} with 64 bits for lengths and for statuses, else with 32. */
    StatusRuns(NbdMemory memory, boolean wide) {
        this.memory = memory;
        this.wide = wide;
        this.small = memory.pool().take(SMALL_BYTES);
        clear(MAX_RUNS);
    }

    /** Forgets all; there may be {@code limit} from now on, at most {@link #MAX_RUNS}. */
    void clear(int limit) {
        out = large != null ? large : small;
        out.clear().position(HEADER_BYTES);
        this.limit = limit;
        count = 0;
        runBytes = 0;
    }

    /** How many there are, after the {@link #end}. */
    int count() {
        return count;
    }

    /** How many bytes they take, after the {@link #end}. */
    int bytes() {
        return out.position() - HEADER_BYTES;
    }

    private int entryBytes() {
        return wide ? 2 * Long.BYTES : 2 * Integer.BYTES;
    }

    /** The longest run that one entry can hold, in bytes. */
    private long maxRunBytes() {
        return wide ? Long.MAX_VALUE : MAX_NARROW_BYTES;
    }

    /** Makes room for one more; false when there is none. */
    private boolean hasRoom() {
        if (count >= limit) {
            return false;
        }
        if (out.remaining() >= entryBytes()) {
            return true;
        }
        if (large != null) {
            return false;
        }
        large = memory.takeAhead(HEADER_BYTES + MAX_RUNS * entryBytes());
        if (large == null) {
            return false;
        }
        out = large.put(small.flip());
        return true;
    }

    /** Takes the next bytes, which have {@code status}; false when no more can be told, or not even that. */
    boolean add(long bytes, long status) {
        if (runBytes >= maxRunBytes()) {
            return false;
        }
        if (runBytes > 0 && status == runStatus) {
            runBytes += bytes;
        } else {
            end();
            if (!hasRoom()) {
                return false;
            }
            runBytes = bytes;
            runStatus = status;
        }
        return runBytes < maxRunBytes();
    }

    /**
     * Takes the next bytes as {@link org.dmera.dmsetup.targets.ChangeTracking.EraRuns#blocks} has them, with their eras for
     * statuses; or, for a {@code sinceEra} that is not negative, dirty from that era on, and 0 before.
     *
     * @return false when no more can be told, or not even that
     */
    boolean addBlocks(int[] eras, long blockSizeBytes, long fromBytes, long endBytes, long sinceEra) {
        // Of the first and of the last there may be a part only.
        int next = (int) (fromBytes / blockSizeBytes);
        int last = (int) ((endBytes - 1) / blockSizeBytes);
        long firstEnd = Math.min(endBytes, (next + 1) * blockSizeBytes);
        if (!add(firstEnd - fromBytes, status(eras[next++], sinceEra))) {
            return false;
        }
        while (next < last) {
            next = addWhole(eras, next, last, blockSizeBytes, sinceEra);
            if (next < last && !add(blockSizeBytes, status(eras[next++], sinceEra))) {
                return false;
            }
        }
        return next > last || add(endBytes - last * blockSizeBytes, status(eras[last], sinceEra));
    }

    /**
     * Adds whole blocks up to {@code to} while there is room, and returns where it has stopped. Nothing is written to memory in
     * here but what is sent: a map has as many runs as the device has blocks where it is at its worst.
     */
    private int addWhole(int[] eras, int from, int to, long blockSizeBytes, long sinceEra) {
        ByteBuffer entries = out;
        int at = entries.position();
        // The run that goes on needs a place, too.
        int room = Math.min(limit - count, entries.remaining() / entryBytes()) - 1;
        int left = room;
        long longest = maxRunBytes();
        long bytes = runBytes;
        long status = runStatus;
        int block = from;
        for (; block < to; block++) {
            long next = status(eras[block], sinceEra);
            if (next == status) {
                bytes += blockSizeBytes;
                continue;
            }
            if (left == 0 || bytes >= longest) {
                break;
            }
            put(entries, at, bytes, status);
            at += entryBytes();
            left--;
            bytes = blockSizeBytes;
            status = next;
        }
        entries.position(at);
        count += room - left;
        runBytes = bytes;
        runStatus = status;
        return block;
    }

    /** What a block is said to have; as in {@link #addBlocks}. */
    static long status(int era, long sinceEra) {
        long written = Integer.toUnsignedLong(era);
        return sinceEra < 0 ? written : written >= sinceEra ? Nbd.STATE_DIRTY : 0;
    }

    private void put(ByteBuffer entries, int at, long bytes, long status) {
        if (wide) {
            entries.putLong(at, bytes).putLong(at + Long.BYTES, status);
        } else {
            entries.putInt(at, (int) Math.min(bytes, MAX_NARROW_BYTES)).putInt(at + Integer.BYTES, (int) status);
        }
    }

    /** The last run is whole; to be called before they are sent. */
    void end() {
        if (runBytes > 0) {
            put(out, out.position(), runBytes, runStatus);
            out.position(out.position() + entryBytes());
            count++;
            runBytes = 0;
        }
    }

    /** They are too many to be copied to where other answers are. */
    boolean isLong() {
        return bytes() > SMALL_BYTES;
    }

    /** Puts them behind other answers. */
    void copyTo(ByteBuffer answers) {
        answers.put(out.slice(HEADER_BYTES, bytes()));
    }

    /** The memory that they are in, at the place of a header of so many bytes in front of them; its limit is their end. */
    ByteBuffer withHeader(int headerBytes) {
        ByteBuffer whole = out.duplicate().flip();
        return whole.position(HEADER_BYTES - headerBytes);
    }

    @Override
    public void close() {
        memory.pool().give(small);
        if (large != null) {
            memory.arrived(large);
            memory.give(large);
        }
    }
}
