// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.format.Superblock;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.persistent.NoSpaceException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(300)
class EraTargetTest {
    private static final int BLOCK = 4096;
    private static final int ORIGIN_BLOCKS = 4096;

    private final List<String> journal = new CopyOnWriteArrayList<>();
    private final MemoryBacking metadata = new MemoryBacking("meta", 256 * BLOCK, journal);
    private final MemoryBacking origin = new MemoryBacking("origin", ORIGIN_BLOCKS * BLOCK, journal);
    private final Map<String, Backing> files = Map.of("meta", metadata, "origin", origin);
    private final List<String> log = new CopyOnWriteArrayList<>();
    private final EraTargetFactory factory = new EraTargetFactory(log::add);
    private final List<Target> loaded = new ArrayList<>();

    private TargetFactory.BackingOpener opener(Object owner) {
        return new TargetFactory.BackingOpener() {
            @Override
            public Backing open(String name) throws IOException {
                Backing found = files.get(name);
                if (found == null) {
                    throw new ErrnoException("open " + name, Errno.ENOENT.number());
                }
                return found;
            }

            @Override
            public Object owner() {
                return owner;
            }
        };
    }

    private EraTarget load(String... words) throws Exception {
        return load("device", ORIGIN_BLOCKS * 8L, words);
    }

    private EraTarget load(Object owner, long sectors, String... words) throws Exception {
        EraTarget target = (EraTarget) factory.load(sectors, List.of(words), opener(owner));
        loaded.add(target);
        return target;
    }

    private EraTarget running() throws Exception {
        EraTarget target = load("meta", "origin", "8");
        target.resume();
        return target;
    }

    @AfterEach
    void closeAll() throws IOException {
        metadata.hook = (operation, offset, length) -> {};
        origin.hook = metadata.hook;
        for (Target t : loaded) {
            t.close();
        }
    }

    private static void write(Target target, long block) throws IOException {
        target.write(block * BLOCK, ByteBuffer.allocate(BLOCK).putInt(42).rewind(), 0);
    }

    /** Returns when a write to a marked block has reached the origin, where it stays until {@code goOn}. */
    private CompletableFuture<Void> beginWrite(EraTarget target, long block, CountDownLatch goOn) throws IOException {
        CountDownLatch landing = new CountDownLatch(1);
        origin.hook = (operation, offset, length) -> {
            if (operation.equals("write")) {
                landing.countDown();
                await(goOn);
            }
        };
        CompletableFuture<Void> slow = inBackground(() -> write(target, block));
        await(landing);
        return slow;
    }

    private static int eraOf(EraTarget target, long block) throws IOException {
        int[] found = new int[1];
        target.lastWritten(block * BLOCK, BLOCK, (length, era) -> {
            found[0] = era;
            return true;
        });
        return found[0];
    }

    /** A device for a table alone: nothing of it is read. */
    private static MemoryBacking ofSize(String name, long bytes) {
        return new MemoryBacking(name, 0) {
            @Override
            public long sizeBytes() {
                return bytes;
            }
        };
    }

    @Test
    void aTableWhoseMarksNeedMoreMemoryThanThereIsIsRefusedWithTheFiguresAndLeavesNothingBehind() throws Exception {
        // 48 MB of 64 may be marks, and those of 2^27 blocks are two times 16.8 MB.
        EraTargetFactory small = new EraTargetFactory(log::add, new MarksMemory(64_000_000, () -> 0));
        long blocks = 1L << 27;
        List<MemoryBacking> opened = new ArrayList<>();
        TargetFactory.BackingOpener opener = name -> {
            MemoryBacking backing =
                    name.startsWith("meta") ? new MemoryBacking(name, 256 * BLOCK) : ofSize(name, 2 * blocks * BLOCK);
            opened.add(backing);
            return backing;
        };
        for (int round = 0; round < 3; round++) {
            opened.clear();
            TableException e = assertThrows(
                    TableException.class, () -> small.load(2 * blocks * 8, List.of("meta", "origin", "8"), opener));
            assertEquals(Errno.ENOMEM.number(), e.errno());
            assertEquals(
                    "The marks of 268435456 blocks need 68 MB of memory; of the engine's 64 MB, 48 are left for marks:"
                            + " use larger blocks, or give it more (-Xmx)",
                    e.getMessage());
            assertEquals(2, opened.size());
            for (MemoryBacking backing : opened) {
                assertTrue(backing.closed, backing.display());
                assertEquals(0, backing.writes.get(), backing.display());
            }
        }
        // Not even the memory: one that fits is loaded, and another, which would not fit beside it, when that one is
        // gone.
        for (String metadataName : List.of("meta", "meta2")) {
            Target fits = small.load(blocks * 8, List.of(metadataName, "origin", "8"), opener);
            fits.close();
        }
    }

