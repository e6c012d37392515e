// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.testkit.MetadataDiff;
import org.junit.jupiter.api.DynamicTest;

/**
 * The same operations through the kernel and through our engine, from the same bytes: every image must have the same bytes in
 * every referenced block, every status line the same figures; and what the kernel wrote must read as it was written.
 *
 * <p>Given metadata of our making to begin with, this is also the proof that the kernel takes it and goes on with it.
 */
final class TwinCase implements LabCase {
    private final Workload workload;
    private final MetadataSource start;

    /** Metadata of our making. */
    @FunctionalInterface
    interface MetadataSource {
        byte[] bytes() throws IOException;
    }

    /** From a blank metadata device. */
    TwinCase(Workload workload) {
        this(workload, () -> new byte[workload.metadataKib() * 1024]);
    }

    TwinCase(Workload workload, MetadataSource start) {
        this.workload = workload;
        this.start = start;
    }

    @Override
    public String name() {
        return workload.name();
    }

    @Override
    public void prepare(Path folder) throws IOException {
        Files.write(folder.resolve("start.img"), start.bytes());
    }

    @Override
    public String script() {
        // The kernel's worker goes first whenever it has something to do: the case's own processes run when nothing
        // else
        // wants to.
        return "chrt --idle --pid 0 $$\n" + workload.script();
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        List<DynamicTest> checks = new ArrayList<>();
        checks.add(DynamicTest.dynamicTest("theEngineLeavesTheKernelsBytesAndStatusLines", () -> compare(folder, log)));
        workload.images()
                .forEach((name, expected) -> checks.add(DynamicTest.dynamicTest(
                        name + "ReadsAsItWasWritten",
                        () -> ImageJudgement.of(folder.resolve(name + ".img"), expected, log)
                                .judge())));
        return checks.stream();
    }

    private void compare(Path folder, CaseLog log) throws IOException {
        byte[] bytes = Files.readAllBytes(folder.resolve("start.img"));
        new EngineReplay(bytes, workload.record().blockSizeSectors(), new EngineReplay.Listener() {
                    @Override
                    public void status(int step, String label, String ours) {
                        String[] kernels = log.answer("status", label).split(" ", 4);
                        assertEquals(kernels[3], ours, "status " + label + " in step " + step);
                    }

                    @Override
                    public void image(int step, String name, byte[] ours) throws IOException {
                        MemoryBlockDevice kernels =
                                new MemoryBlockDevice(Files.readAllBytes(folder.resolve(name + ".img")));
                        List<MetadataDiff.Difference> differences =
                                MetadataDiff.compare(kernels, new MemoryBlockDevice(ours));
                        if (!differences.isEmpty()) {
                            // For whoever looks into it.
                            Files.write(folder.resolve(name + ".ours.img"), ours);
                        }
                        assertTrue(
                                differences.isEmpty(),
                                () -> name + " in step " + step + " (kernel / ours): " + differences);
                    }
                })
                .run(workload.operations());
    }
}
