// SPDX-License-Identifier: Apache-2.0
package org.dmera.bench.engine;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.SplittableRandom;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.metadata.EraMetadata;

/**
 * What {@link EngineMarks} measures, in CPU time of the thread instead of wall time: for machines that are busy with
 * something else.
 */
public final class MarkCpu {
    private static final int NR_BLOCKS = 1 << 20;

    private MarkCpu() {}

    public static void main(String[] args) throws IOException {
        for (int round = 0; round < 3; round++) {
            for (int marksPerCommit : new int[] {1, 32, 1024}) {
                measure(marksPerCommit, true);
                measure(marksPerCommit, false);
            }
        }
    }

    private static void measure(int marksPerCommit, boolean random) throws IOException {
        EraMetadata metadata = EraMetadata.openOrFormat(new MemoryBlockDevice(8192), 8);
        metadata.resize(NR_BLOCKS);
        metadata.newEra();
        metadata.commit();
        SplittableRandom numbers = new SplittableRandom(1);
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        long written = metadata.blocksWritten();
        long commits = 0;
        int block = 0;
        long start = threads.getCurrentThreadCpuTime();
        long took;
        do {
            for (int i = 0; i < marksPerCommit; i++) {
                block = random ? numbers.nextInt(NR_BLOCKS) : block + 1 & NR_BLOCKS - 1;
                metadata.mark(block);
            }
            metadata.commit();
            commits++;
            took = threads.getCurrentThreadCpuTime() - start;
        } while (took < 2_000_000_000L);
        System.out.printf(
                "%4d %s marks a commit: %,d commits/s, %,d marks/s, %.1f blocks written a commit%n",
                marksPerCommit,
                random ? "random" : "sequential",
                commits * 1_000_000_000L / took,
                commits * marksPerCommit * 1_000_000_000L / took,
                (metadata.blocksWritten() - written) / (double) commits);
    }
}
