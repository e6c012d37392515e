// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.DeviceStore;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.IoRequest;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.MemoryBacking;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;
import org.dmera.dmsetup.targets.TargetFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;

/** Devices of the engine on top of an era device of the same engine. */
@Timeout(300)
class StackedDevicesTest {
    private static final int BLOCK = 4096;
    private static final int BLOCKS = 8192;
    private static final Client CLIENT = new Client(() -> false);

    private final Map<String, Backing> backings = new HashMap<>();
    private final ExecutorService background = Executors.newCachedThreadPool();
    /** When the devices' threads begin what they are for. */
    private volatile CountDownLatch mayRun = new CountDownLatch(0);

    private MemoryBacking metadata;
    private MemoryBacking origin;
    private DeviceRegistry registry;
    private MappedDevice lower;

    @BeforeEach
    void createLower() throws IOException {
        metadata = memory("meta", 1024);
        origin = memory("origin", BLOCKS);
        registry = new DeviceRegistry(
                Engine.targetTypes(EngineLog.silent()),
                (forDevice, readOnly, found) -> new TargetFactory.BackingOpener() {
                    @Override
                    public Backing open(String name) throws IOException {
                        return backings.containsKey(name)
                                ? backings.get(name)
                                : new MappedDeviceBacking(registry.byName(name), forDevice);
                    }

                    @Override
                    public Object owner() {
                        return forDevice;
                    }
                },
                task -> background.execute(() -> {
                    await(mayRun);
                    task.run();
                }),
                DeviceStore.NONE,
                EngineLog.silent());
        lower = create("lower", "era", "meta origin 8");
    }

