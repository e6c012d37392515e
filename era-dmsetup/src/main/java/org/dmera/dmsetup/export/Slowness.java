// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.util.concurrent.TimeUnit;

/** Whether short requests take long often, as those do that wait for a disk; one that merely was preempted is not much. */
final class Slowness {
    /** Longer than this a short request takes only when it waits for something, or was preempted. */
    private static final long SLOW_NANOS = TimeUnit.MICROSECONDS.toNanos(100);

    private static final int WEIGHT = 16;
    private static final int BOUND = 2 * WEIGHT;
    private static final int MAX = 4 * WEIGHT;

    /** A slow request adds {@value #WEIGHT}, another one takes 1 away. */
    private int slowness;

    /** Counts so many requests, which took so long together; whether they were slow. */
    boolean count(long nanos, int requests) {
        boolean slow = nanos > SLOW_NANOS * requests;
        slowness = slow ? Math.min(slowness + WEIGHT, MAX) : Math.max(slowness - requests, 0);
        return slow;
    }

    /** Whether many of the last ones were. */
    boolean isOften() {
        return slowness > BOUND;
    }
}
