// SPDX-License-Identifier: Apache-2.0
package org.dmera.bench.engine;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import org.HdrHistogram.Histogram;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.EraWorker;

/**
 * Digests a full writeset of 16 million blocks through the worker, while an unmarked write arrives now and then: how
 * long the whole takes, and how long a write waits for its mark. A write can have arrived at any time in the pass before
 * its own, so that pass counts too.
 *
 * <p>Arguments: the number of passes between writes (100), and optionally a file to use instead of memory.
 */
public final class DigestPauses {
    private static final int NR_BLOCKS = 1 << 24;
    private static final int METADATA_BLOCKS = 50_000;

    private DigestPauses() {}

    public static void main(String[] args) throws IOException {
        int passesPerWrite = args.length > 0 ? Integer.parseInt(args[0]) : 100;
        // Twice: the first run warms the JVM up.
        for (int run = 0; run < 2; run++) {
            try (BlockDevice device =
                    args.length > 1 ? file(Path.of(args[1])) : new MemoryBlockDevice(METADATA_BLOCKS)) {
                run(device, passesPerWrite);
            }
        }
    }

    private static BlockDevice file(Path path) throws IOException {
        Files.deleteIfExists(path);
        try (var channel = Files.newByteChannel(
                path, java.nio.file.StandardOpenOption.CREATE, java.nio.file.StandardOpenOption.WRITE)) {
            channel.position((long) METADATA_BLOCKS * BlockDevice.BLOCK_BYTES - 1);
            channel.write(java.nio.ByteBuffer.allocate(1));
        }
        return FileBlockDevice.open(path, true);
    }

    private static void run(BlockDevice device, int passesPerWrite) throws IOException {
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        EraWorker worker = new EraWorker(metadata);
        metadata.resize(NR_BLOCKS);
        metadata.newEra();
        long start = System.nanoTime();
        for (int block = 0; block < NR_BLOCKS; block++) {
            metadata.mark(block);
        }
        metadata.commit();
        System.out.printf("marked 16 M blocks in one commit: %d ms%n", (System.nanoTime() - start) / 1_000_000);
        start = System.nanoTime();
        metadata.rollover();
        metadata.commit();
        System.out.printf("rollover and commit: %d us%n", (System.nanoTime() - start) / 1000);

        OneWrite work = new OneWrite();
        SplittableRandom random = new SplittableRandom(1);
        Histogram waits = new Histogram(3);
        Histogram cpu = new Histogram(3);
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        long passes = 0;
        long previousPass = 0;
        long previousCpu = 0;
        boolean again = true;
        start = System.nanoTime();
        while (again) {
            boolean write = ++passes % passesPerWrite == 0;
            work.block = write ? random.nextInt(NR_BLOCKS) : -1;
            long cpuBegan = threads.getCurrentThreadCpuTime();
            long began = System.nanoTime();
            again = worker.pass(work);
            long took = System.nanoTime() - began;
            long cpuTook = threads.getCurrentThreadCpuTime() - cpuBegan;
            if (write) {
                waits.recordValue(previousPass + took);
                cpu.recordValue(previousCpu + cpuTook);
            }
            previousPass = took;
            previousCpu = cpuTook;
        }
        long millis = (System.nanoTime() - start) / 1_000_000;
        System.out.printf(
                "digested 16 M bits: %d ms, %d passes, %.1f M bits/s, %d writes marked meanwhile%n",
                millis, passes, NR_BLOCKS / 1000.0 / millis, waits.getTotalCount());
        print("a write waited", waits);
        print("of which the worker's own CPU time", cpu);
    }

    private static void print(String what, Histogram nanos) {
        System.out.printf(
                "%s: median %d us, 99%% %d us, 99.9%% %d us, at most %d us%n",
                what,
                nanos.getValueAtPercentile(50) / 1000,
                nanos.getValueAtPercentile(99) / 1000,
                nanos.getValueAtPercentile(99.9) / 1000,
                nanos.getMaxValue() / 1000);
    }

    private static final class OneWrite implements EraWorker.Work, EraWorker.Writes {
        private int block = -1;

        @Override
        public EraWorker.Writes takeWrites() {
            return block < 0 ? null : this;
        }

        @Override
        public List<EraWorker.Call> takeCalls() {
            return List.of();
        }

        @Override
        public int count() {
            return 1;
        }

        @Override
        public int block(int index) {
            return block;
        }

        @Override
        public void marked() {}

        @Override
        public void failed(Throwable why) {
            throw new IllegalStateException(why);
        }
    }
}
