// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The probes of the classes that a {@link CoverageLoader} has instrumented: JaCoCo puts one into every branch, and a
 * probe that is passed sets its flag. For one thread at a time.
 */
public final class Probes {
    private static final List<boolean[]> FLAGS = new ArrayList<>();
    /** How many inputs have passed each probe. */
    private static final List<int[]> INPUTS = new ArrayList<>();

    private Probes() {}

    /** Called by instrumented classes, once each: the flags of class {@code name}. */
    @SuppressWarnings("UnusedVariable")
    public static synchronized boolean[] of(long classId, String name, int count) {
        boolean[] flags = new boolean[count];
        FLAGS.add(flags);
        INPUTS.add(new int[count]);
        return flags;
    }

    /** Adds what was passed since the last call to the total; returns how many probes were passed for the first time. */
    public static synchronized int harvest() {
        int fresh = 0;
        for (int c = 0; c < FLAGS.size(); c++) {
            boolean[] flags = FLAGS.get(c);
            int[] inputs = INPUTS.get(c);
            for (int i = 0; i < flags.length; i++) {
                if (flags[i]) {
                    flags[i] = false;
                    fresh += inputs[i]++ == 0 ? 1 : 0;
                }
            }
        }
        return fresh;
    }

    /** Probes that have been passed at all. */
    public static synchronized int passed() {
        return INPUTS.stream()
                .mapToInt(
                        inputs -> (int) Arrays.stream(inputs).filter(n -> n > 0).count())
                .sum();
    }

    /** Probes of all classes that have been loaded. */
    public static synchronized int known() {
        return INPUTS.stream().mapToInt(inputs -> inputs.length).sum();
    }
}
