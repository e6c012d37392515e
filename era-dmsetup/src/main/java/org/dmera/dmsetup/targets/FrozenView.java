// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.Closeable;
import java.io.IOException;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import org.dmera.core.metadata.EraMetadata;

/**
 * What an era target's device held at one moment, and when each block of it had been written last.
 *
 * <p><b>The data</b> is on the origin until it is about to be overwritten. {@link CopyBeforeWrite} then has the old data put
 * into the {@link CowFile}, sets the chunk's bit, and only after that lets the write go. A reader looks at the bit after it
 * has read the origin: if what it read can have been new data, the bit is set, and it reads the copy instead. So no reader
 * takes a lock, and none ever sees new data.
 *
 * <p><b>The eras</b> are in the live metadata until a block is about to be marked in an era after the moment. The slice of
 * the map that the block is in is put into the file first. Marks are made on the metadata thread alone, and looked up on
 * it, so that a slice that is not in the file is as it was.
 *
 * <p><b>Failure.</b> When something can't be kept, the view is lost, for good, and the device goes on: whoever writes never
 * waits for room, nor hears of it.
 */
public final class FrozenView implements Closeable {
    /** There was no room for a copy, or the file could not be written. */
    public static final String OVERFLOW = "Overflow";
    /** What was to be kept is gone for another reason. */
    public static final String INVALID = "Invalid";

    /** What is copied at once, at least: a write of a page costs a copy of so much. */
    private static final int LEAST_CHUNK_BYTES = 64 << 10;
    /** More chunks than this are made larger instead: 32 MiB of bits for one view. */
    private static final long MAX_CHUNKS = 1L << 28;
    /** Reads look at the bits again after so much. */
    private static final int PIECE_BYTES = 1 << 20;
    /** Blocks in a slice of the map of eras. */
    static final int SLICE_BLOCKS = 1024;

    private static final int SLICE_BYTES = SLICE_BLOCKS * Integer.BYTES;
    private static final long LOOK_NANOS = TimeUnit.MICROSECONDS.toNanos(100);

    private final CopyBeforeWrite views;
    private final EraReader eras;
    private final Backing origin;
    private final CowFile file;
    private final long lengthBytes;
    private final long nrBlocks;
    private final int chunkShift;
    private final AtomicBits copied;
    /** Slices of the map that are in the file; set on the metadata thread. */
    private final AtomicBits kept;

    private final long mapBytes;
    private final LongAdder usedBytes = new LongAdder();
    private final AtomicInteger readers = new AtomicInteger();
    private final Object lineage = new Object();
    /** Of the metadata thread. */
    private final int[] slice = new int[SLICE_BLOCKS];

    private final ByteBuffer sliceBytes = ByteBuffer.allocateDirect(SLICE_BYTES).order(ByteOrder.LITTLE_ENDIAN);

    /** The era that began with the view. */
    private volatile int newEra;
    /** Null, or why it is lost: {@link #OVERFLOW} or {@link #INVALID}; {@code why} is set before. */
    private volatile String lost;

    private volatile IOException why;
    private volatile Runnable onLoss = () -> {};

    /** A view that is to be; {@link EraTarget#freeze} begins it. Takes over the file. */
    FrozenView(CopyBeforeWrite views, EraReader eras, Backing origin, CowFile file, long lengthBytes, long nrBlocks) {
        this.views = views;
        this.eras = eras;
        this.origin = origin;
        this.file = file;
        this.lengthBytes = lengthBytes;
        this.nrBlocks = nrBlocks;
        chunkShift = chunkShift(lengthBytes);
        copied = new AtomicBits((lengthBytes + (1L << chunkShift) - 1) >>> chunkShift);
        long slices = (nrBlocks + SLICE_BLOCKS - 1) / SLICE_BLOCKS;
        kept = new AtomicBits(slices);
        mapBytes = slices * SLICE_BYTES;
    }

    /** Begins: what is written from now on is in {@code era}. */
    void begin(int era) {
        newEra = era;
    }

    /** The era that began with it: what was written since has this one, or a later one. */
    public int newEra() {
        return newEra;
    }

    /** The size of its device then. */
    public long lengthBytes() {
        return lengthBytes;
    }

    long blockSizeBytes() {
        return eras.blockSizeBytes();
    }

