// SPDX-License-Identifier: Apache-2.0
package org.dmera.bench.io;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.RawIo;

/**
 * What a 4 KiB write into a file's page cache costs by a channel, and by pwrite(2) through jnr-ffi as an engine would call it:
 * CPU time of the thread for each call, in turn. {@code WriteCalls FILE}, with a file that is there and may be overwritten.
 */
public final class WriteCalls {
    private static final int BLOCK_BYTES = 4096;
    private static final int CALLS = 40_000;
    private static final int WARM_ROUNDS = 5;
    private static final int ROUNDS = 41;

    private WriteCalls() {}

    private interface Write {
        long write(ByteBuffer block, long offsetBytes) throws IOException;
    }

    public static void main(String[] args) throws IOException {
        Path file = Path.of(args[0]);
        ByteBuffer block = ByteBuffer.allocateDirect(BLOCK_BYTES);
        int fd = FileDescriptors.open(args[0], FileDescriptors.O_RDWR);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            compare(channel, fd, block);
        } finally {
            FileDescriptors.close(fd);
            Reference.reachabilityFence(block);
        }
    }

    private static void compare(FileChannel channel, int fd, ByteBuffer block) throws IOException {
        long address = RawIo.address(block);
        Write[] ways = {
            channel::write,
            (from, at) -> RawIo.pwrite(fd, address, from.remaining(), at),
            (from, at) -> RawIo.pwrite(fd, RawIo.address(from) + from.position(), from.remaining(), at)
        };
        String[] names = {"channel", "pwrite, address known", "pwrite, address looked up"};
        long[][] nanos = new long[ways.length][ROUNDS];
        long blocks = channel.size() / BLOCK_BYTES;
        for (int round = -WARM_ROUNDS; round < ROUNDS; round++) {
            for (int way = 0; way < ways.length; way++) {
                long took = nanos(ways[way], block, blocks);
                if (round >= 0) {
                    nanos[way][round] = took / CALLS;
                }
            }
        }
        for (int way = 0; way < ways.length; way++) {
            Arrays.sort(nanos[way]);
            System.out.printf("%s: median %d ns, least %d ns%n", names[way], nanos[way][ROUNDS / 2], nanos[way][0]);
        }
    }

    private static long nanos(Write way, ByteBuffer block, long blocks) throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        long began = threads.getCurrentThreadCpuTime();
        for (int i = 0; i < CALLS; i++) {
            long written = way.write(block.clear(), random.nextLong(blocks) * BLOCK_BYTES);
            if (written != BLOCK_BYTES) {
                throw new IOException("a write ended with " + written);
            }
        }
        return threads.getCurrentThreadCpuTime() - began;
    }
}
