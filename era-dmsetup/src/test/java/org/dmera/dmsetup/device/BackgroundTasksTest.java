// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.dmsetup.targets.Threads;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The threads of one device's background. */
@Timeout(300)
class BackgroundTasksTest {
    private final AtomicInteger running = new AtomicInteger();
    private final BackgroundTasks tasks = new BackgroundTasks(work -> {
        running.getAndIncrement();
        Threads.start("background", () -> {
            work.run();
            running.getAndDecrement();
        });
    });

    private static BackgroundTasks.Task task(Runnable work) {
        return new BackgroundTasks.Task() {
            @Override
            void run() {
                work.run();
            }

            @Override
            void answer() {}
        };
    }

    private void runSideBySide(int count) {
        CountDownLatch together = new CountDownLatch(count);
        for (int i = 0; i < count; i++) {
            tasks.reserve();
            tasks.execute(task(() -> {
                together.countDown();
                Threads.await(together::await);
            }));
        }
        Threads.await(together::await);
    }

    private void promiseLongAndKeep(Runnable keep) throws InterruptedException {
        runSideBySide(4);
        tasks.reserve();
        // Longer than a thread stays without one.
        TimeUnit.MILLISECONDS.sleep(1200);
        keep.run();
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (running.get() > 0 && System.nanoTime() < end) {
            TimeUnit.MILLISECONDS.sleep(20);
        }
        assertEquals(0, running.get());
    }

    @Test
    void allThreadsEndAfterATaskThatWasPromisedLongBefore() throws Exception {
        promiseLongAndKeep(() -> tasks.execute(task(() -> {})));
    }

    @Test
    void allThreadsEndThoughTheTaskThatWasPromisedDoesNotCome() throws Exception {
        promiseLongAndKeep(tasks::cancel);
    }
}
