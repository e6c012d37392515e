// SPDX-License-Identifier: Apache-2.0
package org.dmera.bench.io;

import java.io.EOFException;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.HdrHistogram.Histogram;

/**
 * How long random writes of 4 KiB take that come at a fixed rate, whether or not those before them have been answered: an
 * NBD client whose requests are due at times set beforehand, and whose latencies count from those times. So a server that
 * stops for a while is charged with all the requests that would have come in the meantime, and not with one alone.
 *
 * <pre>WriteLatency SOCKET EXPORT REQUESTS-PER-SECOND SECONDS</pre>
 *
 * <p>One thread sends, receives and looks at the clock without sleeping. The first second is not counted. Prints the
 * number of requests and p50, p99, p99.9, p99.99 and the maximum in µs, separated by blanks.
 */
public final class WriteLatency {
    private static final int BLOCK_BYTES = 4096;
    private static final int REQUEST_BYTES = 28 + BLOCK_BYTES;
    private static final int REPLY_BYTES = 16;
    private static final int BUFFER_REQUESTS = 64;
    private static final long NANOS_PER_SECOND = TimeUnit.SECONDS.toNanos(1);

    private final SocketChannel channel;
    private final long blocks;
    private final long nanosBetween;
    private final long count;
    private final long uncounted;
    private final SplittableRandom random = new SplittableRandom(1);
    private final ByteBuffer out =
            ByteBuffer.allocateDirect(BUFFER_REQUESTS * REQUEST_BYTES).limit(0);
    private final ByteBuffer in = ByteBuffer.allocateDirect(BUFFER_REQUESTS * REPLY_BYTES);
    private final Histogram latencies = new Histogram(TimeUnit.MINUTES.toNanos(1), 3);
    private long start;
    private long sent;
    private long answered;

    private WriteLatency(SocketChannel channel, long sizeBytes, int perSecond, int seconds) {
        this.channel = channel;
        this.blocks = sizeBytes / BLOCK_BYTES;
        this.nanosBetween = NANOS_PER_SECOND / perSecond;
        this.uncounted = perSecond;
        this.count = (long) perSecond * (seconds + 1);
    }

    /** Measures, and prints one line. */
    public static void main(String[] arguments) throws IOException {
        try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(Path.of(arguments[0])))) {
            long sizeBytes = choose(channel, arguments[1]);
            channel.configureBlocking(false);
            int perSecond = Integer.parseInt(arguments[2]);
            WriteLatency run = new WriteLatency(channel, sizeBytes, perSecond, Integer.parseInt(arguments[3]));
            run.run();
            Histogram h = run.latencies;
            System.out.printf(
                    Locale.ROOT,
                    "%d %.0f %.0f %.0f %.0f %.0f%n",
                    h.getTotalCount(),
                    h.getValueAtPercentile(50) / 1e3,
                    h.getValueAtPercentile(99) / 1e3,
                    h.getValueAtPercentile(99.9) / 1e3,
                    h.getValueAtPercentile(99.99) / 1e3,
                    h.getMaxValue() / 1e3);
        }
    }

    /** The old way to choose an export, without structured replies; returns its size in bytes. */
    private static long choose(SocketChannel channel, String export) throws IOException {
        byte[] name = export.getBytes(StandardCharsets.UTF_8);
        receive(channel, 18);
        ByteBuffer choice = ByteBuffer.allocate(20 + name.length)
                .putInt(3)
                .putLong(0x49484156454F5054L)
                .putInt(1)
                .putInt(name.length)
                .put(name)
                .flip();
        while (choice.hasRemaining()) {
            channel.write(choice);
        }
        return receive(channel, 10).getLong();
    }

    private static ByteBuffer receive(SocketChannel channel, int bytes) throws IOException {
        ByteBuffer data = ByteBuffer.allocate(bytes);
        while (data.hasRemaining()) {
            if (channel.read(data) < 0) {
                throw new EOFException("the server closed the connection");
            }
        }
        return data.flip();
    }

    private void run() throws IOException {
        start = System.nanoTime();
        while (answered < count) {
            send();
            answers();
            Thread.onSpinWait();
        }
    }

    private void send() throws IOException {
        if (!out.hasRemaining()) {
            long due = Math.min(count, (System.nanoTime() - start) / nanosBetween + 1);
            out.clear();
            while (sent < due && out.remaining() >= REQUEST_BYTES) {
                out.putInt(0x25609513).putShort((short) 0).putShort((short) 1);
                out.putLong(sent).putLong(random.nextLong(blocks) * BLOCK_BYTES).putInt(BLOCK_BYTES);
                out.putLong(out.position(), sent).position(out.position() + BLOCK_BYTES);
                sent++;
            }
            out.flip();
        }
        if (out.hasRemaining()) {
            channel.write(out);
        }
    }

    private void answers() throws IOException {
        if (channel.read(in) < 0) {
            throw new EOFException("the server closed the connection");
        }
        if (in.position() < REPLY_BYTES) {
            return;
        }
        long now = System.nanoTime();
        in.flip();
        while (in.remaining() >= REPLY_BYTES) {
            int magic = in.getInt();
            int error = in.getInt();
            long number = in.getLong();
            if (magic != 0x67446698 || error != 0) {
                throw new IOException("request " + number + " failed with error " + error);
            }
            if (number >= uncounted) {
                latencies.recordValue(Math.max(0, now - start - number * nanosBetween));
            }
            answered++;
        }
        in.compact();
    }
}
