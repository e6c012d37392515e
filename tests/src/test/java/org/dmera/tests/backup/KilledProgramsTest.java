// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** kill -9 at random moments: running again gives the same result, and nothing half-done is ever taken for whole. */
@Timeout(3600)
class KilledProgramsTest {
    private static final int KILLS = Programs.NIGHTLY ? 200 : 25;
    private static final long IMAGE_BYTES = 48 << 20;

    @TempDir
    private Path folder;

    private final long seed = System.nanoTime();
    private final Random random = new Random(seed);

    /** How long each program takes. */
    private final Map<String, Long> usualNanos = new HashMap<>();

    /** Starts a program, kills it at some moment of the time that it takes, and says whether it was killed. */
    private boolean killed(Programs programs, String program, Object... args) throws Exception {
        long began = System.nanoTime();
        Programs.Running running = programs.start(program, args);
        long wait = (long) (usualNanos.get(program) * (0.3 + 0.8 * random.nextDouble()));
        boolean ended = running.process().waitFor(wait, TimeUnit.NANOSECONDS);
        if (ended) {
            // The machine was busier when that was measured, perhaps.
            usualNanos.merge(program, System.nanoTime() - began, (usual, took) -> (usual + took) / 2);
        }
        running.kill();
        running.await();
        return !ended;
    }

    private void measure(Programs programs, String program, Object... args) throws Exception {
        long began = System.nanoTime();
        programs.run(program, args).good();
        usualNanos.put(program, System.nanoTime() - began);
    }

    @Test
    void aKilledCopyLeavesNoPartOfAStreamAndAKilledApplyIsResumed() throws Exception {
        Programs programs = new Programs(folder, Map.of());
        Path target = folder.resolve("target");
        Path last = folder.resolve("stream0");
        int copies = 0;
        int applies = 0;
        try (TrackedImage image = new TrackedImage(folder, IMAGE_BYTES)) {
            image.scribble(random, 300);
            image.catchUp();
            image.checkpoint();
            measure(programs, "era_copy", "--full", "-m", image.metadata, image.origin, "-o", last);
            measure(programs, "era_apply", last, "-o", target);
            assertEquals(-1L, Files.mismatch(image.origin, target));
            for (int i = 1; copies + applies < KILLS; i++) {
                boolean full = random.nextInt(4) == 0;
                image.scribble(random, 1 + random.nextInt(300));
                image.catchUp();
                image.checkpoint();
                Path stream = folder.resolve("stream" + i);
                Object[] copy = full
                        ? new Object[] {"--full", "-m", image.metadata, image.origin, "-o", stream}
                        : new Object[] {"--after", last, "-m", image.metadata, image.origin, "-o", stream};
                if (killed(programs, "era_copy", copy)) {
                    copies++;
                    if (Files.exists(stream)) {
                        // It came to the end before it died: then the stream is whole.
                        InProcess.run("era_apply", "--dry-run", stream, "-o", target);
                    }
                    InProcess.run("era_copy", copy);
                }
                if (killed(programs, "era_apply", stream, "-o", target)) {
                    applies++;
                    requireRefusalOfWhatComesNext(image, stream, target);
                    InProcess.run("era_apply", stream, "-o", target);
                }
                assertEquals(-1L, Files.mismatch(image.origin, target), "round " + i + ", seed " + seed);
                Files.delete(last);
                last = stream;
            }
        }
        assertTrue(copies > 0 && applies > 0, copies + " copies and " + applies + " applies were killed, seed " + seed);
    }

    /** An increment on top of a stream that is half-way must not go through. */
    private void requireRefusalOfWhatComesNext(TrackedImage image, Path half, Path target) throws IOException {
        Path next = folder.resolve("next");
        InProcess.run("era_copy", "--after", half, "-m", image.metadata, image.origin, "-o", next);
        InProcess.Result result = InProcess.tryRun("era_apply", "--dry-run", next, "-o", target);
        boolean whole =
                InProcess.run("era_apply", "--dry-run", half, "-o", target).contains("was applied before");
        assertTrue(
                whole || result.code() == 1,
                () -> "the next increment was taken although the last one is half-way, seed " + seed + "\n"
                        + result.text());
    }

    @Test
    void aKilledChainOfStreamsIsFinishedByTheSameCommand() throws Exception {
        Programs programs = new Programs(folder, Map.of());
        Path[] chain = new Path[4];
        try (TrackedImage image = new TrackedImage(folder, IMAGE_BYTES)) {
            for (int i = 0; i < chain.length; i++) {
                image.scribble(random, 200);
                image.catchUp();
                image.checkpoint();
                chain[i] = folder.resolve("stream" + i);
                Object[] what = i == 0 ? new Object[] {"--full"} : new Object[] {"--after", chain[i - 1]};
                InProcess.run("era_copy", concat(what, "-m", image.metadata, image.origin, "-o", chain[i]));
            }
            measure(programs, "era_apply", concat(chain, "-o", folder.resolve("target")));
            int kills = Programs.NIGHTLY ? 40 : 4;
            for (int i = 0; i < kills; i++) {
                Path target = folder.resolve("target" + i);
                killed(programs, "era_apply", concat(chain, "-o", target));
                InProcess.run("era_apply", concat(chain, "-o", target));
                assertEquals(-1L, Files.mismatch(image.origin, target), "kill " + i + ", seed " + seed);
                Files.delete(target);
            }
        }
    }

    private static Object[] concat(Object[] first, Object... rest) {
        Object[] all = java.util.Arrays.copyOf(first, first.length + rest.length, Object[].class);
        System.arraycopy(rest, 0, all, first.length, rest.length);
        return all;
    }
}
