// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.EraTargetFactory;
import org.dmera.dmsetup.targets.MemoryBacking;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;
import org.dmera.dmsetup.targets.TargetFactory;
import org.dmera.dmsetup.targets.TargetRegistry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(300)
class DeviceIoTest {
    private static final int SECTOR = 512;
    private static final Client CLIENT = new Client(() -> false);

    private final DeviceIo io = new DeviceIo(task -> new Thread(task).start());

    private static TargetFactory type(String name) {
        return TargetRegistry.simple().stream()
                .filter(type -> type.type().equals(name))
                .findFirst()
                .orElseThrow();
    }

    private Target target(String type, long sectors, MemoryBacking backing, String... words) throws Exception {
        return type(type).load(sectors, List.of(words), name -> backing);
    }

    private static TargetTable table(Object... sectorsAndTargets) {
        List<TargetTable.Line> lines = new ArrayList<>();
        long start = 0;
        for (int i = 0; i < sectorsAndTargets.length; i += 2) {
            long sectors = (int) sectorsAndTargets[i];
            lines.add(new TargetTable.Line(start, sectors, (Target) sectorsAndTargets[i + 1]));
            start += sectors;
        }
        return new TargetTable(lines);
    }

    private static void assertErrno(Errno errno, org.junit.jupiter.api.function.Executable call) {
        ErrnoException e = assertThrows(ErrnoException.class, call);
        assertTrue(e.is(errno), e.toString());
    }

    @Test
    void aRequestAcrossTargetsIsCutAtTheirBorders() throws Exception {
        MemoryBacking left = new MemoryBacking("left", 8 * SECTOR);
        MemoryBacking right = new MemoryBacking("right", 64 * SECTOR);
        io.setTable(table(
                8,
                target("linear", 8, left, "left", "0"),
                4,
                target("zero", 4, null),
                8,
                target("linear", 8, right, "right", "16")));
        byte[] data = new byte[20 * SECTOR];
        new Random(1).nextBytes(data);
        io.write(0, ByteBuffer.wrap(data), 0);
        byte[] back = new byte[20 * SECTOR];
        io.read(0, ByteBuffer.wrap(back));
        byte[] expected = data.clone();
        java.util.Arrays.fill(expected, 8 * SECTOR, 12 * SECTOR, (byte) 0);
        assertArrayEquals(expected, back);
        assertEquals(data[12 * SECTOR], right.bytes()[16 * SECTOR]);
        io.submit(Operation.WRITE_ZEROES, 7 * SECTOR, 6L * SECTOR, null, 0);
        assertEquals(0, left.bytes()[7 * SECTOR]);
        assertEquals(0, right.bytes()[16 * SECTOR]);
        assertEquals(data[13 * SECTOR], right.bytes()[17 * SECTOR]);
        assertEquals(-4 * SECTOR, io.allocation(8 * SECTOR, 12L * SECTOR));
    }

    @Test
    void aStripedTargetDealsChunksInTurn() throws Exception {
        MemoryBacking a = new MemoryBacking("a", 64 * SECTOR);
        MemoryBacking b = new MemoryBacking("b", 64 * SECTOR);
        Target striped =
                type("striped").load(64, List.of("2", "8", "a", "0", "b", "8"), name -> name.equals("a") ? a : b);
        assertEquals("2 8 a 0 b 8", striped.table());
        assertEquals("2 a b 1 AA", striped.status());
        io.setTable(table(64, striped));
        byte[] data = new byte[64 * SECTOR];
        new Random(2).nextBytes(data);
        io.write(0, ByteBuffer.wrap(data), 0);
        byte[] back = new byte[data.length];
        io.read(0, ByteBuffer.wrap(back));
        assertArrayEquals(data, back);
        assertEquals(data[8 * SECTOR], b.bytes()[8 * SECTOR]);
        assertEquals(data[16 * SECTOR], a.bytes()[8 * SECTOR]);
    }

