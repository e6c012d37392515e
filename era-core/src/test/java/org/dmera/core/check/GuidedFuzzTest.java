// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.BiFunction;
import org.dmera.testkit.CoverageLoader;
import org.dmera.testkit.Fixtures;
import org.dmera.testkit.MetadataMutator;
import org.dmera.testkit.Probes;
import org.junit.jupiter.api.Test;

/**
 * Mutates metadata, and goes on from those mutants that took a branch which none had taken before, or whose findings
 * went further than any before (by powers of two, so that loops count too).
 *
 * <p>JaCoCo's probes tell of branches: era-core is loaded once more with a probe in each. What must hold for every mutant
 * is in {@link FuzzSubject}. 45 seconds in the ordinary run; half an hour nightly or as long as {@code -Dera.fuzz.seconds} says,
 * with a seed of its own then.
 */
class GuidedFuzzTest {
    private static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");
    private static final Long SECONDS = Long.getLong("era.fuzz.seconds");
    private static final long BUDGET_NANOS = (SECONDS != null ? SECONDS : NIGHTLY ? 1800 : 45) * 1_000_000_000L;
    private static final int MUTATED_BLOCKS = 48;
    private static final int HEAD_BYTES = MUTATED_BLOCKS * 4096;
    private static final int MAX_MUTANTS = 3000;
    private static final long MAX_NANOS = 30_000_000_000L;
    private static final long MAX_ALLOCATED_BYTES = 1L << 30;
    private static final String[] SEEDS = {
        "a_fresh_bs8.formatted",
        "b_eras_bs8.live",
        "c_snap_bs24.live",
        "e_crash_bs24.crash",
        "g_resize.shrunk_live",
        "f_undigested.crash"
    };
    /** The last is large, and takes the time of twenty others. */
    private static final int USED_SEEDS = NIGHTLY || SECONDS != null ? SEEDS.length : SEEDS.length - 1;

    /** A mutant: which fixture it comes from, over how many others, and what its first blocks have become. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Mutant(int seed, int generation, byte[] head) {}

    private final List<Mutant> corpus = new ArrayList<>();
    private final Set<String> outcomes = new HashSet<>();
    private final byte[][] images = new byte[SEEDS.length][];
    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private BiFunction<byte[], byte[], String> subject;

    @Test
    @SuppressWarnings("unchecked")
    void noMutantHangsCrashesLosesMarksOrGetsRebuiltUnsound() throws Exception {
        subject = (BiFunction<byte[], byte[], String>) new CoverageLoader()
                .loadClass(FuzzSubject.class.getName())
                .getConstructor()
                .newInstance();
        for (int i = 0; i < USED_SEEDS; i++) {
            images[i] = Fixtures.imageBytes(Fixtures.image(SEEDS[i]));
            corpus.add(new Mutant(i, 0, Arrays.copyOf(images[i], HEAD_BYTES)));
            outcomes.add(outcome(corpus.get(i), images[i], "unchanged"));
        }
        Probes.harvest();
        int atFirst = Probes.passed();
        long seed = NIGHTLY || SECONDS != null ? System.nanoTime() : 11;
        Random random = new Random(seed);
        MetadataMutator mutator = new MetadataMutator(random);
        long begun = System.nanoTime();
        int tries = 0;
        int byDescendants = 0;
        for (; System.nanoTime() - begun < BUDGET_NANOS; tries++) {
            Mutant parent = corpus.get(pick(random));
            byte[] image = images[parent.seed].clone();
            System.arraycopy(parent.head, 0, image, 0, HEAD_BYTES);
            mutator.mutate(image, corpus.get(random.nextInt(corpus.size())).head, MUTATED_BLOCKS);
            Mutant mutant = new Mutant(parent.seed, parent.generation + 1, Arrays.copyOf(image, HEAD_BYTES));
            boolean isNewOutcome = outcomes.add(outcome(mutant, image, "seed " + seed + ", try " + tries));
            int fresh = Probes.harvest();
            byDescendants += parent.generation > 0 ? fresh : 0;
            if (fresh > 0 || isNewOutcome && corpus.size() < MAX_MUTANTS) {
                corpus.add(mutant);
            }
        }
        System.out.println("Fuzzing: " + tries + " mutants; branch probes passed " + atFirst + " by the seeds, "
                + Probes.passed() + " in the end, of " + Probes.known() + "; " + byDescendants
                + " of them first by mutants of mutants; corpus " + corpus.size() + ", " + outcomes.size()
                + " outcomes; seed " + seed);
        assertTrue(Probes.passed() > atFirst + 100, "mutants pass hardly more probes than the seeds do");
        assertTrue(byDescendants > 0, "no kept mutant has led any further");
    }

    /** The young half of the corpus gets most of the attention. */
    private int pick(Random random) {
        return random.nextInt(3) > 0
                ? corpus.size() - 1 - random.nextInt((corpus.size() + 1) / 2)
                : random.nextInt(corpus.size());
    }

    private String outcome(Mutant mutant, byte[] image, String context) throws IOException {
        long begun = System.nanoTime();
        long allocated = threads.getCurrentThreadAllocatedBytes();
        String outcome;
        try {
            outcome = subject.apply(images[mutant.seed], image);
        } catch (RuntimeException | Error e) {
            Path kept = Files.createDirectories(Path.of("target")).resolve("fuzz-failure.bin");
            Files.write(kept, image);
            throw new AssertionError(
                    context + ", from " + SEEDS[mutant.seed] + ", kept in " + kept.toAbsolutePath() + ": " + e, e);
        }
        long took = System.nanoTime() - begun;
        long used = threads.getCurrentThreadAllocatedBytes() - allocated;
        assertTrue(took < MAX_NANOS, () -> context + " took " + took / 1_000_000 + " ms");
        assertTrue(used < MAX_ALLOCATED_BYTES, () -> context + " allocated " + used + " bytes");
        return outcome;
    }
}
