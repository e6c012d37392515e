// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.EraWorker;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** In which order the thread that owns the metadata serves those who read what was written and those who write. */
@Timeout(300)
class EraMetadataThreadTest {
    private final List<String> served = new CopyOnWriteArrayList<>();
    private final EraMetadataThread thread = new EraMetadataThread("test", blocks -> {}, why -> {});

    private EraWorker running() throws Exception {
        return thread.run(() -> {
            EraMetadata metadata = EraMetadata.openOrFormat(new MemoryBlockDevice(256), 8);
            EraWorker worker = new EraWorker(metadata);
            worker.beforeResume(1000);
            metadata.rollover();
            metadata.commit();
            thread.start(worker);
            return worker;
        });
    }

    /** How many of {@code readers}, who all wait when a write comes, are served before it; while further writes are coming, too. */
    private int readsBeforeAWrite(int readers) throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        List<Thread> waiting = new ArrayList<>();
        waiting.add(ask(() -> {
            begun.countDown();
            assertTrue(goOn.await(30, TimeUnit.SECONDS));
        }));
        begun.await();
        for (int i = 0; i < readers; i++) {
            waiting.add(ask(() -> served.add("read")));
        }
        for (Thread each : waiting.subList(1, waiting.size())) {
            while (each.getState() != Thread.State.WAITING) {
                Thread.onSpinWait();
            }
        }
        served.clear();
        CountDownLatch marked = new CountDownLatch(1);
        thread.mark(readers, readers, failure -> {
            assertNull(failure);
            served.add("write");
            marked.countDown();
        });
        goOn.countDown();
        marked.await();
        int before = served.indexOf("write");
        for (Thread each : waiting) {
            each.join();
        }
        return before;
    }

    private interface Task {
        void run() throws Exception;
    }

    private Thread ask(Task task) {
        Thread asking = new Thread(() -> {
            try {
                thread.run(() -> {
                    task.run();
                    return null;
                });
            } catch (java.io.IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        });
        asking.setDaemon(true);
        asking.start();
        return asking;
    }

    @Test
    void aWriteWaitsForOneReaderAtTheMostHoweverManyThereAre() throws Exception {
        running();
        for (int readers : new int[] {1, 2, 16, 64}) {
            int before = readsBeforeAWrite(readers);
            assertTrue(before <= 1, before + " of " + readers + " readers came before it");
        }
        thread.close(() -> null);
    }

    @Test
    void readersAreServedWhileWritesKeepComing() throws Exception {
        running();
        CountDownLatch read = new CountDownLatch(3);
        // Each write that is marked is followed by another one.
        keepWriting(0, read);
        for (int i = 0; i < 3; i++) {
            ask(read::countDown);
        }
        assertTrue(read.await(30, TimeUnit.SECONDS), "readers wait for the last write");
        thread.close(() -> null);
        assertEquals(0, read.getCount());
    }

    @Test
    void aWriteThatHasComeTooLateForAPassHearsOfIt() throws Exception {
        CompletableFuture<java.io.IOException> heard = new CompletableFuture<>();
        thread.mark(1, 1, heard::complete);
        thread.run(() -> {
            thread.stop();
            return null;
        });
        assertEquals("the target is suspended", heard.get(30, TimeUnit.SECONDS).getMessage());
        thread.close(() -> null);
    }

    private void keepWriting(int block, CountDownLatch until) {
        thread.mark(block, block, failure -> {
            if (until.getCount() > 0 && failure == null) {
                keepWriting((block + 1) % 1000, until);
            }
        });
    }
}
