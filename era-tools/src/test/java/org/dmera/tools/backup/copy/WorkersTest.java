// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

class WorkersTest {
    @Test
    void whoIsInterruptedWaitsForTheJobsAllTheSameBeforeTheirBuffersAreGone() throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        Workers workers = new Workers("test", 1);
        Future<?> job = workers.submit(() -> {
            begun.countDown();
            // As a call of the kernel or of the compressor, which an interrupt does not end.
            long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(200);
            while (System.nanoTime() - end < 0) {
                LockSupport.parkNanos(end - System.nanoTime());
            }
            return null;
        });
        begun.await();
        Thread.currentThread().interrupt();
        workers.close();
        assertTrue(job.isDone(), "the job was still at work");
        assertTrue(Thread.interrupted(), "the interrupt was forgotten");
    }
}
