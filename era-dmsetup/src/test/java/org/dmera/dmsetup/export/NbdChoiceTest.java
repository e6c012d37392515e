// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** When a client is taken for one that chooses no export. */
class NbdChoiceTest {
    private final Deque<Runnable> looks = new ArrayDeque<>();
    private final ScheduledThreadPoolExecutor deadlines = new ScheduledThreadPoolExecutor(1) {
        @Override
        public ScheduledFuture<?> schedule(Runnable look, long delay, TimeUnit unit) {
            looks.add(look);
            return super.schedule(() -> {}, 0, unit);
        }
    };
    private final List<NbdChoice> late = new ArrayList<>();
    private final NbdChoice choice = new NbdChoice(null, "client", deadlines, late::add);

    @AfterEach
    void end() {
        deadlines.shutdownNow();
    }

    /** The time is over, too, when the process was stopped for so long; what the client has said is read only then. */
    @Test
    void aClientWhoseChoiceIsReadWhenTheTimeIsOverIsServed() {
        choice.expectWithin(1);
        looks.remove().run();
        choice.over();
        looks.forEach(Runnable::run);
        assertEquals(List.of(), late);
    }

    @Test
    void oneThatSaysNothingIsLate() {
        choice.expectWithin(1);
        while (!looks.isEmpty()) {
            looks.remove().run();
        }
        assertEquals(List.of(choice), late);
    }
}
