// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Random;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.persistent.NoSpaceException;
import org.dmera.testkit.EraExerciser;
import org.dmera.testkit.EraModel;
import org.dmera.testkit.FaultyBlockDevice;
import org.dmera.testkit.Health;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Full devices and failing ones: a clean error, and the last committed state on the device. */
class FailureTest {
    @ParameterizedTest
    @ValueSource(ints = {16, 4096})
    void aFailingReadWriteOrFlushLeavesTheLastCommitOrTheOneBeingMade(int cacheBlocks) throws IOException {
        Random random = new Random(cacheBlocks);
        MemoryBlockDevice memory = new MemoryBlockDevice(400);
        FaultyBlockDevice device = new FaultyBlockDevice(memory);
        // Every failure is survived within step(), which compares what is on the device with the model.
        EraExerciser exerciser = new EraExerciser(device, cacheBlocks, 6000, cacheBlocks, state -> {});
        exerciser.truth(memory);
        int injected = 0;
        for (int i = 0; i < 3000; i++) {
            boolean reads = random.nextInt(3) == 0;
            device.failAfter(random.nextInt(reads ? 60 : 12), reads, random.nextInt(20));
            exerciser.step();
            injected += device.isArmed() ? 0 : 1;
            device.failAfter(-1, false, 0);
            if (i % 5 == 0) {
                Health.require(memory, "after " + exerciser.last());
            }
        }
        assertTrue(injected > 200, injected + " failures injected");
        assertTrue(exerciser.failures() > 200, exerciser.failures() + " failures survived");
    }

    @Test
    void everyDeviceThatIsTooSmallFailsCleanlyAndKeepsTheLastCommit() throws IOException {
        int smallestThatWorks = 0;
        for (int blocks = 1; blocks <= 40; blocks++) {
            MemoryBlockDevice memory = new MemoryBlockDevice(blocks);
            EraModel committed = null;
            try {
                EraMetadata metadata = EraMetadata.openOrFormat(memory, 8);
                committed = EraModel.read(memory);
                metadata.resize(3000);
                metadata.commit();
                committed = EraModel.read(memory);
                metadata.rollover();
                metadata.commit();
                committed = EraModel.read(memory);
                metadata.mark(2999);
                metadata.commit();
                smallestThatWorks = smallestThatWorks == 0 ? blocks : smallestThatWorks;
            } catch (NoSpaceException e) {
                assertTrue(e.getMessage().startsWith("no space left on the metadata device"), e.getMessage());
                assertEquals(0, smallestThatWorks, "a larger device is not worse");
                if (committed == null) {
                    assertTrue(EraMetadata.isBlank(memory), "nothing valid is left by a format that failed");
                } else {
                    Health.require(memory, blocks + " blocks");
                    assertTrue(committed.sameMeaning(EraModel.read(memory)), blocks + " blocks");
                }
            }
        }
        assertTrue(smallestThatWorks > 8 && smallestThatWorks < 32, "works from " + smallestThatWorks + " blocks on");
    }

    @Test
    void aDeviceWithoutOneBlockIsAnError() {
        assertThrows(IOException.class, () -> EraMetadata.openOrFormat(new MemoryBlockDevice(0), 8));
    }

    @Test
    void aFullDeviceRefusesEverythingUntilItIsOpenedAgain() throws IOException {
        MemoryBlockDevice memory = new MemoryBlockDevice(40);
        EraMetadata metadata = EraMetadata.openOrFormat(memory, 8);
        metadata.resize(5000);
        metadata.newEra();
        metadata.commit();
        IOException full = assertThrows(IOException.class, () -> {
            for (int i = 0; i < 100; i++) {
                metadata.mark(i);
                metadata.rollover();
                metadata.commit();
            }
        });
        assertInstanceOf(NoSpaceException.class, full);
        EraModel left = EraModel.read(memory);
        assertNotNull(metadata.failure());
        assertThrows(MetadataFailedException.class, () -> metadata.mark(1));
        assertThrows(MetadataFailedException.class, metadata::commit);
        assertThrows(MetadataFailedException.class, metadata::rollover);
        assertThrows(MetadataFailedException.class, metadata::stats);
        assertThrows(MetadataFailedException.class, metadata::takeSnapshot);
        Health.require(memory, "full");
        assertTrue(left.sameMeaning(EraModel.read(memory)));

        EraMetadata again = EraMetadata.openOrFormat(memory, 8);
        Digest digest = new Digest(again);
        digest.begin();
        // Digestion needs little and frees much.
        for (int i = 0; i < 2000 && digest.step(); i++) {
            if (i % 20 == 0) {
                again.commit();
            }
        }
        again.commit();
        again.rollover();
        again.commit();
        Health.require(memory, "digested");
    }

    @Test
    void aHundredThousandCheckpointsLeakNothing() throws IOException {
        int checkpoints = Boolean.getBoolean("era.nightly") ? 100_000 : 20_000;
        MemoryBlockDevice memory = new MemoryBlockDevice(64);
        EraMetadata metadata = EraMetadata.openOrFormat(memory, 8, 64);
        metadata.resize(250);
        metadata.newEra();
        metadata.commit();
        long used = metadata.stats().usedBlocks();
        Digest digest = new Digest(metadata);
        Random random = new Random(1);
        for (int i = 0; i < checkpoints; i++) {
            metadata.mark(random.nextInt(250));
            metadata.commit();
            metadata.rollover();
            metadata.commit();
            digest.begin();
            while (digest.step()) {
                // To the end.
            }
            metadata.commit();
            assertEquals(used, metadata.stats().usedBlocks(), "after checkpoint " + i);
        }
        Health.require(memory, "at the end");
    }
}
