// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import org.dmera.core.linux.ErrnoException;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/** A client's connection is cut while a write of it is on its way, and the one that comes after it writes the same place. */
public class RequestsOfADeadClient {
    private RequestsOfADeadClient() {}

    private static final class Cut implements Client.Line {
        private volatile boolean ending;

        @Override
        public boolean isCut() {
            return false;
        }

        @Override
        public boolean isEnding() {
            return ending;
        }
    }

    /** The place that both write. */
    public static class Place {
        private final Cut line = new Cut();
        private final Client dead = new Client(line);
        private final Client next = new Client(() -> false);
        private int data;

        boolean writeOfDead(boolean waits) {
            try {
                dead.begin();
            } catch (ErrnoException e) {
                return false;
            }
            try {
                if (waits) {
                    Client paused = Client.pause();
                    Client.resume(paused);
                    Client.requireHere(paused);
                }
                data = 1;
                return true;
            } catch (ErrnoException e) {
                return false;
            } finally {
                dead.end();
            }
        }

        void writeOfNext() {
            line.ending = true;
            dead.awaitGone(next);
            data = 2;
        }

        int data() {
            return data;
        }
    }

    /** The write goes straight through. */
    @JCStressTest
    @State
    @Outcome(id = "[01], 2", expect = ACCEPTABLE, desc = "The later client's write is the last one.")
    @Outcome(expect = FORBIDDEN, desc = "A dead client's write undid what was acknowledged since.")
    public static class Straight extends Place {
        @Actor
        public void dead(II_Result r) {
            r.r1 = writeOfDead(false) ? 1 : 0;
        }

        @Actor
        public void next() {
            writeOfNext();
        }

        @Arbiter
        public void end(II_Result r) {
            r.r2 = data();
        }
    }

    /** The write has to wait for something on its way. */
    @JCStressTest
    @State
    @Outcome(id = "[01], 2", expect = ACCEPTABLE, desc = "The later client's write is the last one.")
    @Outcome(expect = FORBIDDEN, desc = "A dead client's write undid what was acknowledged since.")
    public static class Waiting extends Place {
        @Actor
        public void dead(II_Result r) {
            r.r1 = writeOfDead(true) ? 1 : 0;
        }

        @Actor
        public void next() {
            writeOfNext();
        }

        @Arbiter
        public void end(II_Result r) {
            r.r2 = data();
        }
    }
}