    @Test
    void aWriteReachesTheOriginOnlyAfterItsMarkIsFlushed() throws Exception {
        EraTarget target = running();
        journal.clear();
        write(target, 7);
        int data = journal.indexOf("origin:write");
        List<String> before = journal.subList(0, data);
        assertEquals("meta:flush", before.get(before.size() - 1), before.toString());
        assertTrue(before.contains("meta:write"));
        assertEquals(1, eraOf(target, 7));
    }

    @Test
    void aSecondWriteToABlockTouchesNoMetadata() throws Exception {
        EraTarget target = running();
        write(target, 7);
        journal.clear();
        write(target, 7);
        target.read(0, ByteBuffer.allocate(BLOCK));
        target.flush();
        assertEquals(List.of("origin:write", "origin:flush"), journal);
    }

    @Test
    void writesThatWaitShareOneCommit() throws Exception {
        EraTarget target = running();
        CountDownLatch committing = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        AtomicBoolean first = new AtomicBoolean(true);
        metadata.hook = (operation, offset, length) -> {
            if (operation.equals("flush") && first.getAndSet(false)) {
                committing.countDown();
                await(goOn);
            }
        };
        int before = metadata.flushes.get();
        List<CompletableFuture<Void>> writes = new ArrayList<>();
        writes.add(inBackground(() -> write(target, 0)));
        await(committing);
        CountDownLatch prepared = new CountDownLatch(64);
        for (int i = 1; i <= 64; i++) {
            assertTrue(target.mustWait((long) i * BLOCK, BLOCK));
            target.prepare((long) i * BLOCK, BLOCK, failure -> prepared.countDown());
        }
        goOn.countDown();
        await(prepared);
        for (CompletableFuture<Void> w : writes) {
            w.get(240, TimeUnit.SECONDS);
        }
        assertEquals(4, metadata.flushes.get() - before, "two flushes for each of two commits");
        assertFalse(target.mustWait(64L * BLOCK, BLOCK));
    }

    @Test
    void readsAndMarkedWritesGoOnWhileACommitRuns() throws Exception {
        EraTarget target = running();
        write(target, 7);
        CountDownLatch committing = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        metadata.hook = (operation, offset, length) -> {
            if (operation.equals("flush")) {
                committing.countDown();
                await(goOn);
            }
        };
        CompletableFuture<Void> waiting = inBackground(() -> write(target, 8));
        await(committing);
        write(target, 7);
        target.read(8L * BLOCK, ByteBuffer.allocate(BLOCK));
        assertFalse(waiting.isDone());
        goOn.countDown();
        waiting.get(240, TimeUnit.SECONDS);
    }

    @Test
    void aWriteUnderWayAtACheckpointIsMarkedInTheNewEraBeforeTheCheckpointReturns() throws Exception {
        EraTarget target = running();
        write(target, 7);
        CountDownLatch goOn = new CountDownLatch(1);
        CompletableFuture<Void> slow = beginWrite(target, 7, goOn);
        target.message(List.of("checkpoint"));
        assertFalse(slow.isDone(), "the checkpoint waits for no write");
        assertEquals(2, eraOf(target, 7));
        goOn.countDown();
        slow.get(240, TimeUnit.SECONDS);
        assertEquals(0, eraOf(target, 8));
    }

