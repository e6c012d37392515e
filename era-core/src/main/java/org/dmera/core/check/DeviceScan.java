// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.read.BlockSource;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.SharedReading;
import org.dmera.core.read.StoredCounts;

/**
 * The pass over the device: reads the blocks that the space map counts as used, in device order, in large pieces, on every
 * thread that is given, and leaves in the {@link BlockUse} what it saw. Others are read when a walk visits them.
 */
public final class DeviceScan extends SharedReading {
    /** Blocks in a piece: 1 MiB. */
    private static final int PIECE = 256;
    /** Holes that are read through rather than skipped. */
    private static final int HOLE = 16;

    private final BlockDevice device;
    private final BlockUse table;
    private final StoredCounts counts;
    private final BlockVerdict verdict;
    private final CheckOptions options;
    private final AtomicInteger taken = new AtomicInteger();
    private final int pieces;

    /** {@code counts}: what the space map stores, or null to read every block. */
    DeviceScan(BlockDevice device, BlockUse table, StoredCounts counts, BlockVerdict verdict, CheckOptions options) {
        super("the device");
        this.device = device;
        this.table = table;
        this.counts = counts;
        this.verdict = verdict;
        this.options = options;
        this.pieces = (table.size() + PIECE - 1) / PIECE;
    }

    /** Reads all blocks of {@code device}, whatever counts them, and leaves in {@code table} what they are. */
    public static void readAll(BlockDevice device, BlockUse table) {
        new DeviceScan(device, table, null, new BlockVerdict(-1), CheckOptions.defaults()).runAll();
    }

    /**
     * Reads everything; returns when all threads are done.
     *
     * @throws UncheckedIOException when a thread was interrupted, which says nothing about the device
     */
    void runAll() {
        int nrUsed = 0;
        for (int piece = 0; piece < pieces; piece++) {
            nrUsed += firstUsed(piece * PIECE, end(piece)) < end(piece) ? 1 : 0;
        }
        // A thread costs more than reading two pieces does.
        int threads = Math.max(1, Math.min(options.threads(), (nrUsed + 1) / 2));
        try {
            share(threads, options.executor());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    protected void read() throws IOException {
        ByteBuffer buffer = null;
        BlockVerdict eye = verdict.another();
        for (int piece = taken.getAndIncrement(); piece < pieces && !hasFailed(); piece = taken.getAndIncrement()) {
            int end = end(piece);
            int next;
            for (int from = firstUsed(piece * PIECE, end); from < end; from = next) {
                int to = from + 1;
                for (next = firstUsed(to, end); next < end && next - to <= HOLE; next = firstUsed(to, end)) {
                    to = next + 1;
                }
                buffer = buffer == null ? BlockSource.newBuffer(Math.min(PIECE, table.size())) : buffer;
                scan(from, to, buffer, eye);
            }
            options.progress().advanced(end(piece) - piece * PIECE);
        }
    }

    private int firstUsed(int from, int end) {
        return counts == null ? from : counts.firstUsed(from, end);
    }

    /** Where the next piece begins. */
    private int end(int piece) {
        return Math.min(table.size(), (piece + 1) * PIECE);
    }

    private void scan(int from, int to, ByteBuffer buffer, BlockVerdict eye) throws IOException {
        buffer.clear().limit((to - from) * BlockDevice.BLOCK_BYTES);
        try {
            device.read(from, buffer);
        } catch (ClosedChannelException | InterruptedIOException e) {
            // Says nothing about the device: see BlockSource.
            throw e;
        } catch (IOException e) {
            // Which of them is unreadable shows when they are read one by one, by the walk that needs them.
            return;
        }
        for (int b = from; b < to; b++) {
            table.verdict(b, eye.classify(buffer, (b - from) * BlockDevice.BLOCK_BYTES, b));
        }
    }
}