    /** As in the kernel, which asks for no power of two, nor for pages. */
    @Test
    void aChunkHasAnyNumberOfSectors() throws Exception {
        MemoryBacking a = new MemoryBacking("a", 30 * SECTOR);
        MemoryBacking b = new MemoryBacking("b", 30 * SECTOR);
        io.setTable(table(
                60, type("striped").load(60, List.of("2", "3", "a", "0", "b", "0"), name -> name.equals("a") ? a : b)));
        byte[] data = new byte[60 * SECTOR];
        new Random(3).nextBytes(data);
        io.write(0, ByteBuffer.wrap(data), 0);
        for (int chunk = 0; chunk < 20; chunk++) {
            byte[] below = (chunk % 2 == 0 ? a : b).bytes();
            int at = chunk / 2 * 3 * SECTOR;
            assertArrayEquals(
                    Arrays.copyOfRange(data, chunk * 3 * SECTOR, (chunk + 1) * 3 * SECTOR),
                    Arrays.copyOfRange(below, at, at + 3 * SECTOR));
        }
    }

    @Test
    void requestsOutsideTheDeviceOrWithoutATableFail() throws Exception {
        assertErrno(Errno.EIO, () -> io.read(0, ByteBuffer.allocate(1)));
        io.setTable(table(8, target("zero", 8, null)));
        assertErrno(Errno.EINVAL, () -> io.read(8 * SECTOR - 1, ByteBuffer.allocate(2)));
        assertErrno(Errno.EINVAL, () -> io.submit(Operation.DISCARD, 0, 9L * SECTOR, null, 0));
        assertErrno(Errno.EINVAL, () -> io.write(-1, ByteBuffer.allocate(1), 0));
        io.setReadOnly(true);
        assertErrno(Errno.EPERM, () -> io.write(0, ByteBuffer.allocate(1), 0));
        io.setTable(table(8, target("error", 8, null)));
        assertErrno(Errno.EIO, () -> io.read(0, ByteBuffer.allocate(1)));
    }

