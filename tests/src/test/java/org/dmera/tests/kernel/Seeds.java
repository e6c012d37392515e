// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.util.stream.LongStream;

/** Which random cases are run: a few for every run, many at night, or just the one that is named. */
final class Seeds {
    private Seeds() {}

    static long[] forWorkloads(Kernel kernel) {
        return LongStream.concat(LongStream.rangeClosed(1, 3), own(kernel, Lab.NIGHTLY ? 37 : 5))
                .toArray();
    }

    static long[] forPowerCuts(Kernel kernel) {
        return own(kernel, Lab.NIGHTLY ? 20 : 2).toArray();
    }

    static long[] forTwins(Kernel kernel) {
        return own(kernel, Lab.NIGHTLY ? 30 : 4).toArray();
    }

    static long[] forOurMetadata(Kernel kernel) {
        return own(kernel, 1).toArray();
    }

    /** Seeds of this kernel's own, or the one that {@code -Dera.kernel.seed} names. */
    private static LongStream own(Kernel kernel, int count) {
        Long only = Long.getLong("era.kernel.seed");
        return only != null ? LongStream.of(only) : LongStream.range(0, count).map(i -> first(kernel) + i);
    }

    /** The first of the seeds that are this kernel's own. */
    static long first(Kernel kernel) {
        return 100L * (kernel.ordinal() + 1);
    }
}
