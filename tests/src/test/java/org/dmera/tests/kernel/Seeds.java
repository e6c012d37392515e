// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.util.stream.LongStream;

/** Which random cases are run: a few for every run, many at night, or just the one that is named. */
final class Seeds {
    private Seeds() {}

    /** {@code -Dera.kernel.seed=N} runs that seed only. */
    static long[] forWorkloads(Kernel kernel) {
        Long only = Long.getLong("era.kernel.seed");
        if (only != null) {
            return new long[] {only};
        }
        // Each kernel has seeds of its own, and the first few are common to all.
        int count = Lab.NIGHTLY ? 40 : 8;
        return LongStream.concat(
                        LongStream.rangeClosed(1, 3),
                        LongStream.range(0, count - 3).map(i -> first(kernel) + i))
                .toArray();
    }

    static long[] forPowerCuts(Kernel kernel) {
        return LongStream.range(0, Lab.NIGHTLY ? 20 : 2)
                .map(i -> first(kernel) + i)
                .toArray();
    }

    /** The first of the seeds that are this kernel's own. */
    static long first(Kernel kernel) {
        return 100L * (kernel.ordinal() + 1);
    }
}
