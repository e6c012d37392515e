// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.apply;

import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Future;
import org.dmera.tools.backup.copy.Workers;
import org.dmera.tools.backup.stream.Chunk;
import org.dmera.tools.backup.stream.ChunkDecoder;
import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamReader;

/**
 * The chunks of one stream, verified, in order: the caller's thread reads, workers verify and unpack and then do what
 * is to be done with each chunk. A chunk that is wrong never reaches that step.
 */
public final class DecodedChunks implements Closeable {
    /** What a worker does with a verified chunk. Chunks may be handed over in any order, and at the same time. */
    public interface Work {
        /**
         * Takes a chunk.
         *
         * @param chunk verified; valid during the call
         * @throws IOException when what is done with it fails
         */
        void accept(Chunk chunk) throws IOException;
    }

    private static final int THREADS = 4;
    private static final int SLOTS = 2 * THREADS;

    private final StreamReader stream;
    private final long barrier;
    private final Work work;
    private final Workers workers = new Workers("era-stream", THREADS);
    private final ConcurrentLinkedQueue<ChunkDecoder> decoders = new ConcurrentLinkedQueue<>();
    private final Deque<Slot> running = new ArrayDeque<>();
    private final Deque<Slot> idle = new ArrayDeque<>();
    private Slot returned;
    private long begun;
    private boolean ended;

    private static final class Slot {
        final Chunk chunk = new Chunk();
        Future<Void> done;
    }

    /**
     * Reads nothing yet.
     *
     * @param stream stays open
     * @param work is done on a worker's thread, before the chunk is returned by {@link #next}
     */
    public DecodedChunks(StreamReader stream, Work work) {
        this(stream, 0, work);
    }

    /** {@code barrier}: from this chunk on none is worked on before the work on all that precede it is done. */
    DecodedChunks(StreamReader stream, long barrier, Work work) {
        this.stream = stream;
        this.barrier = barrier;
        this.work = work;
    }

    /**
     * {@return the next chunk in order, verified, its work done; null when the stream has ended and its footer fits} It stays
     * valid until the next call.
     *
     * @throws IOException when the stream is damaged or can't be read, or from the work
     */
    public Chunk next() throws IOException {
        if (returned != null) {
            idle.add(returned);
            returned = null;
        }
        while (!ended && running.size() < SLOTS && (begun != barrier || running.isEmpty())) {
            Slot slot = idle.isEmpty() ? new Slot() : idle.remove();
            ended = !stream.next(slot.chunk);
            if (!ended) {
                begun++;
                running.add(slot);
                slot.done = workers.submit(() -> {
                    ChunkDecoder decoder = decoders.poll();
                    if (decoder == null) {
                        decoder = new ChunkDecoder();
                    }
                    try {
                        decoder.decode(slot.chunk, stream);
                    } finally {
                        decoders.add(decoder);
                    }
                    work.accept(slot.chunk);
                    return null;
                });
            }
        }
        Slot oldest = running.poll();
        if (oldest == null) {
            return null;
        }
        Workers.await(oldest.done);
        stream.account(oldest.chunk);
        returned = oldest;
        return oldest.chunk;
    }

    /**
     * {@return the footer, once {@link #next} has returned null}
     *
     * @throws IOException when the stream's counts or its digest are not those of the footer
     */
    public StreamFooter finish() throws IOException {
        return stream.finish();
    }

    @Override
    public void close() {
        workers.close();
        decoders.forEach(ChunkDecoder::close);
    }
}
