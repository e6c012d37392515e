// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Future;
import java.util.function.LongConsumer;
import org.dmera.tools.backup.stream.Chunk;
import org.dmera.tools.backup.stream.ChunkEncoder;
import org.dmera.tools.backup.stream.ExtentTable;
import org.dmera.tools.backup.stream.StreamWriter;

/**
 * Copies ranges of an origin into a stream. The caller's thread cuts the ranges into chunks and writes finished chunks
 * in order; workers read, look for zeroes, compress and sum. Chunks live in a ring of slots, so memory is the same
 * whatever the size of the origin.
 */
public final class CopyEngine implements Closeable {
    /**
     * What is looked at for zeroes at once. Smaller finds more, and costs the target more, smaller writes: 64 KiB is
     * what sparse images and thin pools allocate by.
     */
    private static final int ZERO_GRAIN_BYTES = 64 << 10;

    /** Chunks of long reads that are between plan and stream at a time; see {@link #weight}. */
    private static final int LONG_CHUNKS = 4;

    private static final int FEW_EXTENTS = 4;

    /**
     * @param readers how many reads may be in flight
     * @param zstdLevel 1 to 19; 0 stores data as they are
     * @param bytesPerSecond of the origin to read at most; 0 means no limit
     */
    public record Options(int readers, int zstdLevel, long bytesPerSecond) {
        /** 8 reads in flight, zstd level 1, no limit. */
        public static final Options DEFAULT = new Options(8, 1, 0);
    }

    private final OriginSource origin;
    private final byte[] streamId;
    private final Options options;
    private final int grainBytes;
    private final Workers workers;
    private final ConcurrentLinkedQueue<ChunkEncoder> encoders = new ConcurrentLinkedQueue<>();

    /**
     * Starts the threads that read.
     *
     * @param origin stays open
     * @param streamId the 16 bytes of the stream's id
     * @param blockSizeBytes of the era device
     * @param options how to copy
     */
    public CopyEngine(OriginSource origin, byte[] streamId, long blockSizeBytes, Options options) {
        this.origin = origin;
        this.streamId = streamId.clone();
        this.options = options;
        this.grainBytes = (int) Math.min(ZERO_GRAIN_BYTES, blockSizeBytes);
        this.workers = new Workers("era-copy", options.readers);
    }

    /**
     * Copies ranges.
     *
     * @param ranges all of them, in order
     * @param writer gets the chunks
     * @param progress gets how many more bytes of the origin are done, on the caller's thread
     * @throws IOException when the origin or the stream fails; nothing is left running
     */
    public void copy(ByteRanges ranges, StreamWriter writer, LongConsumer progress) throws IOException {
        Planner planner = new Planner(ranges);
        Throttle throttle = new Throttle(options.bytesPerSecond);
        Deque<Slot> running = new ArrayDeque<>();
        Deque<Slot> idle = new ArrayDeque<>();
        int room = 2 * options.readers;
        long sequence = writer.nextSequence();
        Slot planned = planner.next(idle);
        while (true) {
            while (planned != null && (room >= weight(planned.plan) || running.isEmpty())) {
                room -= weight(planned.plan);
                throttle.take(planned.plan.totalBytes(false));
                planned.sequence = sequence++;
                planned.done = workers.submit(planned);
                running.add(planned);
                planned = planner.next(idle);
            }
            Slot oldest = running.poll();
            if (oldest == null) {
                return;
            }
            Workers.await(oldest.done);
            writer.write(oldest.chunk);
            progress.accept(oldest.plan.totalBytes(false) + oldest.plan.totalBytes(true));
            room += weight(oldest.plan);
            idle.add(oldest);
        }
    }

