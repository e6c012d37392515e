// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.read.MetadataRoots;
import org.junit.jupiter.api.DynamicTest;

/**
 * Every moment at which the power can fail. The kernel's metadata writes are recorded, and from the record is built what the
 * device could hold at each flush: all that was flushed, and of what came after it nothing, all, or any part. Each such state
 * must be clean, and no write that was over before it may be missing.
 */
final class PowerCutCase implements LabCase {
    private final Workload workload;
    private final long seed;

    PowerCutCase(Workload workload, long seed) {
        this.workload = workload;
        this.seed = seed;
    }

    @Override
    public String name() {
        return workload.name();
    }

    @Override
    public String script() {
        return workload.recordedScript();
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        return Stream.of(DynamicTest.dynamicTest(
                "noStateBetweenTwoFlushesIsDamagedOrForgetsAWrite",
                () -> judge(WriteLog.read(folder.resolve("writes.log")))));
    }

    private void judge(WriteLog log) throws Exception {
        Random random = new Random(seed);
        byte[] flushed = new byte[workload.metadataKib() * 1024];
        List<WriteLog.Entry> pending = new ArrayList<>();
        // The device is formatted by the first step: before that commit there is nothing to be read.
        boolean formatted = false;
        int step = -1;
        int states = 0;
        for (WriteLog.Entry entry : log.entries()) {
            if (WriteLog.END.equals(entry.mark())) {
                break;
            }
            if (entry.mark() != null) {
                if (formatted) {
                    requireSound(withSomeOf(flushed, pending, random), step);
                    states++;
                }
                step = Integer.parseInt(entry.mark());
                continue;
            }
            if (entry.flush()) {
                if (formatted) {
                    requireSound(withSomeOf(flushed, pending, random), step);
                    states++;
                }
                pending.forEach(write -> put(flushed, write));
                pending.clear();
                formatted = formatted || currentEra(flushed) > 0;
            }
            if (entry.data() != null) {
                if (entry.fua()) {
                    put(flushed, entry);
                } else {
                    pending.add(entry);
                }
            }
        }
        assertTrue(states > workload.operations().size(), "only " + states + " states in the record");
    }

    /** A device that has kept what was flushed and, of the rest, what chance wants: often nothing or all. */
    private static byte[] withSomeOf(byte[] flushed, List<WriteLog.Entry> pending, Random random) {
        byte[] state = flushed.clone();
        int keepOfFour = random.nextInt(5);
        for (WriteLog.Entry write : pending) {
            if (random.nextInt(4) < keepOfFour) {
                put(state, write);
            }
        }
        return state;
    }

    private static void put(byte[] device, WriteLog.Entry write) {
        write.data()
                .duplicate()
                .get(device, Math.toIntExact(write.offsetBytes()), write.data().remaining());
    }

    private static long currentEra(byte[] device) {
        return KernelImage.of(device).superblock().currentEra();
    }

    private void requireSound(byte[] state, int step) throws Exception {
        MemoryBlockDevice device = new MemoryBlockDevice(state);
        CheckReport report = MetadataChecker.check(device);
        assertTrue(report.isClean(), () -> "in step " + step + " a power cut leaves damage:\n" + report);

        EraRecord before = workload.before(step);
        MetadataRoots roots = MetadataRoots.read(device);
        long blocks = Math.min(before.nrBlocks(), roots.nrBlocks());
        for (int since : new int[] {1, Math.max(1, before.era() - 1), Math.max(1, before.era())}) {
            BlockSet changed = ChangedBlocks.since(device, roots, since);
            for (int block = 0; block < blocks; block++) {
                if (before.eraOfBlock(block) >= since && !changed.contains(block)) {
                    throw new AssertionError("a power cut in step " + step + " forgets that block " + block
                            + " was written in era " + before.eraOfBlock(block) + " (asked for " + since + ")");
                }
            }
        }
    }
}
