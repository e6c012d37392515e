// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.dmsetup.targets.Threads;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Who holds answers back is looked after, whatever the process is short of. */
@Timeout(300)
class AnswerWatchTest {
    private static class Stuck implements AnswerWatch.Holder {
        final CountDownLatch sent = new CountDownLatch(1);

        @Override
        public boolean isStuck() {
            return holds();
        }

        @Override
        public boolean holds() {
            return sent.getCount() > 0;
        }

        @Override
        public void sendHeld() {
            sent.countDown();
        }
    }

    private static void expectSent(AnswerWatch watch) throws InterruptedException {
        Stuck holder = new Stuck();
        watch.add(holder);
        watch.expect();
        assertTrue(holder.sent.await(20, TimeUnit.SECONDS));
        watch.remove(holder);
    }

    @Test
    void itGoesOnWhenThereWereNoThreadsForAMoment() throws Exception {
        AtomicInteger failures = new AtomicInteger(1);
        AnswerWatch watch = new AnswerWatch((name, task) -> {
            if (failures.getAndDecrement() > 0) {
                throw new OutOfMemoryError("for the test");
            }
            Threads.start(name, task);
        });
        // None that looks.
        watch.expect();
        expectSent(watch);
        // None that sends.
        failures.set(2);
        expectSent(watch);
    }

    @Test
    void itGoesOnWhenThereWasNoMemoryForAMoment() throws Exception {
        AnswerWatch watch = new AnswerWatch();
        CountDownLatch failed = new CountDownLatch(1);
        watch.add(new Stuck() {
            @Override
            public boolean holds() {
                if (failed.getCount() > 0) {
                    failed.countDown();
                    throw new OutOfMemoryError("for the test");
                }
                return false;
            }
        });
        watch.expect();
        assertTrue(failed.await(20, TimeUnit.SECONDS));
        expectSent(watch);
    }
}
