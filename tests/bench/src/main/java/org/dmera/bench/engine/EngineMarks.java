// SPDX-License-Identifier: Apache-2.0
package org.dmera.bench.engine;

import java.io.IOException;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.metadata.EraMetadata;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Marks and commits on a memory device: what the engine itself costs, without a disk. One operation is one commit; the
 * extra figures are the marks made and the metadata blocks written a second.
 */
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(
        value = 1,
        jvmArgsAppend = {"-Xmx1g", "-XX:+UseSerialGC"})
public class EngineMarks {
    private static final int NR_BLOCKS = 1 << 20;

    @State(Scope.Thread)
    public static class Target {
        @Param({"1", "32", "1024"})
        int marksPerCommit;

        @Param({"random", "sequential"})
        String pattern;

        EraMetadata metadata;
        SplittableRandom random;
        int next;

        @Setup(Level.Iteration)
        public void open() throws IOException {
            metadata = EraMetadata.openOrFormat(new MemoryBlockDevice(8192), 8);
            metadata.resize(NR_BLOCKS);
            metadata.newEra();
            metadata.commit();
            random = new SplittableRandom(1);
        }

        int nextBlock() {
            next = pattern.equals("random") ? random.nextInt(NR_BLOCKS) : next + 1 & NR_BLOCKS - 1;
            return next;
        }
    }

    @State(Scope.Thread)
    @AuxCounters(AuxCounters.Type.OPERATIONS)
    public static class Figures {
        public long marks;
        public long blocksWritten;

        @Setup(Level.Iteration)
        public void clear() {
            marks = 0;
            blocksWritten = 0;
        }
    }

    @Benchmark
    public void markAndCommit(Target target, Figures figures) throws IOException {
        long before = target.metadata.blocksWritten();
        for (int i = 0; i < target.marksPerCommit; i++) {
            target.metadata.mark(target.nextBlock());
        }
        target.metadata.commit();
        figures.marks += target.marksPerCommit;
        figures.blocksWritten += target.metadata.blocksWritten() - before;
    }
}
