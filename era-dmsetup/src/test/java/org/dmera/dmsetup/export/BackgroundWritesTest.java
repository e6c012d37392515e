// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.WritableByteChannel;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.IoRequest;
import org.dmera.dmsetup.device.TargetTable;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.EraTargetFactory;
import org.dmera.dmsetup.targets.MemoryBacking;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;
import org.dmera.dmsetup.targets.Threads;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Requests that are completed while their connection goes on. */
@Timeout(300)
class BackgroundWritesTest {
    private static final int SECTORS = 512;

    private final DeviceIo io = new DeviceIo(task -> new Thread(task).start());
    /** Its requests are completed where they are submitted: there is nobody to do them for. */
    private final Client gone = new Client(() -> true);

    private Target era;

    @BeforeEach
    void load() throws Exception {
        MemoryBacking metadata = new MemoryBacking("meta", 4 << 20);
        MemoryBacking origin = new MemoryBacking("origin", SECTORS * 512);
        era = new EraTargetFactory(line -> {})
                .load(SECTORS, List.of("meta", "origin", "8"), name -> name.equals("meta") ? metadata : origin);
        io.setTable(new TargetTable(List.of(new TargetTable.Line(0, SECTORS, era))));
        era.resume();
    }

    @AfterEach
    void close() throws IOException {
        era.close();
    }

    private BackgroundWrites to(WritableByteChannel client, ReplyForm form) {
        return new BackgroundWrites(io, client, new NbdMemory(64 << 20), form, new AnswerWatch(), gone);
    }

    private IoRequest take(BackgroundWrites background, long cookie) {
        IoRequest wanted = new IoRequest(gone, io.openScope(1)).set(Operation.DISCARD, 0, 4096, 0);
        return background.take(wanted, cookie, 0, null);
    }

    private boolean submit(IoRequest taken) throws IOException {
        IoRequest submitted = new IoRequest(gone, io.openScope(1)) {
            @Override
            protected IoRequest detach() {
                return taken;
            }
        };
        return io.submit(submitted.set(Operation.DISCARD, 0, 4096, 0));
    }

    /** A client that takes nothing, and fails in the end or takes all. */
    private static final class SlowClient implements WritableByteChannel {
        final CountDownLatch asked = new CountDownLatch(1);
        final CountDownLatch goOn = new CountDownLatch(1);
        final ByteArrayOutputStream got = new ByteArrayOutputStream();
        volatile Error failure;
        volatile boolean closed;

        @Override
        public int write(ByteBuffer src) {
            asked.countDown();
            Threads.await(goOn::await);
            if (failure != null) {
                throw failure;
            }
            byte[] bytes = new byte[src.remaining()];
            src.get(bytes);
            got.writeBytes(bytes);
            return bytes.length;
        }

        @Override
        public boolean isOpen() {
            return !closed;
        }

        @Override
        public void close() {
            closed = true;
        }
    }

    @Test
    void theAnswersThatWaitForASlowClientAllArriveInOrder() throws Exception {
        SlowClient client = new SlowClient();
        BackgroundWrites background = to(client, ReplyForm.STRUCTURED);
        CompletableFuture<Boolean> first = submitAside(take(background, 0));
        client.asked.await();
        int requests = 1000;
        for (int cookie = 1; cookie < requests; cookie++) {
            assertFalse(submit(take(background, cookie)));
        }
        assertFalse(background.isIdle());
        client.goOn.countDown();
        assertFalse(first.get(60, TimeUnit.SECONDS));
        assertTrue(background.isIdle());
        ByteBuffer answers = ByteBuffer.wrap(client.got.toByteArray());
        for (int cookie = 0; cookie < requests; cookie++) {
            assertEquals(Nbd.STRUCTURED_REPLY_MAGIC, answers.getInt());
            answers.getInt();
            assertEquals(cookie, answers.getLong());
            int length = answers.getInt();
            answers.position(answers.position() + length);
        }
        assertFalse(answers.hasRemaining());
        background.close();
    }

    /** A client that takes some bytes, and then fails until it is closed. */
    private static final class TornChannel implements WritableByteChannel {
        private final int good;
        private final Throwable failure;
        private boolean open = true;
        private int got;

        TornChannel(int good, Throwable failure) {
            this.good = good;
            this.failure = failure;
        }

        @Override
        public int write(ByteBuffer src) throws IOException {
            if (!open) {
                throw new ClosedChannelException();
            }
            if (got == good) {
                if (failure instanceof Error error) {
                    throw error;
                }
                throw (IOException) failure;
            }
            src.get();
            got++;
            return 1;
        }

        @Override
        public boolean isOpen() {
            return open;
        }

        @Override
        public void close() {
            open = false;
        }
    }

    @Test
    void nothingIsSentBehindAPartOfAnAnswerOfWhichNotAllCouldBeSent() throws Exception {
        for (Throwable failure : List.of(new OutOfMemoryError("for the test"), new IOException("No buffer space"))) {
            TornChannel torn = new TornChannel(1, failure);
            BackgroundWrites background = to(torn, ReplyForm.SIMPLE);
            assertSame(failure, assertThrows(Throwable.class, () -> background.send(torn, ByteBuffer.allocate(16))));
            assertFalse(torn.isOpen());
            assertFalse(submit(take(background, 1)));
            background.close();
            assertEquals(1, torn.got);
        }
    }

    @Test
    void aClientThatMissesAnAnswerDoesNotWaitForItAndTheLogLearnsWhy() throws Exception {
        IOException failure = new IOException("No buffer space available");
        TornChannel client = new TornChannel(0, failure);
        BackgroundWrites background = to(client, ReplyForm.SIMPLE);
        assertFalse(submit(take(background, 1)));
        assertFalse(client.isOpen());
        assertSame(failure, background.reason(new ClosedChannelException()));
        background.close();
    }

    @Test
    void aConnectionEndsThoughThereWasNoMemoryToSendAnAnswer() throws Exception {
        SlowClient client = new SlowClient();
        client.failure = new OutOfMemoryError("for the test");
        BackgroundWrites background = to(client, ReplyForm.SIMPLE);
        CompletableFuture<Boolean> first = submitAside(take(background, 0));
        client.asked.await();
        assertFalse(submit(take(background, 1)));
        client.goOn.countDown();
        ExecutionException e = assertThrows(ExecutionException.class, () -> first.get(60, TimeUnit.SECONDS));
        assertSame(client.failure, e.getCause());
        assertTrue(client.closed, "the client learns that an answer is missing");
        assertTrue(background.isIdle());
        background.close();
        assertEquals(0, client.got.size());
    }

    private CompletableFuture<Boolean> submitAside(IoRequest taken) {
        return CompletableFuture.supplyAsync(() -> {
            try {
                return submit(taken);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    @Test
    void aConnectionThatIsInterruptedWhileItWaitsForTheLastOneFindsThatItIsDone() throws Exception {
        BackgroundWrites background = to(Channels.newChannel(OutputStream.nullOutputStream()), ReplyForm.SIMPLE);
        IoRequest last = take(background, 1);
        Thread waiting = new Thread(background::close);
        waiting.start();
        while (waiting.getState() != Thread.State.WAITING) {
            Thread.onSpinWait();
        }
        synchronized (background) {
            waiting.interrupt();
            while (waiting.getState() == Thread.State.WAITING) {
                Thread.onSpinWait();
            }
            TimeUnit.MILLISECONDS.sleep(50);
            assertFalse(submit(last));
            assertTrue(background.isIdle());
        }
        waiting.join(TimeUnit.SECONDS.toMillis(30));
        assertFalse(waiting.isAlive(), "it waits for what is done");
    }
}