    /**
     * How much of the room for chunks between plan and stream one takes. Scattered blocks want many reads in flight. A
     * few long reads keep a disk as busy as many, and when nothing is to be computed they soon wait for the writer: more
     * of them only drive each other's data out of the processors' caches (a fifth of the rate, where that was measured).
     */
    private int weight(ExtentTable plan) {
        boolean fewAndLong = options.zstdLevel == 0 && plan.size() <= FEW_EXTENTS;
        return fewAndLong ? Math.max(1, 2 * options.readers / LONG_CHUNKS) : 1;
    }

    @Override
    public void close() {
        workers.close();
        encoders.forEach(ChunkEncoder::close);
    }

    /** Cuts ranges into chunks of at most {@link OriginReader#REQUEST_BYTES}; what is a hole is planned as zero, unread. */
    private final class Planner {
        /** Leaves room in the table for extents that zeroes cut in two. */
        private static final int MAX_PLANNED = ExtentTable.MAX_EXTENTS / 8;

        private final ByteRanges ranges;
        private long at;
        private long end;

        Planner(ByteRanges ranges) {
            this.ranges = ranges;
        }

        /** The next chunk, planned, in one of the idle slots or a new one; null when nothing is left. */
        Slot next(Deque<Slot> idle) throws IOException {
            Slot slot = idle.isEmpty() ? new Slot() : idle.remove();
            return plan(slot.plan) ? slot : null;
        }

        private boolean plan(ExtentTable plan) throws IOException {
            plan.clear();
            int room = OriginReader.REQUEST_BYTES;
            while (room > 0 && plan.size() < MAX_PLANNED) {
                if (at == end) {
                    if (!ranges.next()) {
                        break;
                    }
                    at = ranges.beginBytes();
                    end = ranges.endBytes();
                }
                long hole = Math.min(end, origin.holeUntil(at));
                if (hole > at) {
                    plan.add(at, hole - at, true);
                    at = hole;
                    continue;
                }
                int length = (int) Math.min(room, Math.min(end, origin.dataUntil(at)) - at);
                plan.add(at, length, false);
                at += length;
                // What follows an odd length (the origin's end) would not be aligned.
                room = length % OriginReader.ALIGNMENT_BYTES == 0 ? room - length : 0;
            }
            return plan.size() > 0;
        }
    }

    /** A chunk on its way from plan to stream. */
    private final class Slot implements Callable<Void> {
        final ExtentTable plan = new ExtentTable();
        final Chunk chunk = new Chunk();
        long sequence;
        Future<Void> done;

        @Override
        public Void call() throws IOException {
            ByteBuffer data = chunk.data();
            int at = 0;
            for (int i = 0; i < plan.size(); i++) {
                if (plan.isZero(i)) {
                    continue;
                }
                int length = (int) plan.lengthBytes(i);
                origin.read(plan.offsetBytes(i), length, data, at);
                at += length;
            }
            int kept = leaveOutZeroes(data);
            ChunkEncoder encoder = encoders.poll();
            if (encoder == null) {
                encoder = new ChunkEncoder(streamId, options.zstdLevel);
            }
            encoder.encode(chunk, sequence, kept);
            encoders.add(encoder);
            return null;
        }

        /** Fills the chunk's table from the plan, closes the gaps that zeroes leave in the data; returns what is kept. */
        private int leaveOutZeroes(ByteBuffer data) {
            ExtentTable extents = chunk.extents();
            extents.clear();
            data.clear();
            int from = 0;
            int to = 0;
            for (int i = 0; i < plan.size(); i++) {
                long offset = plan.offsetBytes(i);
                long end = offset + plan.lengthBytes(i);
                if (plan.isZero(i)) {
                    extents.add(offset, end - offset, true);
                    continue;
                }
                while (offset < end) {
                    int length = (int) Math.min(end - offset, grainBytes - offset % grainBytes);
                    boolean zero = Zeroes.fill(data, from, length);
                    extents.add(offset, length, zero);
                    if (!zero) {
                        if (to != from) {
                            data.put(to, data, from, length);
                        }
                        to += length;
                    }
                    from += length;
                    offset += length;
                }
            }
            return to;
        }
    }
}
