// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.util.stream.LongStream;

/** Which random cases are run: a few for every run, many at night, or just the one that is named. */
final class Seeds {
    private Seeds() {}

    static long[] forWorkloads(Kernel kernel) {
        return LongStream.concat(LongStream.rangeClosed(1, 2), own(kernel, kernel.isEmulated() ? 3 : 4, 40))
                .toArray();
    }

    static long[] forPowerCuts(Kernel kernel) {
        return own(kernel, kernel.isEmulated() ? 1 : 2, 20).toArray();
    }

    static long[] forTwins(Kernel kernel) {
        return own(kernel, kernel.isEmulated() ? 2 : 3, 30).toArray();
    }

    static long[] forOurMetadata(Kernel kernel) {
        return own(kernel, 1, 8).toArray();
    }

    static long[] forCacheRollbacks(Kernel kernel) {
        return own(kernel, 1, 72).toArray();
    }

    /** Seeds of this kernel's own, or the one that {@code -Dera.kernel.seed} names. */
    private static LongStream own(Kernel kernel, int byDay, int byNight) {
        Long only = Long.getLong("era.kernel.seed");
        return only != null
                ? LongStream.of(only)
                : LongStream.range(0, Lab.NIGHTLY ? byNight : byDay).map(i -> first(kernel) + i);
    }

    /** The first of the seeds that are this kernel's own. */
    static long first(Kernel kernel) {
        return 100L * (kernel.ordinal() + 1);
    }
}
