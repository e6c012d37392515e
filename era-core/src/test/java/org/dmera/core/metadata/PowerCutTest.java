// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.testkit.EraExerciser;
import org.dmera.testkit.EraModel;
import org.dmera.testkit.Health;
import org.dmera.testkit.RecordingBlockDevice;
import org.junit.jupiter.api.Test;

/**
 * Cuts the power at every write boundary of random sequences of operations, with random parts of what was not flushed
 * lost or torn. Whatever is left must open, be in perfect health, and mean what the last commit said, or the commit that
 * was being made.
 */
class PowerCutTest {
    private static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");
    private static final int STATES = NIGHTLY ? 100_000 : 2_000;
    private static final int OPERATIONS = NIGHTLY ? 120 : 60;

    /** A commit: which event made it durable at the latest, and what it means. */
    private record Commit(int event, EraModel means) {}

    private int states;

    @Test
    void whatAPowerCutLeavesIsTheLastCommitOrTheNext() throws IOException {
        for (long seed = 1; states < STATES; seed++) {
            cutThroughout(seed, seed % 3 == 0 ? 12 : 4096);
        }
        assertTrue(states >= STATES, states + " states");
    }

    private void cutThroughout(long seed, int cacheBlocks) throws IOException {
        Random random = new Random(seed);
        int maxBlocks = 1 + random.nextInt(4000);
        RecordingBlockDevice device = new RecordingBlockDevice(new MemoryBlockDevice(48 + random.nextInt(64)));
        List<Commit> commits = new ArrayList<>();
        commits.add(new Commit(0, null));
        EraExerciser exerciser = new EraExerciser(
                device, seed, maxBlocks, cacheBlocks, state -> commits.add(new Commit(device.eventCount(), state)));
        exerciser.onInnerCommit(state -> commits.add(new Commit(device.eventCount(), state)));
        for (int i = 0; i < OPERATIONS; i++) {
            exerciser.step();
        }
        RecordingBlockDevice.PowerCuts cuts = device.new PowerCuts();
        int last = 0;
        do {
            while (last + 1 < commits.size() && commits.get(last + 1).event() <= cuts.position()) {
                last++;
            }
            EraModel before = commits.get(last).means();
            EraModel next = last + 1 < commits.size() ? commits.get(last + 1).means() : before;
            String when = "seed " + seed + ", cut after event " + cuts.position();
            RecordingBlockDevice.PowerCuts.Survivor judge = found -> judge(found, before, next, when, random);
            cuts.cutWithoutUnflushed(judge);
            if (cuts.unflushedCount() > 0) {
                cuts.cutWithAllUnflushed(judge);
                cuts.cutAtRandom(random, judge);
                cuts.cutAtRandom(random, judge);
            }
        } while (cuts.advance());
    }

    private void judge(MemoryBlockDevice found, EraModel before, EraModel next, String when, Random random)
            throws IOException {
        states++;
        if (EraMetadata.isBlank(found)) {
            assertEquals(null, before, when + ": a formatted device became blank");
            return;
        }
        EraModel means = EraModel.read(found);
        assertTrue(
                before != null && before.sameMeaning(means) || next != null && next.sameMeaning(means),
                () -> when + ": means " + means + "; before " + before + "; next " + next);
        Health.require(found, when);
        if (random.nextInt(NIGHTLY ? 50 : 20) == 0) {
            MemoryBlockDevice copy = new MemoryBlockDevice(found.bytes().clone());
            EraExerciser goesOn = new EraExerciser(copy, states, 4000, 64, state -> {});
            for (int i = 0; i < 10; i++) {
                goesOn.step();
            }
            assertTrue(goesOn.lastCommitted().sameMeaning(EraModel.read(copy)), when + ", gone on with");
        }
    }
}
