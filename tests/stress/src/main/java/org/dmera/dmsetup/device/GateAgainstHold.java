// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import org.dmera.core.linux.ErrnoException;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;
import org.openjdk.jcstress.infra.results.II_Result;

/** Requests pass the gate while it is being held: when the hold returns, each has been done wholly, or not begun. */
public class GateAgainstHold {
    private GateAgainstHold() {}

    private static int enter(IoGate gate) {
        try {
            return gate.enter();
        } catch (ErrnoException e) {
            throw new AssertionError(e);
        }
    }

    private static void hold(IoGate gate) {
        try {
            gate.hold();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** A suspend and a resume, with two requests. */
    @JCStressTest
    @State
    @Outcome(id = "0, 0, 2", expect = ACCEPTABLE, desc = "None was under way while held, and all came through.")
    @Outcome(expect = FORBIDDEN, desc = "One was under way while the gate was held, or was lost.")
    public static class Suspended {
        private final IoGate gate = new IoGate();
        private int begun;
        private int ended;

        @Actor
        public void requests() {
            for (int i = 0; i < 2; i++) {
                int pass = enter(gate);
                begun++;
                ended++;
                gate.exit(pass);
            }
        }

        @Actor
        public void suspend(III_Result r) {
            hold(gate);
            int before = begun;
            r.r1 = before - ended;
            Thread.onSpinWait();
            r.r2 = begun - before;
            gate.release();
        }

        @Arbiter
        public void end(III_Result r) {
            r.r3 = ended;
        }
    }

    /** A removal: what has come through is there when the hold returns, and all else is refused. */
    @JCStressTest
    @State
    @Outcome(id = "1, 1", expect = ACCEPTABLE, desc = "It came through, and was waited for.")
    @Outcome(id = "0, 0", expect = ACCEPTABLE, desc = "It was refused.")
    @Outcome(expect = FORBIDDEN, desc = "It was acknowledged, and not waited for.")
    public static class Removed {
        private final IoGate gate = new IoGate();
        private int done;

        @Actor
        public void request(II_Result r) {
            int pass;
            try {
                pass = gate.enter();
            } catch (ErrnoException e) {
                return;
            }
            done = 1;
            gate.exit(pass);
            r.r1 = 1;
        }

        @Actor
        public void remove(II_Result r) {
            hold(gate);
            r.r2 = done;
            gate.shut();
        }
    }
}
