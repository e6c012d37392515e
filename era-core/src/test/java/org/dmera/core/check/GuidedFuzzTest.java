// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.testkit.Corruption;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;

/**
 * Mutates metadata, and goes on from those mutants that made the checker or the repair do something new.
 *
 * <p>What counts as new is which rules were found broken in which structures, how far each count went (by powers of two)
 * and how repair ended: every rule has its own branch in the checker, so this covers it as branch counters would, and it
 * needs no instrumentation. Two minutes in the ordinary run, half an hour nightly with a seed of its own.
 */
class GuidedFuzzTest {
    private static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");
    private static final long BUDGET_NANOS = (NIGHTLY ? 1800L : 120L) * 1_000_000_000L;
    private static final int MUTATED_BLOCKS = 48;
    private static final int HEAD_BYTES = MUTATED_BLOCKS * 4096;
    private static final String[] SEEDS = {
        "a_fresh_bs8.formatted", "b_eras_bs8.live", "c_snap_bs24.live", "e_crash_bs24.crash", "g_resize.shrunk_live"
    };

    /** A mutant: which fixture it comes from, and what its first blocks have become. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Mutant(int seed, byte[] head) {}

    private final List<Mutant> corpus = new ArrayList<>();
    private final Set<String> behaviours = new HashSet<>();

    @Test
    void noMutantHangsCrashesOrGetsRebuiltUnsound() throws IOException {
        byte[][] images = new byte[SEEDS.length][];
        for (int i = 0; i < SEEDS.length; i++) {
            images[i] = Fixtures.imageBytes(Fixtures.image(SEEDS[i]));
            corpus.add(new Mutant(i, java.util.Arrays.copyOf(images[i], HEAD_BYTES)));
        }
        long seed = NIGHTLY ? System.nanoTime() : 11;
        Random random = new Random(seed);
        Corruption corruption = new Corruption(random);
        long begun = System.nanoTime();
        int tries = 0;
        while (System.nanoTime() - begun < BUDGET_NANOS) {
            // The young half of the corpus gets most of the attention.
            int pick = random.nextInt(3) > 0
                    ? corpus.size() - 1 - random.nextInt((corpus.size() + 1) / 2)
                    : random.nextInt(corpus.size());
            Mutant parent = corpus.get(pick);
            byte[] image = images[parent.seed].clone();
            System.arraycopy(parent.head, 0, image, 0, HEAD_BYTES);
            corruption.corrupt(image, MUTATED_BLOCKS);
            byte[] head = java.util.Arrays.copyOf(image, HEAD_BYTES);
            String context = "seed " + seed + ", try " + tries;
            if (behaviours.add(behaviour(image, context)) && corpus.size() < 2000) {
                corpus.add(new Mutant(parent.seed, head));
            }
            tries++;
        }
        assertTrue(behaviours.size() > 50, "only " + behaviours.size() + " behaviours in " + tries + " tries");
    }

    private static String behaviour(byte[] image, String context) throws IOException {
        long begun = System.nanoTime();
        MemoryBlockDevice device = new MemoryBlockDevice(image);
        CheckReport report = MetadataChecker.check(device);
        StringBuilder what = new StringBuilder();
        for (DamageKind kind : DamageKind.values()) {
            long found = report.count(kind);
            if (found > 0) {
                what.append(kind.label())
                        .append(64 - Long.numberOfLeadingZeros(found))
                        .append(' ');
            }
        }
        for (Structure structure : Structure.values()) {
            for (Damage damage : report.damages()) {
                if (damage.structure() == structure) {
                    what.append(structure.ordinal()).append(',');
                    break;
                }
            }
        }
        what.append(rebuild(device, context));
        if (!report.isBeyondAutoRepair() && !report.areTreesIncomplete() && SpaceMapRepair.isNeeded(report)) {
            what.append(autoRepair(device, report, context));
        }
        long took = System.nanoTime() - begun;
        assertTrue(took < 30_000_000_000L, () -> context + " took " + took / 1_000_000 + " ms");
        return what.toString();
    }

    private static String rebuild(MemoryBlockDevice device, String context) throws IOException {
        MemoryBlockDevice rebuilt = new MemoryBlockDevice(256);
        Salvage salvage;
        try {
            salvage = Salvage.open(device, new SalvageHints(8, -1, -1));
            salvage.stream(new MetadataBuilder(rebuilt));
        } catch (IOException e) {
            // Refused: by what the message begins with.
            return " refused "
                    + e.getMessage().substring(0, Math.min(24, e.getMessage().length()));
        }
        assertEquals("", MetadataChecker.check(rebuilt).toString(), () -> context + ": the rebuilt metadata");
        return " rebuilt " + salvage.remarks().size();
    }

    private static String autoRepair(MemoryBlockDevice device, CheckReport report, String context) throws IOException {
        try {
            SpaceMapRepair.repair(device, report);
        } catch (IOException e) {
            return " not mended";
        }
        CheckReport after = MetadataChecker.check(device);
        assertEquals(0, after.count(Severity.FATAL), () -> context + ": after repair in place " + after);
        return " mended";
    }
}