    @Test
    void holdingWaitsForWhatIsInFlightAndKeepsTheRestBack() throws Exception {
        MemoryBacking backing = new MemoryBacking("data", 64 * SECTOR);
        CountDownLatch writing = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        backing.hook = (operation, offset, length) -> {
            writing.countDown();
            try {
                assertTrue(goOn.await(240, TimeUnit.SECONDS));
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
        };
        io.setTable(table(64, target("linear", 64, backing, "data", "0")));
        CompletableFuture<Void> slow = inBackground(() -> io.write(0, ByteBuffer.allocate(SECTOR), 0));
        assertTrue(writing.await(240, TimeUnit.SECONDS));
        CompletableFuture<Void> hold = inBackground(io::hold);
        while (!io.isHeld()) {
            Thread.onSpinWait();
        }
        assertFalse(hold.isDone());
        CompletableFuture<Void> held = inBackground(() -> io.read(0, ByteBuffer.allocate(SECTOR)));
        goOn.countDown();
        slow.get(240, TimeUnit.SECONDS);
        hold.get(240, TimeUnit.SECONDS);
        assertFalse(held.isDone());
        io.release();
        held.get(240, TimeUnit.SECONDS);
        io.hold();
        CompletableFuture<Void> late = inBackground(() -> io.read(0, ByteBuffer.allocate(SECTOR)));
        io.shut();
        Exception e = assertThrows(Exception.class, () -> late.get(240, TimeUnit.SECONDS));
        assertTrue(e.getMessage().contains("removed"), e.toString());
    }

    /** An era target of 64 blocks of 4 KiB, running behind 8 sectors of something else. */
    private Target runningEra() throws Exception {
        MemoryBacking metadata = new MemoryBacking("meta", 256 << 12);
        MemoryBacking origin = new MemoryBacking("origin", 64 << 12);
        Target era = new EraTargetFactory(line -> {})
                .load(512, List.of("meta", "origin", "8"), name -> name.equals("meta") ? metadata : origin);
        io.setTable(table(8, target("zero", 8, null), 512, era));
        era.resume();
        return era;
    }

    /** Changes a block; what is owed then is for {@code answers} to answer. */
    private void submit(Operation operation, long offset, AnswerScope answers) throws IOException {
        IoRequest request = new IoRequest(CLIENT, answers);
        if (operation == Operation.WRITE) {
            request.set(operation, offset, ByteBuffer.allocate(4096), 0);
        } else {
            request.set(operation, offset, 4096, 0);
        }
        assertTrue(io.submit(request));
        assertNull(request.failure());
    }

    /** The eras of the first blocks of the era target. */
    private List<Integer> eras(int blocks) throws IOException {
        List<Integer> eras = new ArrayList<>();
        io.lastWritten(4096, blocks * 4096L, null, (length, era) -> {
            for (long i = 0; i < length; i += 4096) {
                eras.add(era);
            }
            return true;
        });
        return eras;
    }

    @Test
    void severalTargetsWithErasOfTheirOwnMakeNoEraOfTheDevice() throws Exception {
        Target one = runningEra();
        assertEquals(1, io.currentEra());
        one.suspend();
        Target other = runningEra();
        one.resume();
        io.setTable(table(512, one, 512, other));
        assertEquals(-1, io.currentEra());
        one.close();
        other.close();
    }

    @Test
    void whatIsWrittenWithoutARecordCountsAsWrittenNow() throws Exception {
        Target era = runningEra();
        MemoryBacking plain = new MemoryBacking("plain", 8 * SECTOR);
        io.setTable(table(
                8,
                target("zero", 8, null),
                512,
                era,
                8,
                target("linear", 8, plain, "plain", "0"),
                8,
                target("error", 8, null)));
        io.write(4096, ByteBuffer.allocate(4096), 0);
        era.message(List.of("checkpoint"));
        era.message(List.of("checkpoint"));
        List<String> runs = new ArrayList<>();
        io.lastWritten(0, io.sizeBytes(), null, (length, last) -> runs.add(length / 4096 + ":" + last));
        assertEquals(List.of("1:0", "1:1", "63:0", "1:3", "1:0"), runs);
        era.close();
    }

    @Test
    void aCheckpointWaitsForTheAnswersOfWritesThatAreDone() throws Exception {
        Target era = runningEra();
        try (AnswerScope answers = io.openScope(8)) {
            submit(Operation.WRITE, 4096, answers);
            long start = System.nanoTime();
            CompletableFuture<Void> checkpoint = inBackground(() -> era.message(List.of("checkpoint")));
            while (io.currentEra() < 2) {
                Thread.onSpinWait();
            }
            boolean early = checkpoint.isDone();
            // It waits for a tenth of a second at most: on a machine that paused for longer this says nothing.
            boolean inTime = System.nanoTime() - start < TimeUnit.MILLISECONDS.toNanos(90);
            answers.sent();
            checkpoint.get(240, TimeUnit.SECONDS);
            assertFalse(early && inTime);
        }
        era.close();
    }

    @Test
    void writesThatAreNotAnsweredEvenThenAreMarkedInTheNewEra() throws Exception {
        Target era = runningEra();
        try (AnswerScope prompt = io.openScope(1);
                AnswerScope late = io.openScope(8)) {
            submit(Operation.WRITE, 4096, prompt);
            prompt.sent();
            // One that begins on the target before, two neighbours, and one elsewhere.
            submit(Operation.WRITE, 0, late);
            submit(Operation.WRITE, 4096 * 2, late);
            submit(Operation.WRITE, 4096 * 3, late);
            submit(Operation.WRITE_ZEROES, 4096 * 6, late);
            submit(Operation.DISCARD, 4096 * 8, late);
            era.message(List.of("checkpoint"));
            assertEquals(
                    List.of(1, 2, 2, 0, 0, 2, 0, 2, 0), eras(9), "a client that takes no answers holds up nothing");
            late.sent();
            era.message(List.of("checkpoint"));
            assertEquals(List.of(1, 2, 2, 0, 0, 2, 0, 2, 0), eras(9), "answered by now");
        }
        era.close();
    }

    @Test
    void aWriteFromBeforeASuspendThatIsAnsweredAfterTheResumeIsMarkedInTheEraOfTheResume() throws Exception {
        Target era = runningEra();
        try (AnswerScope late = io.openScope(1)) {
            submit(Operation.WRITE, 4096 * 2, late);
            io.hold();
            era.suspend();
            era.resume();
            io.release();
            assertEquals(List.of(0, 2, 0), eras(3));
        }
        era.close();
    }

    /** A write of a sector that waits for metadata, and takes its time, as may whoever is answered. */
    private static final class Waiting extends IoRequest {
        private final CountDownLatch mayRun;
        private final CountDownLatch mayAnswer;
        private final CompletableFuture<IOException> done = new CompletableFuture<>();
        private final CompletableFuture<IOException> answered = new CompletableFuture<>();

        Waiting(DeviceIo io, CountDownLatch mayRun, CountDownLatch mayAnswer) {
            this(io, CLIENT, mayRun, mayAnswer);
        }

        Waiting(DeviceIo io, Client client, CountDownLatch mayRun, CountDownLatch mayAnswer) {
            super(client, io.openScope(1));
            this.mayRun = mayRun;
            this.mayAnswer = mayAnswer;
            set(Operation.WRITE, 0, ByteBuffer.allocate(SECTOR), 0);
        }

        @Override
        protected IoRequest detach() {
            return this;
        }

        @Override
        protected void complete() {
            await(mayRun);
            done.complete(failure());
        }

        @Override
        protected void answer() {
            await(mayAnswer);
            answered.complete(null);
        }

        private static void await(CountDownLatch latch) {
            try {
                assertTrue(latch.await(240, TimeUnit.SECONDS));
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    private static void submit(DeviceIo io, List<Waiting> writes) throws IOException {
        for (Waiting write : writes) {
            assertFalse(io.submit(write));
        }
    }

    /** Where every write has to wait for something. */
    private Target waitingTarget() throws Exception {
        MemoryBacking backing = new MemoryBacking("waits", 8 * SECTOR);
        backing.waits = true;
        return target("linear", 8, backing, "waits", "0");
    }

    @Test
    void writesThatStallTakeABoundedNumberOfThreadsAndAreAllDoneInTheEnd() throws Exception {
        AtomicInteger started = new AtomicInteger();
        DeviceIo bounded = new DeviceIo(task -> {
            started.incrementAndGet();
            new Thread(task).start();
        });
        bounded.setTable(table(8, waitingTarget()));
        CountDownLatch go = new CountDownLatch(1);
        List<Waiting> writes = new ArrayList<>();
        for (int i = 0; i < 2000; i++) {
            writes.add(new Waiting(bounded, go, new CountDownLatch(0)));
        }
        submit(bounded, writes);
        assertTrue(started.get() <= 32, started + " threads");
        go.countDown();
        for (Waiting write : writes) {
            assertNull(write.done.get(240, TimeUnit.SECONDS));
            write.answered.get(240, TimeUnit.SECONDS);
        }
        bounded.hold();
    }

    @Test
    void clientsThatTakeNoAnswersHoldUpNoWrites() throws Exception {
        io.setTable(table(8, waitingTarget()));
        CountDownLatch go = new CountDownLatch(0);
        CountDownLatch take = new CountDownLatch(1);
        List<Waiting> writes = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            writes.add(new Waiting(io, go, take));
        }
        submit(io, writes);
        for (Waiting write : writes) {
            assertNull(write.done.get(240, TimeUnit.SECONDS));
        }
        io.hold();
        take.countDown();
        for (Waiting write : writes) {
            write.answered.get(240, TimeUnit.SECONDS);
        }
    }

    @Test
    void aWriteForWhichThereIsNoThreadIsDoneByWhoeverAsks() throws Exception {
        AtomicInteger left = new AtomicInteger();
        DeviceIo scarce = new DeviceIo(task -> {
            if (left.getAndDecrement() <= 0) {
                throw new OutOfMemoryError("unable to create native thread");
            }
            new Thread(task).start();
        });
        scarce.setTable(table(8, waitingTarget()));
        CountDownLatch open = new CountDownLatch(0);
        Waiting alone = new Waiting(scarce, open, open);
        assertTrue(scarce.submit(alone));
        assertNull(alone.failure());
        scarce.hold();
        scarce.release();
        // One thread is enough for all.
        left.set(1);
        CountDownLatch go = new CountDownLatch(1);
        List<Waiting> writes = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            writes.add(new Waiting(scarce, go, open));
        }
        submit(scarce, writes);
        go.countDown();
        for (Waiting write : writes) {
            assertNull(write.done.get(240, TimeUnit.SECONDS));
        }
        scarce.hold();
    }

    @Test
    void aWriteThatMeetsAnErrorBeforeTheDeviceCountsItIsAnsweredAllTheSame() throws Exception {
        io.setTable(table(8, waitingTarget()));
        CountDownLatch open = new CountDownLatch(0);
        Client unknown = new Client(() -> {
            throw new IllegalStateException("no look at the client");
        });
        Waiting failing = new Waiting(io, unknown, open, open);
        submit(io, List.of(failing));
        assertTrue(failing.done.get(240, TimeUnit.SECONDS).getMessage().contains("no look at the client"));
        failing.answered.get(240, TimeUnit.SECONDS);
        io.hold();
    }

    private interface Action {
        void run() throws Exception;
    }

    private static CompletableFuture<Void> inBackground(Action action) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                action.run();
                done.complete(null);
            } catch (Throwable t) {
                done.completeExceptionally(t);
            }
        });
        thread.setDaemon(true);
        thread.start();
        return done;
    }
}