    /** Threads that spin make the checkpoint's thread late, so that a suspend could come between its two halves. */
    @Test
    void aSuspendWaitsForACheckpointThatStillHasToMarkAWriteAgain() throws Exception {
        EraTarget target = running();
        write(target, 7);
        CountDownLatch goOn = new CountDownLatch(1);
        CompletableFuture<Void> slow = beginWrite(target, 7, goOn);
        AtomicBoolean stop = new AtomicBoolean();
        List<CompletableFuture<Void>> spinning = new ArrayList<>();
        for (int i = 0; i < 2 * Runtime.getRuntime().availableProcessors(); i++) {
            spinning.add(inBackground(() -> {
                while (!stop.get()) {
                    Thread.onSpinWait();
                }
            }));
        }
        try {
            for (int i = 0; i < 40; i++) {
                CountDownLatch committing = new CountDownLatch(1);
                metadata.hook = (operation, offset, length) -> committing.countDown();
                CompletableFuture<Void> checkpoint = inBackground(() -> target.message(List.of("checkpoint")));
                await(committing);
                target.suspend();
                checkpoint.get(240, TimeUnit.SECONDS);
                assertNull(target.failure());
                target.resume();
            }
        } finally {
            stop.set(true);
            goOn.countDown();
        }
        slow.get(240, TimeUnit.SECONDS);
        for (CompletableFuture<Void> spinner : spinning) {
            spinner.get(240, TimeUnit.SECONDS);
        }
    }

    @Test
    void aCheckpointUnderLoadLosesNoWrite() throws Exception {
        EraTarget target = running();
        AtomicBoolean stop = new AtomicBoolean();
        long[][] lastEra = new long[4][64];
        List<CompletableFuture<Void>> writers = new ArrayList<>();
        for (int w = 0; w < 4; w++) {
            int writer = w;
            writers.add(inBackground(() -> {
                for (int i = 0; !stop.get(); i++) {
                    int block = i % 64;
                    long before = Integer.toUnsignedLong(target.currentEra());
                    write(target, writer * 64L + block);
                    // It was acknowledged in this era or a later one.
                    lastEra[writer][block] = before;
                }
            }));
        }
        for (int i = 0; i < 50; i++) {
            target.message(List.of("checkpoint"));
        }
        stop.set(true);
        for (CompletableFuture<Void> w : writers) {
            w.get(240, TimeUnit.SECONDS);
        }
        for (int w = 0; w < 4; w++) {
            for (int b = 0; b < 64; b++) {
                int marked = eraOf(target, w * 64L + b);
                assertTrue(
                        marked >= lastEra[w][b],
                        "block " + b + " written in era " + lastEra[w][b] + " or later has " + marked);
            }
        }
    }

    @Test
    void aDiscardMarksEveryBlockThatItTouches() throws Exception {
        EraTarget target = running();
        target.submit(Operation.DISCARD, 10L * BLOCK + 512, 5L * BLOCK, null, 0);
        for (int block = 10; block <= 15; block++) {
            assertEquals(1, eraOf(target, block), "block " + block);
        }
        assertEquals(0, eraOf(target, 9));
        assertEquals(0, eraOf(target, 16));
    }

