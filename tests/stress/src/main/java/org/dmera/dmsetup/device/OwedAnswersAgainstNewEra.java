// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;
import org.openjdk.jcstress.infra.results.II_Result;

/**
 * A write is owed an answer, looks at the marks, and is answered, while an era begins. The slot that it takes before it looks
 * is what orders the two; here it stands for itself.
 */
public class OwedAnswersAgainstNewEra {
    private OwedAnswersAgainstNewEra() {}

    /** The first write of a connection. */
    @JCStressTest
    @State
    @Outcome(id = "0, [01], [01]", expect = ACCEPTABLE, desc = "It saw the new marks.")
    @Outcome(id = "1, 1, [01]", expect = ACCEPTABLE, desc = "Let go by the old marks, and found to be owed.")
    @Outcome(id = "1, 0, 1", expect = ACCEPTABLE, desc = "Let go by the old marks, and answered before.")
    @Outcome(expect = FORBIDDEN, desc = "Acknowledged in an era in which it is not marked.")
    public static class First {
        private final Set<AnswerScope> all = ConcurrentHashMap.newKeySet();
        private final AnswerScope scope = new AnswerScope(all, 4);
        private final AtomicInteger slot = new AtomicInteger();
        private volatile boolean oldMarks = true;
        private int answered;

        @Actor
        public void write(III_Result r) {
            scope.owe(4096, 512);
            slot.getAndIncrement();
            r.r1 = oldMarks ? 1 : 0;
            slot.getAndDecrement();
            answered = 1;
            scope.sent();
        }

        @Actor
        public void era(III_Result r) {
            oldMarks = false;
            long batch = scope.batch();
            int[] owed = new int[1];
            if ((batch & 1) == 1) {
                scope.forEachOwed((start, end) -> owed[0] |= start <= 4096 && end >= 4608 ? 1 : 2);
                // When it has been answered in the meantime, that it was owed is no longer of interest.
                if (scope.batch() != batch) {
                    owed[0] = 0;
                }
            }
            r.r2 = owed[0];
            r.r3 = answered;
        }
    }

    /** A later one: what is left of an earlier batch is not taken for it. */
    @JCStressTest
    @State
    @Outcome(id = "3, 1", expect = ACCEPTABLE, desc = "The second batch, and its write is found.")
    @Outcome(id = "[012], 0", expect = ACCEPTABLE, desc = "Another batch, or it went by.")
    @Outcome(expect = FORBIDDEN, desc = "The second batch is owed, and its write is not found.")
    public static class Later {
        private final Set<AnswerScope> all = ConcurrentHashMap.newKeySet();
        private final AnswerScope scope = new AnswerScope(all, 4);

        @Actor
        public void write() {
            scope.owe(0, 512);
            scope.owe(8192, 512);
            scope.sent();
            scope.owe(4096, 512);
        }

        @Actor
        public void era(II_Result r) {
            long batch = scope.batch();
            int[] found = new int[1];
            scope.forEachOwed((start, end) -> found[0] |= start == 4096 && end == 4608 ? 1 : 0);
            r.r1 = (int) batch;
            r.r2 = batch == 3 ? found[0] : 0;
        }
    }
}
