// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.Client;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(300)
class IoGateTest {
    private final IoGate gate = new IoGate();

    private interface Step {
        void run() throws Exception;
    }

    private static Thread start(Step step) {
        Thread thread = new Thread(() -> {
            try {
                step.run();
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        });
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    private static void awaitWaiting(Thread thread) throws InterruptedException {
        while (thread.getState() != Thread.State.TIMED_WAITING) {
            assertTrue(thread.isAlive());
            TimeUnit.MILLISECONDS.sleep(1);
        }
    }

    @Test
    void heldRequestsGoInTheOrderInWhichTheyCameOneAfterTheOther() throws Exception {
        for (int round = 0; round < 20; round++) {
            gate.hold();
            List<Integer> done = Collections.synchronizedList(new ArrayList<>());
            List<Integer> expected = new ArrayList<>();
            List<Thread> threads = new ArrayList<>();
            AtomicInteger under = new AtomicInteger();
            for (int i = 0; i < 12; i++) {
                int number = i;
                expected.add(number);
                Thread thread = start(() -> {
                    int pass = gate.enter();
                    assertEquals(1, under.incrementAndGet());
                    TimeUnit.MICROSECONDS.sleep(50);
                    done.add(number);
                    under.decrementAndGet();
                    gate.exit(pass);
                });
                threads.add(thread);
                awaitWaiting(thread);
            }
            gate.release();
            for (Thread thread : threads) {
                thread.join();
            }
            assertEquals(expected, done);
            assertTrue(!gate.isHeld());
        }
    }

    @Test
    void aGateThatIsHeldAgainWhileItLetsRequestsGoKeepsTheRestAndTheirOrder() throws Exception {
        gate.hold();
        CountDownLatch entered = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        List<Integer> done = Collections.synchronizedList(new ArrayList<>());
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            int number = i;
            Thread thread = start(() -> {
                int pass = gate.enter();
                entered.countDown();
                goOn.await();
                done.add(number);
                gate.exit(pass);
            });
            threads.add(thread);
            awaitWaiting(thread);
        }
        gate.release();
        entered.await();
        Thread holding = start(gate::hold);
        // Not for the lock, but for what is under way.
        while (Arrays.stream(holding.getStackTrace())
                .noneMatch(frame -> frame.getMethodName().equals("await"))) {
            TimeUnit.MILLISECONDS.sleep(1);
        }
        goOn.countDown();
        holding.join();
        assertEquals(List.of(0), done);
        gate.release();
        for (Thread thread : threads) {
            thread.join();
        }
        assertEquals(List.of(0, 1, 2), done);
        gate.exit(gate.enter());
    }

    /** A client of whom a test says whether it is there. */
    private static final class Visitor implements Client.Line {
        final AtomicBoolean left = new AtomicBoolean();

        @Override
        public boolean isCut() {
            return left.get();
        }

        @Override
        public boolean isEnding() {
            return left.get();
        }
    }

    @Test
    void theRequestOfAClientThatHasLeftDoesNotGoAndIsNotWaitedForByTheNext() throws Exception {
        gate.hold();
        Visitor visitor = new Visitor();
        Client client = new Client(visitor);
        List<String> done = Collections.synchronizedList(new ArrayList<>());
        Thread old = start(() -> {
            client.begin();
            try {
                assertEquals(
                        Errno.ESHUTDOWN.number(),
                        assertThrows(ErrnoException.class, gate::enter).errno());
                done.add("refused");
            } finally {
                client.end();
            }
        });
        awaitWaiting(old);
        visitor.left.set(true);
        // Held back, it can reach nothing: nobody need wait for the gate.
        client.awaitGone(new Client(new Visitor()));
        Thread young = start(() -> {
            gate.exit(gate.enter());
            done.add("done");
        });
        old.join();
        awaitWaiting(young);
        gate.release();
        young.join();
        assertEquals(List.of("refused", "done"), done);
        assertThrows(ErrnoException.class, client::begin);
        gate.hold();
        gate.release();
    }

    @Test
    void whoComesAfterAClientThatLeftWaitsForWhatIsPastItsLastLook() throws Exception {
        Visitor visitor = new Visitor();
        Client client = new Client(visitor);
        CountDownLatch writing = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        Thread old = start(() -> {
            client.begin();
            int pass = gate.enter();
            writing.countDown();
            goOn.await();
            gate.exit(pass);
            client.end();
        });
        writing.await();
        Client next = new Client(new Visitor());
        client.awaitGone(next);
        visitor.left.set(true);
        AtomicBoolean done = new AtomicBoolean();
        Thread young = start(() -> {
            client.awaitGone(next);
            done.set(true);
        });
        awaitWaiting(young);
        assertTrue(!done.get());
        goOn.countDown();
        young.join();
        old.join();
        assertTrue(done.get());
    }
}