    @Test
    void aDiscardOfMoreBlocksThanOneCommitMarksMarksThemAll() throws Exception {
        long blocks = (5L << 20) + 3;
        Backing huge = new Backing() {
            @Override
            public String display() {
                return "huge";
            }

            @Override
            public long device() {
                return -1;
            }

            @Override
            public long sizeBytes() {
                return blocks * BLOCK;
            }

            @Override
            public void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags) {
                if (data != null) {
                    data.position(data.limit());
                }
            }

            @Override
            public long allocation(long offsetBytes, long lengthBytes) {
                return -lengthBytes;
            }

            @Override
            public void close() {}
        };
        MemoryBacking large = new MemoryBacking("large", 64 << 20);
        EraTarget target = (EraTarget)
                factory.load(blocks * 8, List.of("large", "huge", "8"), name -> name.equals("large") ? large : huge);
        loaded.add(target);
        target.resume();
        target.submit(Operation.DISCARD, BLOCK, (blocks - 2) * BLOCK, null, 0);
        List<String> runs = new ArrayList<>();
        long[] last = {0, -1};
        target.lastWritten(0, blocks * BLOCK, (length, era) -> {
            if (era != last[1]) {
                runs.add(last[0] / BLOCK + ":" + era);
            }
            last[0] += length;
            last[1] = era;
            return true;
        });
        assertEquals(List.of("0:0", "1:1", (blocks - 1) + ":0"), runs);
    }

    @Test
    void memoryIsGivenUpAtAnyTimeAndReadAgainWhenItIsNeeded() throws Exception {
        EraTarget target = running();
        write(target, 0);
        AtomicInteger reads = new AtomicInteger();
        metadata.hook = (operation, offset, length) -> {
            if (operation.equals("read")) {
                reads.incrementAndGet();
            }
        };
        write(target, 1);
        assertEquals(0, reads.get());
        target.releaseMemory();
        write(target, 0);
        assertEquals(0, reads.get(), "it is marked");
        write(target, 2);
        assertTrue(reads.get() > 0);
        int blocks = 300;
        CompletableFuture<Void> writes = inBackground(() -> {
            for (int block = 3; block < blocks; block++) {
                write(target, block);
            }
        });
        while (!writes.isDone()) {
            target.releaseMemory();
        }
        writes.get();
        target.suspend();
        target.releaseMemory();
        target.resume();
        for (int block = 0; block < blocks + 1; block++) {
            assertEquals(block < blocks ? 1 : 0, eraOf(target, block), "block " + block);
        }
        target.close();
        assertThrows(IOException.class, target::releaseMemory);
    }

    @Test
    void aFailingMetadataDeviceFailsUnmarkedWritesAlone() throws Exception {
        EraTarget target = running();
        write(target, 7);
        metadata.hook = (operation, offset, length) -> {
            if (!operation.equals("read")) {
                throw new IOException("the cable is out");
            }
        };
        assertThrows(IOException.class, () -> write(target, 8));
        assertEquals(0, ByteBuffer.wrap(origin.bytes()).getInt(8 * BLOCK), "the origin was not touched");
        write(target, 7);
        target.read(0, ByteBuffer.allocate(BLOCK));
        assertEquals("Error", target.status());
        assertNotNull(target.failure());
        metadata.hook = (operation, offset, length) -> {};
        assertThrows(IOException.class, () -> write(target, 8), "only a resume opens the metadata again");
        target.suspend();
        target.resume();
        assertNull(target.failure());
        assertEquals(1, eraOf(target, 7));
        write(target, 8);
        assertEquals(2, eraOf(target, 8));
    }

    @Test
    void aFullMetadataDeviceSaysSoAndKeepsWhatIsMarked() throws Exception {
        MemoryBacking small = new MemoryBacking("small", 17 * BLOCK, journal);
        EraTarget target = (EraTarget) new EraTargetFactory(log::add)
                .load(
                        ORIGIN_BLOCKS * 8L,
                        List.of("small", "origin", "8"),
                        name -> name.equals("small") ? small : origin);
        target.resume();
        loaded.add(target);
        write(target, 1);
        IOException full = null;
        for (int i = 0; full == null && i < 100; i++) {
            try {
                target.message(List.of("take_metadata_snap"));
                write(target, i);
                target.message(List.of("checkpoint"));
            } catch (IOException e) {
                full = e;
            }
        }
        assertNotNull(full);
        assertTrue(log.stream().anyMatch(line -> line.contains("no space")), log.toString());
        assertEquals("Error", target.status());
        target.read(0, ByteBuffer.allocate(BLOCK));
        target.suspend();
        assertEquals("Error", target.status());
    }

    /** Metadata as the kernel leaves them when eras begin faster than it digests: full, with hardly a free block. */
    @Test
    void metadataThatIsFullOfWritesetsComesBackByAResumeWithEveryMark() throws Exception {
        for (int blocks : new int[] {100, 101, 102, 103, 104}) {
            MemoryBlockDevice device = new MemoryBlockDevice(blocks);
            EraMetadata filled = EraMetadata.openOrFormat(device, 8);
            filled.resize(ORIGIN_BLOCKS);
            NoSpaceException full = null;
            for (int era = 1; full == null; era++) {
                try {
                    filled.rollover();
                    filled.mark(era < 4 ? era * 1000 : 0);
                    filled.commit();
                } catch (NoSpaceException e) {
                    full = e;
                }
            }
            MemoryBacking small = new MemoryBacking("small", blocks * BLOCK, journal);
            System.arraycopy(device.bytes(), 0, small.bytes(), 0, small.bytes().length);
            EraTarget target = (EraTarget) factory.load(
                    ORIGIN_BLOCKS * 8L, List.of("small", "origin", "8"), name -> name.equals("small") ? small : origin);
            loaded.add(target);
            target.resume();
            write(target, 7);
            target.message(List.of("checkpoint"));
            target.suspend();
            target.resume();
            for (int i = 0; i < 100; i++) {
                target.message(List.of("checkpoint"));
                write(target, i);
            }
            for (int block : new int[] {1000, 2000, 3000}) {
                assertTrue(eraOf(target, block) >= block / 1000, blocks + " blocks: block " + block);
            }
            assertEquals(0, eraOf(target, 3001));
            target.close();
        }
    }

    @Test
    void aSuspendedTargetAnswersStatusAndRefusesMessages() throws Exception {
        EraTarget target = running();
        target.suspend();
        assertTrue(target.status().endsWith(" 1 -"), target.status());
        ErrnoException e = assertThrows(ErrnoException.class, () -> target.message(List.of("checkpoint")));
        assertTrue(e.is(Errno.EBUSY));
        target.resume();
        assertTrue(target.status().endsWith(" 2 -"), target.status());
    }

    @Test
    void messagesIgnoreCaseAndRefuseWhatTheyDoNotKnow() throws Exception {
        EraTarget target = running();
        target.message(List.of("ChecKPoint"));
        assertEquals(2, target.currentEra());
        assertEinval("era: unsupported message 'foo'", () -> target.message(List.of("foo")));
        assertEinval("era: incorrect number of message arguments", () -> target.message(List.of("checkpoint", "x")));
        assertEinval("era: no snap to drop", () -> target.message(List.of("drop_metadata_snap")));
        target.message(List.of("take_metadata_snap"));
        assertEinval("era: metadata snapshot already exists", () -> target.message(List.of("take_metadata_snap")));
        target.message(List.of("drop_metadata_snap"));
        assertEquals(3, target.currentEra());
    }

    private static void assertEinval(String reason, org.junit.jupiter.api.function.Executable call) {
        ErrnoException e = assertThrows(ErrnoException.class, call);
        assertTrue(e.is(Errno.EINVAL), e.toString());
        assertTrue(e.getMessage().startsWith(reason), e.getMessage());
    }

    @Test
    void aTableLoadedWhileAnotherRunsSeesTheWritesInBetween() throws Exception {
        EraTarget old = running();
        EraTarget next = load("meta", "origin", "8");
        write(old, 7);
        old.message(List.of("checkpoint"));
        write(old, 8);
        String status = next.status();
        assertEquals(status, next.status(), "the status of an inactive table only reads");
        old.suspend();
        next.resume();
        assertEquals(1, eraOf(next, 7));
        assertEquals(2, eraOf(next, 8));
        assertEquals(3, next.currentEra());
    }

    /** What it had read when it was loaded is none of its figures any more. */
    @Test
    void aTableThatCanNotReadWhatAnotherHasWrittenSaysSoAndResumesWhenItCan() throws Exception {
        EraTarget old = running();
        EraTarget next = load("meta", "origin", "8");
        write(old, 7);
        old.suspend();
        int[] reads = new int[1];
        metadata.hook = (operation, offset, length) -> {
            // The first is the look whether it is what was read before.
            if (operation.equals("read") && reads[0]++ > 0) {
                throw new IOException("the metadata device is gone");
            }
        };
        assertThrows(IOException.class, next::resume);
        assertEquals("Error", next.status());
        assertTrue(next.failure().contains("is gone"), next.failure());
        metadata.hook = (operation, offset, length) -> {};
        next.resume();
        assertEquals(1, eraOf(next, 7));
        assertEquals(2, next.currentEra());
        assertNull(next.failure());
    }

    /** Who has agreed on an era before would be told that nothing was written since: the new eras are lower. */
    @Test
    void erasThatHaveGoneRoundAreAnotherRecord() throws Exception {
        load("meta", "origin", "8").close();
        ByteBuffer bytes = ByteBuffer.wrap(metadata.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        new Superblock().wrap(bytes, 0).currentEra(0xfffffffdL);
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        EraTarget target = running();
        Object before = target.lineage();
        target.message(List.of("checkpoint"));
        assertEquals(-1, target.currentEra());
        assertSame(before, target.lineage());
        target.message(List.of("checkpoint"));
        assertEquals(0, target.currentEra());
        Object after = target.lineage();
        assertNotSame(before, after);
        target.suspend();
        target.resume();
        assertSame(after, target.lineage());
    }

    /** What comes back has era 0, as in the kernel: who has agreed on an era before would be told that it is clean. */
    @Test
    void aDeviceThatIsMadeSmallerHasAnotherRecordAndOneThatGrowsTheSame() throws Exception {
        EraTarget whole = running();
        write(whole, ORIGIN_BLOCKS - 1);
        Object before = whole.lineage();
        whole.suspend();
        EraTarget smaller = load("device", ORIGIN_BLOCKS * 4L, "meta", "origin", "8");
        assertSame(before, smaller.lineage());
        smaller.resume();
        Object after = smaller.lineage();
        assertNotSame(before, after);
        smaller.suspend();
        EraTarget grown = running();
        assertSame(after, grown.lineage());
    }

    @Test
    void tablesThatTheKernelRefusesAreRefusedInItsWords() {
        assertRefused("Invalid argument count", "meta", "origin");
        assertRefused("Error opening metadata device", "nowhere", "origin", "8");
        assertRefused("Error opening data device", "meta", "nowhere", "8");
        for (String bad : List.of("8x", "x", "-8", "+8", "0x8", "8.0", "")) {
            assertRefused("Error parsing block size", "meta", "origin", bad);
        }
        for (String bad : List.of("0", "7", "12", "4", "4294967296")) {
            assertRefused("Invalid block size", "meta", "origin", bad);
        }
    }

    @Test
    void tablesThatTheKernelWouldTakeToItsHarmAreRefusedToo() throws Exception {
        assertRefused("Block size does not fit 32 bits", "meta", "origin", "4294967304");
        assertRefused("Metadata and origin are the same device", "meta", "meta", "8");
        TableException longer =
                assertThrows(TableException.class, () -> load("device", ORIGIN_BLOCKS * 8L + 1, "meta", "origin", "8"));
        assertTrue(longer.getMessage().contains("longer than the origin"), longer.getMessage());
        running();
        TableException inUse = assertThrows(
                TableException.class, () -> load("another device", ORIGIN_BLOCKS * 8L, "meta", "origin", "8"));
        assertEquals("Metadata device is in use by another era target", inUse.getMessage());
    }

    private void assertRefused(String reason, String... words) {
        TableException e = assertThrows(TableException.class, () -> load(words));
        assertEquals(reason, e.getMessage());
        assertEquals(Errno.EINVAL.number(), e.errno());
    }

    @Test
    void anotherBlockSizeOrADamagedSuperblockIsRefused() throws Exception {
        EraTarget target = running();
        target.close();
        assertRefused("Error reading metadata", "meta", "origin", "16");
        metadata.bytes()[100] ^= 1;
        TableException e = assertThrows(TableException.class, () -> load("meta", "origin", "8"));
        assertEquals("Error reading metadata", e.getMessage());
    }

    private interface Action {
        void run() throws Exception;
    }

    private static CompletableFuture<Void> inBackground(Action action) {
        return CompletableFuture.runAsync(
                () -> {
                    try {
                        action.run();
                    } catch (Exception e) {
                        throw new java.util.concurrent.CompletionException(e);
                    }
                },
                task -> {
                    Thread thread = new Thread(task);
                    thread.setDaemon(true);
                    thread.start();
                });
    }

    private static void await(CountDownLatch latch) throws IOException {
        try {
            assertTrue(latch.await(240, TimeUnit.SECONDS));
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    @Test
    void whenThereIsNoMemoryInAPassAllThatWaitIsAnsweredAndAResumeHealsIt() throws Exception {
        EraTarget target = running();
        write(target, 1);
        CountDownLatch held = new CountDownLatch(1);
        CountDownLatch failing = new CountDownLatch(1);
        metadata.hook = (operation, offset, length) -> {
            held.countDown();
            await(failing);
            throw new OutOfMemoryError("no memory for " + operation);
        };
        CompletableFuture<Void> first = inBackground(() -> write(target, 2));
        // The checkpoint is to fail before it begins an era, in which block 1 would not be marked.
        await(held);
        CompletableFuture<Void> second = inBackground(() -> write(target, 3));
        CompletableFuture<Void> message = inBackground(() -> target.message(List.of("checkpoint")));
        failing.countDown();
        for (CompletableFuture<Void> one : List.of(first, second, message)) {
            assertThrows(ExecutionException.class, () -> one.get(240, TimeUnit.SECONDS));
        }
        assertEquals("Error", target.status());
        assertTrue(target.failure().contains("no memory for"), target.failure());
        write(target, 1);
        target.suspend();
        metadata.hook = (operation, offset, length) -> {};
        target.resume();
        write(target, 2);
        assertEquals(target.currentEra(), eraOf(target, 2));
        assertNull(target.failure());
    }

    @Test
    void whereNoLineCanBeLoggedEitherAllThatWaitIsAnswered() throws Exception {
        EraTargetFactory speechless = new EraTargetFactory(line -> {
            throw new OutOfMemoryError("no memory for a line");
        });
        EraTarget target =
                (EraTarget) speechless.load(ORIGIN_BLOCKS * 8L, List.of("meta", "origin", "8"), opener("device"));
        loaded.add(target);
        target.resume();
        CountDownLatch held = new CountDownLatch(1);
        CountDownLatch failing = new CountDownLatch(1);
        metadata.hook = (operation, offset, length) -> {
            held.countDown();
            await(failing);
            throw new IOException("the cable is out");
        };
        List<CompletableFuture<Void>> all = new ArrayList<>();
        all.add(inBackground(() -> write(target, 2)));
        await(held);
        all.add(inBackground(() -> write(target, 3)));
        all.add(inBackground(() -> write(target, 4)));
        all.add(inBackground(() -> target.message(List.of("checkpoint"))));
        all.add(inBackground(() -> target.message(List.of("drop_metadata_snap"))));
        failing.countDown();
        for (CompletableFuture<Void> one : all) {
            assertThrows(ExecutionException.class, () -> one.get(60, TimeUnit.SECONDS));
        }
        assertEquals("Error", target.status());
    }

    /** An error in this program, of those who look after answers: they are asked wherever an era begins or ends. */
    private static void failWhereErasBeginAndEnd(EraTarget target) {
        target.answersOwed(stillOwed -> {
            throw new IllegalStateException("for the test");
        });
    }

    /** What is found of a block if the engine is killed now. */
    private int eraAfterAKill(long block) throws Exception {
        MemoryBacking left = new MemoryBacking("left", metadata.bytes().length);
        System.arraycopy(metadata.bytes(), 0, left.bytes(), 0, metadata.bytes().length);
        Target found = new EraTargetFactory(log::add)
                .load(
                        ORIGIN_BLOCKS * 8L,
                        List.of("left", "origin", "8"),
                        name -> name.equals("left") ? left : ofSize(name, ORIGIN_BLOCKS * BLOCK));
        try {
            return eraOf((EraTarget) found, block);
        } finally {
            found.close();
        }
    }

    /** Has another table take the place of one that came to rest by an error: what is written then stays recorded. */
    private void assertLeavesTheMetadataToTheNextTable(EraTarget failed) throws Exception {
        failed.answersOwed(stillOwed -> {});
        ErrnoException e = assertThrows(ErrnoException.class, () -> failed.message(List.of("checkpoint")));
        assertTrue(e.is(Errno.EBUSY), e.getMessage());
        EraTarget next = load("meta", "origin", "8");
        next.resume();
        write(next, 2);
        int era = next.currentEra();
        failed.close();
        assertEquals(era, eraAfterAKill(2));
        write(next, 3);
        next.close();
        EraTarget last = running();
        assertEquals(1, eraOf(last, 1));
        assertEquals(era, eraOf(last, 2));
        assertEquals(era, eraOf(last, 3));
        assertEquals(era + 1, last.currentEra());
    }

    @Test
    void aTableWhoseResumeMeetsAnErrorLeavesTheMetadataToTheNextOne() throws Exception {
        EraTarget target = running();
        write(target, 1);
        target.suspend();
        failWhereErasBeginAndEnd(target);
        assertThrows(IllegalStateException.class, target::resume);
        assertLeavesTheMetadataToTheNextTable(target);
    }

    @Test
    void aTableWhoseSuspendMeetsAnErrorSaysSoAndLeavesTheMetadataToTheNextOne() throws Exception {
        EraTarget target = running();
        write(target, 1);
        failWhereErasBeginAndEnd(target);
        target.suspend();
        assertEquals("Error", target.status());
        assertTrue(target.failure().contains("for the test"), target.failure());
        assertLeavesTheMetadataToTheNextTable(target);
    }

    @Test
    void aTableThatMeetsAnErrorAtItsEndIsClosedAllTheSame() throws Exception {
        EraTarget target = running();
        failWhereErasBeginAndEnd(target);
        target.close();
        assertTrue(metadata.closed);
        assertTrue(origin.closed);
        // Its claims are gone, too.
        load("another device", ORIGIN_BLOCKS * 8L, "meta", "origin", "8").resume();
    }

    @Test
    void memoryThatIsMissingWhileATableIsLoadedIsTheFailureOfTheLoadAlone() throws Exception {
        metadata.hook = (operation, offset, length) -> {
            throw new OutOfMemoryError("no memory for " + operation);
        };
        assertThrows(OutOfMemoryError.class, () -> load("meta", "origin", "8"));
        metadata.hook = (operation, offset, length) -> {};
        running();
    }

    @Test
    void aRefusedTableWhoseMetadataCannotBeClosedEitherLeavesNothingClaimed() throws Exception {
        AtomicBoolean broken = new AtomicBoolean(true);
        MemoryBacking stuck = new MemoryBacking("stuck", metadata.bytes().length) {
            @Override
            public void close() {
                if (broken.get()) {
                    throw new IllegalStateException("for the test");
                }
            }
        };
        stuck.bytes()[0] = 1;
        TargetFactory.BackingOpener opener = name -> name.equals("stuck") ? stuck : origin;
        List<String> words = List.of("stuck", "origin", "8");
        TableException e = assertThrows(TableException.class, () -> factory.load(ORIGIN_BLOCKS * 8L, words, opener));
        assertEquals("Error reading metadata", e.getMessage());
        assertTrue(origin.closed);
        broken.set(false);
        stuck.bytes()[0] = 0;
        loaded.add(factory.load(ORIGIN_BLOCKS * 8L, words, name -> opener.open(name)));
    }

    @Test
    void statusCallsDoNotPileUpWhileTheMetadataDeviceDoesNotAnswer() throws Exception {
        EraTarget target = running();
        CountDownLatch held = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        metadata.hook = (operation, offset, length) -> {
            held.countDown();
            await(goOn);
        };
        CompletableFuture<Void> writing = inBackground(() -> write(target, 5));
        await(held);
        for (int i = 0; i < 10; i++) {
            target.status();
        }
        assertEquals(1, target.waitingCalls());
        goOn.countDown();
        writing.get(240, TimeUnit.SECONDS);
        target.message(List.of("checkpoint"));
        assertTrue(target.status().contains(" " + target.currentEra() + " "), target.status());
    }

    @Test
    void aTableForWhoseMarksThereIsNoMemoryIsRefusedWithTheFigures() throws Exception {
        MarksMemory memory = new MarksMemory();
        long blocks = 1L << 30;
        List<Long> reserved = new ArrayList<>();
        TableException refusal = null;
        while (refusal == null) {
            try {
                reserved.add(memory.reserve(blocks));
            } catch (TableException e) {
                refusal = e;
            }
        }
        assertEquals(Errno.ENOMEM.number(), refusal.errno());
        String figures = "The marks of 1073741824 blocks need 269 MB of memory";
        assertTrue(refusal.getMessage().startsWith(figures), refusal.getMessage());
        assertFalse(reserved.isEmpty());
        memory.release(reserved.get(0));
        memory.reserve(blocks);
    }
}
