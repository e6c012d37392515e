// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.targets.Threads;
import org.junit.jupiter.api.Test;

class NodeKeeperTest {
    private static <T> FutureTask<T> ask(NodeKeeper keeper, T answer) {
        FutureTask<T> call = new FutureTask<>(() -> keeper.call(() -> answer));
        Threads.start("who asks", call);
        return call;
    }

    private static void assertRefused(FutureTask<?> call) {
        Throwable why = assertThrows(ExecutionException.class, () -> call.get(240, TimeUnit.SECONDS))
                .getCause();
        assertEquals(IOException.class, why.getClass(), why.toString());
    }

    /** Nobody would ever do it. */
    @Test
    void whatIsAskedForAfterItsEndIsRefused() throws Exception {
        NodeKeeper keeper = NodeKeeper.start("keeper");
        CountDownLatch ending = new CountDownLatch(1);
        CountDownLatch mayEnd = new CountDownLatch(1);
        assertEquals(1, ask(keeper, 1).get(240, TimeUnit.SECONDS));
        keeper.end(() -> {
            ending.countDown();
            Threads.await(mayEnd::await);
        });
        ending.await();
        assertRefused(ask(keeper, 2));
        mayEnd.countDown();
        assertRefused(ask(keeper, 3));
    }
}
