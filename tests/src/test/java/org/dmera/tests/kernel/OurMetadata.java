// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import javax.xml.stream.XMLStreamException;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.RefusedException;
import org.dmera.testkit.Fixtures;

/**
 * Ours to theirs: metadata that our tools and our engine have made, each with the record of what it should say. The kernel must
 * take it, and go on with it as our engine does.
 */
final class OurMetadata {
    private static final int METADATA_KIB = 4096;
    private static final int STEPS_AFTERWARDS = 14;

    private OurMetadata() {}

    static List<LabCase> cases(long seed) {
        try {
            List<LabCase> cases = new ArrayList<>();
            cases.add(fromEngine("engineCrashedWithASnapshotHeld" + seed, seed));
            Written undigested = withManyWritesets(seed);
            cases.add(goingOn("engineLeftWritesetsUndigested" + seed, undigested, seed));
            cases.add(restored("restoredWithManyWritesets" + seed, undigested.metadata, seed));
            cases.add(restored("restoredFromTheDumpOfACrash" + seed, fixture("e_crash_bs24.crash_mid"), seed));
            cases.add(restored("restoredFromAnOriginOfTwoBlocks" + seed, fixture("r_fuzz03.clean"), seed));
            cases.add(autoRepaired("autoRepairedCounts" + seed, "r_fuzz00.crash1", seed));
            cases.add(repaired("repairedWithAnArrayBlockLost" + seed, "r_fuzz00.crash1", seed));
            return cases;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (XMLStreamException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Random operations, at least one snapshot held at the end, and then nothing more: as after a power cut. */
    private static LabCase fromEngine(String name, long seed) throws IOException {
        Workload before = WorkloadGenerator.interrupted("before", seed, 40);
        byte[] metadata = new EngineReplay(
                        new byte[METADATA_KIB * 1024], before.record().blockSizeSectors(), EngineReplay.NOBODY)
                .run(before.operations());
        return goingOn(name, new Written(metadata, before.record()), seed);
    }

    /** Eras that ended without the worker being woken, a snapshot among them, and a last one that is still open. */
    private static Written withManyWritesets(long seed) throws IOException {
        Random random = new Random(seed);
        int blockSizeSectors = 8;
        int nrBlocks = 3000;
        MemoryBlockDevice device = new MemoryBlockDevice(METADATA_KIB * 1024 / BlockDevice.BLOCK_BYTES);
        EraMetadata metadata = EraMetadata.openOrFormat(device, blockSizeSectors);
        EraRecord record = new EraRecord(blockSizeSectors);
        metadata.resize(nrBlocks);
        metadata.newEra();
        metadata.commit();
        record.resume((long) nrBlocks * blockSizeSectors);
        for (int era = 1; era <= 12; era++) {
            for (int i = random.nextInt(150); i > 0; i--) {
                int block = random.nextInt(nrBlocks);
                metadata.mark(block);
                record.written(block, block);
            }
            if (era == 7) {
                try {
                    metadata.takeSnapshot();
                } catch (RefusedException e) {
                    throw new IllegalStateException(e);
                }
                record.takeSnapshot();
            } else {
                metadata.rollover();
                record.checkpoint();
            }
            metadata.commit();
        }
        metadata.mark(2999);
        record.written(2999, 2999);
        metadata.commit();
        return new Written(device.bytes().clone(), record);
    }

    /** Dumped and restored by us. */
    private static LabCase restored(String name, byte[] metadata, long seed) throws IOException, XMLStreamException {
        Path folder = Files.createTempDirectory("era-lab");
        try {
            Path input = Files.write(folder.resolve("metadata"), metadata);
            Path xml = folder.resolve("xml");
            Path output = Files.write(folder.resolve("restored"), new byte[metadata.length]);
            Tools.ours("era_dump", "-o", xml.toString(), input.toString()).good();
            Tools.ours("era_restore", "--quiet", "-i", xml.toString(), "-o", output.toString())
                    .good();
            EraRecord record = Dump.parse(Files.readString(xml)).toRecord();
            return goingOn(name, new Written(Files.readAllBytes(output), record), seed);
        } finally {
            delete(folder);
        }
    }

    /** A fixture that has lost a block of its era array, rebuilt by us: its blocks count as written in the current era. */
    private static LabCase repaired(String name, String fixture, long seed) throws IOException, XMLStreamException {
        KernelImage image = KernelImage.of(fixture(fixture));
        Path folder = Files.createTempDirectory("era-lab");
        try {
            Path damaged = folder.resolve("damaged");
            image.write(damaged);
            EraRecord whole = ImageJudgement.dump(damaged).toRecord();
            image.loseFirstArrayBlock();
            image.write(damaged);
            if (Tools.ours("era_check", "--quiet", damaged.toString()).exitCode() == 0) {
                throw new AssertionError("the lost block was not missed");
            }
            Path output = Files.write(folder.resolve("repaired"), new byte[fixture(fixture).length]);
            Tools.ours("era_repair", "--quiet", "-i", damaged.toString(), "-o", output.toString())
                    .good();
            EraRecord record = ImageJudgement.dump(output).toRecord();
            for (int block = 0; block < whole.nrBlocks(); block++) {
                if (record.eraOfBlock(block) < whole.eraOfBlock(block)) {
                    throw new AssertionError("the repair forgets that block " + block + " was written in era "
                            + whole.eraOfBlock(block));
                }
            }
            return goingOn(name, new Written(Files.readAllBytes(output), record), seed);
        } finally {
            delete(folder);
        }
    }

    private static byte[] fixture(String name) {
        return Fixtures.imageBytes(Fixtures.image(name));
    }

    /** A fixture whose reference counts and free counts were spoilt, mended in place. */
    private static LabCase autoRepaired(String name, String fixture, long seed) throws IOException, XMLStreamException {
        KernelImage image = KernelImage.of(fixture(fixture));
        image.spoilCounts(new Random(seed));
        Path folder = Files.createTempDirectory("era-lab");
        try {
            Path file = folder.resolve("metadata");
            image.write(file);
            if (Tools.ours("era_check", file.toString()).exitCode() == 0) {
                throw new AssertionError("spoilt counts were not seen");
            }
            Tools.ours("era_check", "--auto-repair", file.toString()).good();
            byte[] metadata = Files.readAllBytes(file);
            EraRecord record = ImageJudgement.dump(file).toRecord();
            if (image.superblock().metadataSnap() != 0) {
                record.hold(Dump.parse(Tools.ours("era_dump", "--metadata-snapshot", file.toString())
                                .good())
                        .toRecord());
            }
            return goingOn(name, new Written(metadata, record), seed);
        } finally {
            delete(folder);
        }
    }

    private static LabCase goingOn(String name, Written start, long seed) {
        EraRecord record = start.record.copy();
        // Room to grow, and for the shortest length that a workload takes.
        long originSectors = Math.max(record.lengthSectors() * 2, 100L * record.blockSizeSectors());
        Workload workload = new Workload(name, start.metadata.length / 1024, originSectors, record);
        WorkloadGenerator.continueWith(workload, seed, STEPS_AFTERWARDS);
        return new TwinCase(workload, () -> start.metadata);
    }

    /** Metadata, and what was written when by the account of who made it. */
    private static final class Written {
        private final byte[] metadata;
        private final EraRecord record;

        Written(byte[] metadata, EraRecord record) {
            this.metadata = metadata;
            this.record = record;
        }
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path each : files.toList()) {
                Files.delete(each);
            }
        }
        Files.delete(folder);
    }
}
