// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * A client that writes random blocks, each filled with a stamp that grows, keeps a queue of requests in flight, and
 * remembers what was acknowledged. Never two writes of one block at once, so that the order of the stamps is the order on
 * the origin.
 */
final class StampWriter implements Runnable {
    private static final int BLOCK = TestEngine.BLOCK_BYTES;
    private static final int DEPTH = 16;

    private final Path socket;
    private final String export;
    private final int firstBlock;
    private final Random random;
    private final LongSupplier era;
    private final long[] acked;
    private final long[] issued;
    private final long[] eraAtIssue;
    private final long[] ackedEra;
    private final boolean[] inFlight;
    private long stamp;
    private volatile boolean stop;
    private final AtomicLong count = new AtomicLong();

    /** Writes {@code blocks} blocks from {@code firstBlock} on; {@code era} tells an era that has begun for certain. */
    StampWriter(Path socket, String export, int firstBlock, int blocks, long seed, long firstStamp, LongSupplier era) {
        this.socket = socket;
        this.export = export;
        this.firstBlock = firstBlock;
        this.random = new Random(seed);
        this.era = era;
        this.stamp = firstStamp;
        this.acked = new long[blocks];
        this.issued = new long[blocks];
        this.eraAtIssue = new long[blocks];
        this.ackedEra = new long[blocks];
        this.inFlight = new boolean[blocks];
    }

    /** Ends after the writes in flight. */
    void stop() {
        stop = true;
    }

    /** Writes acknowledged so far. */
    long count() {
        return count.get();
    }

    /** The last stamp that was acknowledged for its {@code i}-th block, 0 for none. */
    long acked(int i) {
        return acked[i];
    }

    /** The last stamp that was sent for its {@code i}-th block, acknowledged or not. */
    long issued(int i) {
        return issued[i];
    }

    /** An era that had begun when the {@code i}-th block's last acknowledged write was sent. */
    long ackedEra(int i) {
        return ackedEra[i];
    }

    @Override
    public void run() {
        try (WireClient client = WireClient.open(socket, export)) {
            int flying = 0;
            for (; flying < DEPTH; flying++) {
                sendOne(client);
            }
            while (flying > 0) {
                WireClient.Answer answer = client.answer();
                int i = (int) answer.cookie();
                if (answer.error() != 0) {
                    throw new IllegalStateException("write of block " + (firstBlock + i) + " failed: " + answer);
                }
                acked[i] = issued[i];
                ackedEra[i] = eraAtIssue[i];
                inFlight[i] = false;
                count.incrementAndGet();
                if (stop) {
                    flying--;
                } else {
                    sendOne(client);
                }
            }
        } catch (IOException e) {
            // The engine is gone. What was not acknowledged may or may not be there.
            stop = true;
        }
    }

    private void sendOne(WireClient client) throws IOException {
        int i = random.nextInt(acked.length);
        while (inFlight[i]) {
            i = random.nextInt(acked.length);
        }
        inFlight[i] = true;
        issued[i] = ++stamp;
        eraAtIssue[i] = era.getAsLong();
        client.request(WireClient.WRITE, i, (long) (firstBlock + i) * BLOCK, BLOCK, block(stamp));
    }

    private static byte[] block(long stamp) {
        ByteBuffer data = ByteBuffer.allocate(BLOCK);
        while (data.hasRemaining()) {
            data.putLong(stamp);
        }
        return data.array();
    }

    /** The stamp of a block, which must be the same all over it. */
    static long stampOf(ByteBuffer block) throws IOException {
        long stamp = block.getLong(0);
        for (int at = 8; at < BLOCK; at += 8) {
            if (block.getLong(at) != stamp) {
                throw new IOException("torn: " + stamp + " and " + block.getLong(at) + " at " + at);
            }
        }
        return stamp;
    }
}