    private static void await(CountDownLatch latch) {
        try {
            assertTrue(latch.await(240, TimeUnit.SECONDS));
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @AfterEach
    void removeAll() throws IOException {
        metadata.hook = (operation, offset, length) -> {};
        registry.removeAll(false);
        assertTrue(registry.devices().isEmpty(), () -> "left: " + registry.devices());
        background.shutdown();
    }

    private MemoryBacking memory(String name, int blocks) {
        MemoryBacking backing = new MemoryBacking(name, blocks * BLOCK);
        backings.put(name, backing);
        return backing;
    }

    private MappedDevice create(String name, String type, String params) throws IOException {
        MappedDevice device = registry.create(name, "", OptionalInt.empty());
        device.load(List.of(line(type, params)), false);
        device.resume();
        return device;
    }

    private static TargetSpec line(String type, String params) {
        return new TargetSpec(0, BLOCKS * 8L, type, params);
    }

    @Test
    void devicesGiveUpMemoryThatTheyReadAgain() throws IOException {
        AtomicInteger reads = new AtomicInteger();
        lower.io().write(0, ByteBuffer.allocate(BLOCK), 0);
        metadata.hook = (operation, offset, length) -> {
            if (operation.equals("read")) {
                reads.incrementAndGet();
            }
        };
        lower.io().write(BLOCK, ByteBuffer.allocate(BLOCK), 0);
        assertEquals(0, reads.get());
        // One without a table, and one whose target keeps none, don't matter.
        registry.create("empty", "", OptionalInt.empty());
        create("upper", "linear", "lower 0");
        registry.releaseMemory();
        lower.io().write(2L * BLOCK, ByteBuffer.allocate(BLOCK), 0);
        assertTrue(reads.get() > 0);
    }

    @Test
    void aDeviceIsOpenOnceForEachOnTopHoweverOftenThatNamesIt() throws IOException {
        MappedDevice twice = registry.create("twice", "", OptionalInt.empty());
        List<TargetSpec> lines =
                List.of(new TargetSpec(0, 8, "linear", "lower 0"), new TargetSpec(8, 8, "linear", "lower 8"));
        twice.load(lines, false);
        assertEquals(1, lower.openCount());
        twice.resume();
        twice.load(lines, false);
        assertEquals(1, lower.openCount());
        create("other", "linear", "lower 0");
        assertEquals(2, lower.openCount());
        assertFalse(registry.remove(lower, true));
        twice.clear();
        registry.remove(registry.byName("other"), false);
        assertEquals(1, lower.openCount());
        registry.cancelDeferredRemove(lower);
        twice.load(List.of(new TargetSpec(0, 8, "zero", "")), false);
        twice.resume();
        assertEquals(0, lower.openCount());
    }

    /** A disk beneath a device, which has lost what was written to it once it is {@code failing}. */
    private static final class LosingDisk extends MemoryBacking {
        private volatile boolean failing;

        LosingDisk() {
            super("disk", BLOCKS * BLOCK);
        }

        @Override
        public void flush() throws IOException {
            if (failing) {
                throw loss();
            }
            super.flush();
        }

        @Override
        public IOException loss() {
            return failing ? new IOException("writes were lost") : null;
        }
    }

    /** The base knows nothing of it once it has another table; who wrote by way of it does. */
    @Test
    void aLossIsToldToThoseOnTopAlsoWhenItsTableHasBeenReplaced() throws IOException {
        LosingDisk disk = new LosingDisk();
        backings.put("disk", disk);
        memory("meta2", 1024);
        MappedDevice base = create("base", "linear", "disk 0");
        MappedDevice linear = create("onBase", "linear", "base 0");
        MappedDevice era = create("eraOnBase", "era", "meta2 base 8");
        linear.io().write(0, ByteBuffer.allocate(BLOCK), 0);
        era.io().write(BLOCK, ByteBuffer.allocate(BLOCK), 0);
        disk.failing = true;
        assertThrows(IOException.class, () -> base.io().flush());
        memory("disk", BLOCKS);
        base.load(List.of(line("linear", "disk 0")), false);
        base.resume();
        base.io().flush();
        assertEquals("Error", era.lines(false, false).get(0).params());
        for (MappedDevice upper : List.of(linear, era)) {
            for (int i = 0; i < 2; i++) {
                assertLost(() -> upper.io().flush());
                assertLost(() -> upper.io().write(0, ByteBuffer.allocate(BLOCK), Target.FUA));
                assertLost(() -> upper.io().submit(Operation.DISCARD, 0, BLOCK, null, Target.FUA));
                assertLost(() -> upper.io().submit(Operation.WRITE_ZEROES, 0, BLOCK, null, Target.FUA));
            }
            upper.io().write(0, ByteBuffer.allocate(BLOCK), 0);
        }
        assertLost(() -> era.message(0, List.of("checkpoint")));
        linear.load(List.of(line("linear", "base 0")), false);
        era.load(List.of(line("era", "meta2 base 8")), false);
        for (MappedDevice upper : List.of(linear, era)) {
            upper.resume();
            upper.io().flush();
        }
        era.message(0, List.of("checkpoint"));
    }

    private static void assertLost(Executable call) {
        IOException e = assertThrows(IOException.class, call);
        assertTrue(e.getMessage().contains("writes were lost"), e.getMessage());
    }

    /** Writes a block as a client's connection would. */
    private static final class Write extends IoRequest {
        private final CountDownLatch ready = new CountDownLatch(1);
        private final CompletableFuture<IOException> done = new CompletableFuture<>();

        Write(DeviceIo io, Client client, long offset, int bytes) {
            super(client, io.openScope(1));
            ByteBuffer ones = ByteBuffer.allocate(bytes);
            java.util.Arrays.fill(ones.array(), (byte) 1);
            set(Operation.WRITE, offset, ones, 0);
        }

        @Override
        protected IoRequest detach() {
            return this;
        }

        @Override
        protected void ready() {
            ready.countDown();
        }

        @Override
        protected void complete() {
            done.complete(failure());
        }
    }

    private static Write submit(MappedDevice device, long offset, int bytes) throws IOException {
        Write write = new Write(device.io(), CLIENT, offset, bytes);
        assertFalse(device.io().submit(write));
        return write;
    }

    /** The lower device's metadata takes no flush from here on until {@code release} is counted down. */
    private CountDownLatch holdCommits(CountDownLatch release) {
        CountDownLatch held = new CountDownLatch(1);
        metadata.hook = (operation, offset, length) -> {
            if (operation.equals("flush")) {
                held.countDown();
                await(release);
            }
        };
        return held;
    }

    private void assertOneCommitForAll(MappedDevice upper, int bytes) throws Exception {
        CountDownLatch release = new CountDownLatch(1);
        CountDownLatch held = holdCommits(release);
        List<Write> writes = new ArrayList<>();
        for (int i = 0; i < 64; i++) {
            assertTrue(upper.io().mustWait((long) i * bytes, bytes));
            // The first is being committed when the others come; none of them holds up this thread.
            writes.add(submit(upper, (long) i * bytes, bytes));
            assertTrue(held.await(240, TimeUnit.SECONDS));
        }
        int before = metadata.flushes.get();
        release.countDown();
        for (Write write : writes) {
            assertNull(write.done.get(240, TimeUnit.SECONDS));
        }
        int commits = metadata.flushes.get() - before;
        assertTrue(commits <= 6, commits + " flushes for 64 writes");
        assertFalse(upper.io().mustWait(0, 64L * bytes));
    }

    @Test
    void unmarkedWritesThroughALinearDeviceShareCommits() throws Exception {
        assertOneCommitForAll(create("upper", "linear", "lower 0"), BLOCK);
    }

    @Test
    void unmarkedWritesThroughTwoLayersShareCommits() throws Exception {
        create("middle", "linear", "lower 0");
        assertOneCommitForAll(create("upper", "linear", "middle 0"), BLOCK);
    }

    @Test
    void unmarkedWritesAcrossTheChunksOfAStripedDeviceShareCommits() throws Exception {
        memory("meta2", 1024);
        memory("origin2", BLOCKS);
        create("lower2", "era", "meta2 origin2 8");
        // Every write lies on both.
        assertOneCommitForAll(create("upper", "striped", "2 8 lower 0 lower2 0"), 4 * BLOCK);
    }

    @Test
    void aWriteWhoseLowerDeviceGotAnotherTableInBetweenIsMarkedThere() throws Exception {
        MemoryBacking origin2 = memory("origin2", BLOCKS);
        memory("meta2", 1024);
        MappedDevice upper = create("upper", "linear", "lower 0");
        mayRun = new CountDownLatch(1);
        Write write = submit(upper, 5 * BLOCK, BLOCK);
        assertTrue(write.ready.await(240, TimeUnit.SECONDS));
        lower.suspend();
        lower.load(List.of(line("era", "meta2 origin2 8")), false);
        lower.resume();
        mayRun.countDown();
        assertNull(write.done.get(240, TimeUnit.SECONDS));
        assertEquals(0, origin.bytes()[5 * BLOCK]);
        assertEquals(1, origin2.bytes()[5 * BLOCK]);
        assertFalse(lower.io().mustWait(5 * BLOCK, BLOCK));
        assertTrue(lower.io().mustWait(6 * BLOCK, BLOCK));
    }

    @Test
    void aWriteThatIsBeingMarkedIsDoneBeforeTheLowerDeviceChangesItsTable() throws Exception {
        memory("meta2", 1024);
        memory("origin2", BLOCKS);
        MappedDevice upper = create("upper", "linear", "lower 0");
        CountDownLatch release = new CountDownLatch(1);
        CountDownLatch held = holdCommits(release);
        List<Write> writes = new ArrayList<>();
        writes.add(submit(upper, 0, BLOCK));
        assertTrue(held.await(240, TimeUnit.SECONDS));
        for (int i = 1; i < 32; i++) {
            writes.add(submit(upper, i * BLOCK, BLOCK));
        }
        lower.load(List.of(line("era", "meta2 origin2 8")), false);
        Future<Boolean> swapped = background.submit(lower::resume);
        release.countDown();
        swapped.get(240, TimeUnit.SECONDS);
        for (int i = 0; i < 32; i++) {
            assertNull(writes.get(i).done.get(240, TimeUnit.SECONDS));
        }
    }

    @Test
    void aWriteWaitsForALowerDeviceThatIsSuspended() throws Exception {
        MappedDevice upper = create("upper", "linear", "lower 0");
        lower.suspend();
        Future<Write> submitted = background.submit(() -> submit(upper, 0, BLOCK));
        lower.resume();
        assertNull(submitted.get(240, TimeUnit.SECONDS).done.get(240, TimeUnit.SECONDS));
        assertEquals(1, origin.bytes()[0]);
    }

    @Test
    void aWriteOfAClientThatHasLeftIsNotKeptByALowerDeviceThatIsSuspended() throws Exception {
        MappedDevice upper = create("upper", "linear", "lower 0");
        AtomicBoolean left = new AtomicBoolean();
        assertRefusedWhenLeft(upper, new Write(upper.io(), new Client(left::get), 0, BLOCK), left);
        assertEquals(0, origin.bytes()[0]);
    }

    /** Of what was to be flushed nothing is lost: the next flush does it. */
    @Test
    void aFlushOfAClientThatHasLeftIsNoLossOfTheDeviceOnTop() throws Exception {
        memory("meta2", 1024);
        MappedDevice upper = create("upper", "era", "meta2 lower 8");
        AtomicBoolean left = new AtomicBoolean();
        IoRequest flush = new IoRequest(new Client(left::get), upper.io().openScope(1));
        assertRefusedWhenLeft(upper, flush.set(Operation.FLUSH, 0, 0, 0), left);
        upper.message(0, List.of("checkpoint"));
        upper.io().flush();
    }

    /** The client of {@code request} leaves while that waits for the lower device. */
    private void assertRefusedWhenLeft(MappedDevice upper, IoRequest request, AtomicBoolean left) throws Exception {
        lower.suspend();
        FutureTask<Boolean> submission = new FutureTask<>(() -> upper.io().submit(request));
        Thread connection = new Thread(submission);
        connection.start();
        while (connection.getState() != Thread.State.TIMED_WAITING) {
            Thread.onSpinWait();
        }
        left.set(true);
        submission.get(240, TimeUnit.SECONDS);
        assertTrue(
                request.failure().getMessage().contains("has left"),
                request.failure().toString());
        lower.resume();
    }

    @Test
    void aWriteThatCanNotBeRecordedBelowFailsWithTheReason() throws Exception {
        MappedDevice upper = create("upper", "linear", "lower 0");
        metadata.hook = (operation, offset, length) -> {
            if (operation.equals("flush")) {
                throw new IOException("the metadata device is gone");
            }
        };
        IOException failure = submit(upper, 0, BLOCK).done.get(240, TimeUnit.SECONDS);
        assertTrue(failure.getMessage().contains("the metadata device is gone"), failure.toString());
        assertEquals(0, origin.bytes()[0]);
    }

    /** Which of the first blocks of an era device were written in {@code era} or later. */
    private static List<Long> writtenSince(int era, MappedDevice device) throws IOException {
        List<Long> blocks = new ArrayList<>();
        long[] at = new long[1];
        device.io().lastWritten(0, 16 * BLOCK, null, (length, last) -> {
            for (long end = at[0] + length; at[0] < end; at[0] += BLOCK) {
                if (last >= era) {
                    blocks.add(at[0] / BLOCK);
                }
            }
            return true;
        });
        return blocks;
    }

    /** Writes; {@code answers} is to answer. */
    private static void write(MappedDevice device, long offset, int bytes, AnswerScope answers) throws IOException {
        IoRequest write = new IoRequest(CLIENT, answers);
        assertTrue(device.io().submit(write.set(Operation.WRITE, offset, ByteBuffer.allocate(bytes), 0)));
        assertNull(write.failure());
    }

    @Test
    void aWriteAboveThatIsAnsweredAfterACheckpointBelowIsMarkedInTheNewEra() throws Exception {
        create("middle", "linear", "lower 0");
        MappedDevice upper = registry.create("upper", "", OptionalInt.empty());
        upper.load(List.of(new TargetSpec(0, 64, "linear", "middle 24")), false);
        upper.resume();
        try (AnswerScope late = upper.io().openScope(4)) {
            write(upper, 2 * BLOCK, BLOCK, late);
            lower.io().write(0, ByteBuffer.allocate(BLOCK), 0);
            lower.message(0, List.of("checkpoint"));
            assertEquals(List.of(5L), writtenSince(2, lower));
        }
        lower.message(0, List.of("checkpoint"));
        assertEquals(List.of(), writtenSince(3, lower));
    }

    @Test
    void ofAWriteAcrossStripesEachDeviceMarksItsOwnPart() throws Exception {
        memory("meta2", 1024);
        memory("origin2", BLOCKS);
        MappedDevice lower2 = create("lower2", "era", "meta2 origin2 8");
        MappedDevice upper = create("upper", "striped", "2 8 lower 0 lower2 0");
        try (AnswerScope late = upper.io().openScope(4)) {
            write(upper, 3 * BLOCK, 4 * BLOCK, late);
            lower.message(0, List.of("checkpoint"));
            lower2.message(0, List.of("checkpoint"));
        }
        assertEquals(List.of(2L, 3L), writtenSince(2, lower));
        assertEquals(List.of(1L, 2L), writtenSince(2, lower2));
    }
}
