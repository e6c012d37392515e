// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;

/** A write takes its slot and looks at the marks, while an era begins: new marks are published, then the slots looked at. */
public class SlotsAgainstNewMarks {
    private static final long BLOCK = 7;

    /** Marks of the old era, in which the block is marked, or of the new one, in which none is. */
    private static final class Marks {
        final boolean marked;

        Marks(boolean marked) {
            this.marked = marked;
        }
    }

    private SlotsAgainstNewMarks() {}

    /** The write does not end before the era has begun. */
    @JCStressTest
    @State
    @Outcome(id = "1, 1, 0", expect = ACCEPTABLE, desc = "Let go by the old marks, and found.")
    @Outcome(id = "0, [01], 0", expect = ACCEPTABLE, desc = "It saw the new marks.")
    @Outcome(expect = FORBIDDEN, desc = "Let go by the old marks, and not found: a backup would miss it.")
    public static class OnItsWay {
        private final InFlightWrites writes = new InFlightWrites();
        private volatile Marks marks = new Marks(true);

        @Actor
        public void write(III_Result r) {
            writes.enter(BLOCK, BLOCK);
            r.r1 = marks.marked ? 1 : 0;
        }

        @Actor
        public void era(III_Result r) {
            marks = new Marks(false);
            int[] found = new int[1];
            writes.forEach((first, last) -> found[0] += first == BLOCK && last == BLOCK ? 1 : 2);
            r.r2 = found[0];
        }
    }

    /** The write ends. When it is not found, what it wrote is there for the sync that follows. */
    @JCStressTest
    @State
    @Outcome(id = "1, 1, [01]", expect = ACCEPTABLE, desc = "Let go by the old marks, and found.")
    @Outcome(id = "1, 0, 1", expect = ACCEPTABLE, desc = "Let go by the old marks, ended, and what it wrote is there.")
    @Outcome(id = "0, [01], 0", expect = ACCEPTABLE, desc = "It saw the new marks.")
    @Outcome(expect = FORBIDDEN, desc = "Let go by the old marks, not found, and it lands later.")
    public static class Ended {
        private final InFlightWrites writes = new InFlightWrites();
        private volatile Marks marks = new Marks(true);
        private int origin;

        @Actor
        public void write(III_Result r) {
            int slot = writes.enter(BLOCK, BLOCK);
            if (marks.marked) {
                r.r1 = 1;
                origin = 1;
            }
            writes.exit(slot);
        }

        @Actor
        public void era(III_Result r) {
            marks = new Marks(false);
            int[] found = new int[1];
            writes.forEach((first, last) -> found[0] += first == BLOCK && last == BLOCK ? 1 : 2);
            r.r2 = found[0];
            r.r3 = origin;
        }
    }
}