    /** How large, as a power of two, the chunks are of views of a device of that size. */
    static int chunkShift(long lengthBytes) {
        long chunkBytes = LEAST_CHUNK_BYTES;
        while (lengthBytes / chunkBytes >= MAX_CHUNKS) {
            chunkBytes *= 2;
        }
        return Long.numberOfTrailingZeros(chunkBytes);
    }

    /** Where its copies are. */
    CowFile file() {
        return file;
    }

    Object lineage() {
        return lineage;
    }

    // ---- copies

    /** Whether a write of chunks {@code first} to {@code last} needs no copy. */
    boolean hasAll(long first, long last) {
        for (long chunk = first; chunk <= last; chunk++) {
            if (!copied.get(chunk)) {
                return lost != null;
            }
        }
        return true;
    }

    /** Whether a chunk is still to be copied before it is written. */
    boolean lacks(long chunk) {
        return !copied.get(chunk) && lost == null;
    }

    /** Keeps data of chunks that it lacks. */
    void save(long offsetBytes, ByteBuffer data) {
        int bytes = data.remaining();
        try {
            file.write(offsetBytes, data);
            usedBytes.add(bytes);
        } catch (IOException | RuntimeException | Error e) {
            lose(OVERFLOW, e);
        }
    }

    /** All of {@code chunk} has been saved, or is a hole. */
    void saved(long chunk) {
        copied.set(chunk);
    }

    /** It is lost, unless it was before; {@code state} is {@link #OVERFLOW} or {@link #INVALID}. */
    void lose(String state, Throwable cause) {
        synchronized (readers) {
            if (lost != null) {
                return;
            }
            why = Failures.ofIo(cause);
            lost = state;
        }
        views.lost(this, state, why);
        onLoss.run();
    }

    /** {@code action} is done when it is lost; at once, when it is already. */
    public void onLoss(Runnable action) {
        onLoss = action;
        if (lost != null) {
            action.run();
        }
    }

    /** Why it is lost, or null. */
    public String failure() {
        return lost == null ? null : lost + ": " + why.getMessage();
    }

    /** {@code USED/TOTAL} in sectors of 512 bytes: what is in the file, and what could come to be; or how it was lost. */
    public String status() {
        String state = lost;
        if (state != null) {
            return state;
        }
        long sector = TableWords.SECTOR_BYTES;
        return (usedBytes.sum() + sector - 1) / sector + "/" + (lengthBytes + mapBytes + sector - 1) / sector;
    }

    // ---- reads

    private void enter() throws IOException {
        readers.getAndIncrement();
        try {
            requireWhole();
        } catch (IOException e) {
            leave();
            throw e;
        }
    }

    private void leave() {
        readers.getAndDecrement();
    }

    private void requireWhole() throws IOException {
        if (lost != null) {
            throw new IOException("the view is lost: " + failure(), why);
        }
    }

    /** Fills {@code dst} with what the device held. */
    void read(long offsetBytes, ByteBuffer dst) throws IOException {
        enter();
        int limit = dst.limit();
        try {
            long at = offsetBytes;
            while (dst.position() < limit) {
                boolean copy = copied.get(at >>> chunkShift);
                int from = dst.position();
                long end = runEnd(at, at + Math.min(limit - from, PIECE_BYTES), copy);
                dst.limit(from + (int) (end - at));
                if (copy) {
                    file.read(at, dst);
                } else {
                    origin.read(at, dst);
                    // Before the look at the bits, whatever the processor thinks of it.
                    VarHandle.fullFence();
                    end = runEnd(at, end, false);
                    dst.position(from + (int) (end - at));
                }
                at = end;
                dst.limit(limit);
            }
            // What could not be copied is not marked as copied.
            requireWhole();
        } finally {
            dst.limit(limit);
            leave();
        }
    }

    /**
     * Makes certain that what was read is right: a file system may find only after a write has returned that there is no room
     * for it, and would give back something else later.
     *
     * @throws IOException when the view is lost, by this for one
     */
    void verify() throws IOException {
        enter();
        try {
            file.sync();
        } catch (IOException e) {
            lose(OVERFLOW, e);
        } finally {
            leave();
        }
        requireWhole();
    }

    /** Where, between two offsets, the chunks end of which all, or none, are copied. */
    private long runEnd(long from, long to, boolean ofCopied) {
        long last = to - 1 >>> chunkShift;
        for (long chunk = from >>> chunkShift; chunk <= last; chunk++) {
            if (copied.get(chunk) != ofCopied) {
                return Math.max(from, chunk << chunkShift);
            }
        }
        return to;
    }

    /** As {@link Target#allocation}; what was copied counts as data. */
    long allocation(long offsetBytes, long length) throws IOException {
        enter();
        try {
            long to = offsetBytes + length;
            boolean copy = copied.get(offsetBytes >>> chunkShift);
            long end = runEnd(offsetBytes, to, copy);
            if (copy) {
                return end - offsetBytes;
            }
            long run = origin.allocation(offsetBytes, end - offsetBytes);
            VarHandle.fullFence();
            long still = runEnd(offsetBytes, offsetBytes + Math.abs(run), false) - offsetBytes;
            requireWhole();
            if (still == 0) {
                // Copied in the meantime.
                return runEnd(offsetBytes, to, true) - offsetBytes;
            }
            return run < 0 ? -still : still;
        } finally {
            leave();
        }
    }

    // ---- eras

    /** Keeps the slice of the map that {@code block} is in, which is about to be marked. On the metadata thread. */
    void beforeMark(EraMetadata metadata, int block) {
        int index = block / SLICE_BLOCKS;
        if (lost != null || block >= nrBlocks || kept.get(index)) {
            return;
        }
        int count;
        try {
            count = (int) Math.min(SLICE_BLOCKS, nrBlocks - (long) index * SLICE_BLOCKS);
            metadata.readEras((long) index * SLICE_BLOCKS, count, slice, 0);
        } catch (IOException | RuntimeException | Error e) {
            lose(INVALID, e);
            return;
        }
        sliceBytes.clear();
        for (int i = 0; i < count; i++) {
            sliceBytes.putInt(slice[i]);
        }
        try {
            file.write(sliceOffset(index), sliceBytes.flip());
            usedBytes.add(SLICE_BYTES);
            kept.set(index);
        } catch (IOException | RuntimeException | Error e) {
            lose(OVERFLOW, e);
        }
    }

    private long sliceOffset(long index) {
        return (lengthBytes + SLICE_BYTES - 1) / SLICE_BYTES * SLICE_BYTES + index * SLICE_BYTES;
    }

    /**
     * Reads eras of slices that are not in the file from the live metadata; on the metadata thread. {@code firstBlock} is
     * the first of a slice. The rest is for {@link #readKept}.
     */
    void readLive(EraMetadata metadata, long firstBlock, int count, int[] eras) throws IOException {
        for (int at = 0; at < count; at += SLICE_BLOCKS) {
            if (!kept.get((firstBlock + at) / SLICE_BLOCKS)) {
                metadata.readEras(firstBlock + at, Math.min(SLICE_BLOCKS, count - at), eras, at);
            }
        }
    }

    /** Reads eras of slices that are in the file, those included that have come there since {@link #readLive}. */
    void readKept(long firstBlock, int count, int[] eras) throws IOException {
        enter();
        try {
            ByteBuffer bytes = ByteBuffer.allocate(SLICE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
            for (int at = 0; at < count; at += SLICE_BLOCKS) {
                long index = (firstBlock + at) / SLICE_BLOCKS;
                if (kept.get(index)) {
                    int n = Math.min(SLICE_BLOCKS, count - at);
                    file.read(sliceOffset(index), bytes.clear().limit(n * Integer.BYTES));
                    bytes.flip().asIntBuffer().get(eras, at, n);
                }
            }
            requireWhole();
        } finally {
            leave();
        }
    }

    /** As {@link ChangeTracking#lastWritten}, as it was then. */
    boolean lastWritten(long offsetBytes, long length, ChangeTracking.EraRuns visitor) throws IOException {
        requireWhole();
        return eras.lastWritten(this, offsetBytes, length, visitor);
    }

    // ---- the end

    /** Returns when no reader is under way any more; of a view that is lost, so that no other comes. */
    void awaitNoReaders() {
        while (readers.get() > 0) {
            LockSupport.parkNanos(LOOK_NANOS);
        }
    }

    /** Ends it: copies are no longer made, and the space of those that were is free. */
    @Override
    public void close() throws IOException {
        synchronized (readers) {
            if (lost == null) {
                why = new IOException("it has been thawed");
                lost = INVALID;
            }
        }
        views.end(this);
        awaitNoReaders();
        file.close();
    }
}
