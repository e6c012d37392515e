// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.file.FileClaim;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Engine and tools don't use one file at a time, whoever comes first and whatever they call it. */
class FileBackingsTest {
    @TempDir
    Path folder;

    private final FileBackings backings = new FileBackings();
    private Path file;
    private Path link;

    @BeforeEach
    void make() throws IOException {
        file = Files.write(folder.resolve("file"), new byte[1 << 20]);
        link = Files.createSymbolicLink(folder.resolve("link"), file);
    }

    private void assertBusy(Path name) {
        ErrnoException e = assertThrows(
                ErrnoException.class, () -> backings.open(name.toString(), true).close());
        assertTrue(e.is(Errno.EBUSY), e.getMessage());
    }

    @Test
    void aFileThatAToolWritesIsBusyForTheEngine() throws IOException {
        for (Path name : new Path[] {file, link}) {
            // Claimed anew each time: what the engine opened in this same process, and closed, gave the tool's lock up.
            try (FileChannel tool = FileChannel.open(file, StandardOpenOption.WRITE)) {
                assertTrue(FileClaim.takeForWriting(tool, file));
                assertBusy(name);
            }
        }
        backings.open(link.toString(), true).close();
    }

    @Test
    void aFileThatAToolReadsIsBusyForTheEngine() throws IOException {
        try (var tool = DeviceOpener.open(file, false, DeviceOpener.Claim.EXCLUSIVE)) {
            assertEquals(256, tool.sizeBlocks());
            assertBusy(link);
        }
        backings.open(file.toString(), true).close();
    }

    @Test
    void aFileThatTheEngineHasIsInUseForTools() throws IOException {
        try (Backing backing = backings.open(file.toString(), true)) {
            assertEquals(1 << 20, backing.sizeBytes());
            for (boolean writable : new boolean[] {false, true}) {
                IOException e = assertThrows(
                        IOException.class,
                        () -> DeviceOpener.open(link, writable, DeviceOpener.Claim.EXCLUSIVE)
                                .close());
                assertTrue(e.getMessage().contains("is in use"), e.getMessage());
            }
            // To close another descriptor of the file in the engine's own process doesn't give it up.
            Files.readAllBytes(file);
            try (FileChannel tool = FileChannel.open(file, StandardOpenOption.WRITE)) {
                assertFalse(FileClaim.takeForWriting(tool, file));
            }
        }
        DeviceOpener.open(file, true, DeviceOpener.Claim.EXCLUSIVE).close();
    }

    @Test
    void twoTargetsOfOneEngineShareAFile() throws IOException {
        try (Backing one = backings.open(file.toString(), true);
                Backing two = backings.open(link.toString(), true)) {
            assertEquals(one.identity(), two.identity());
        }
    }

    @Test
    void anOpenThatTakesLongHoldsUpNoneOfAnotherFile() throws Exception {
        Path other = Files.write(folder.resolve("other"), new byte[1 << 20]);
        CountDownLatch opening = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        FileBackings slow = new FileBackings() {
            @Override
            int claim(Path path, boolean writable, boolean isBlock) throws IOException {
                if (path.equals(file)) {
                    opening.countDown();
                    Threads.await(goOn::await);
                }
                return super.claim(path, writable, isBlock);
            }
        };
        CompletableFuture<Backing> late = openAside(slow, file);
        try {
            opening.await();
            try (Backing first = openAside(slow, other).get(30, TimeUnit.SECONDS)) {
                openAside(slow, other).get(30, TimeUnit.SECONDS).close();
                assertEquals(1 << 20, first.sizeBytes());
            }
            openAside(slow, other).get(30, TimeUnit.SECONDS).close();
            assertFalse(late.isDone());
        } finally {
            goOn.countDown();
            late.get().close();
        }
    }

    private static CompletableFuture<Backing> openAside(FileBackings backings, Path path) {
        CompletableFuture<Backing> opened = new CompletableFuture<>();
        new Thread(() -> {
                    try {
                        opened.complete(backings.open(path.toString(), true));
                    } catch (IOException | RuntimeException e) {
                        opened.completeExceptionally(e);
                    }
                })
                .start();
        return opened;
    }

    @Test
    void whoWasToShareASyncThatMetAnErrorSyncsItself() throws Exception {
        AtomicInteger syncs = new AtomicInteger();
        CountDownLatch waiting = new CountDownLatch(1);
        FileBackings failing = new FileBackings() {
            @Override
            FileBacking backing(Path path, boolean writable, long device, int fd) throws IOException {
                return new FileBacking(path, writable, device, fd) {
                    @Override
                    void force(FileChannel channel) {
                        switch (syncs.getAndIncrement()) {
                            case 0 -> assertDoesNotThrow(() -> waiting.await());
                            case 1 -> throw new OutOfMemoryError("for the test");
                            default -> {}
                        }
                    }
                };
            }
        };
        try (Backing backing = failing.open(file.toString(), true)) {
            AtomicInteger errors = new AtomicInteger();
            List<Thread> flushing = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                Thread thread = new Thread(() -> assertDoesNotThrow(() -> {
                    try {
                        backing.flush();
                    } catch (OutOfMemoryError e) {
                        errors.getAndIncrement();
                    }
                }));
                thread.start();
                flushing.add(thread);
                // The first is in its sync, the others wait for that.
                while (syncs.get() == 0 || thread.getState() != Thread.State.WAITING) {
                    Thread.onSpinWait();
                }
            }
            waiting.countDown();
            for (Thread thread : flushing) {
                thread.join();
            }
            assertEquals(1, errors.get());
            assertEquals(3, syncs.get());
        }
    }

    /** Backings of which the next sync of {@link #file} fails, and no other. */
    private FileBackings losingOnce(AtomicInteger syncs) {
        return new FileBackings() {
            @Override
            FileBacking backing(Path path, boolean writable, long device, int fd) throws IOException {
                return new FileBacking(path, writable, device, fd) {
                    @Override
                    void force(FileChannel channel) throws IOException {
                        if (path.equals(file) && syncs.getAndIncrement() == 0) {
                            throw new IOException("Input/output error");
                        }
                        super.force(channel);
                    }
                };
            }
        };
    }

    @Test
    void aSyncThatFailedFailsEveryLaterFlushOfWhoeverHasTheFileOpenByWhateverTarget() throws Exception {
        Path other = Files.write(folder.resolve("other"), new byte[1 << 20]);
        Path metadata = Files.write(folder.resolve("metadata"), new byte[1 << 20]);
        AtomicInteger syncs = new AtomicInteger();
        FileBackings losing = losingOnce(syncs);
        TargetFactory.BackingOpener opener = name -> losing.open(name, true);
        Target linear = LinearTarget.load(1024, List.of(file.toString(), "512"), opener);
        Target striped =
                StripedTarget.load(1024, List.of("2", "8", other.toString(), "0", file.toString(), "0"), opener);
        Target era =
                new EraTargetFactory(line -> {}).load(1024, List.of(metadata.toString(), file.toString(), "8"), opener);
        era.resume();
        List<Target> all = List.of(linear, striped, era);
        for (int round = 0; round < 3; round++) {
            for (Target target : all) {
                IOException e = assertThrows(IOException.class, target::flush, target.type());
                assertTrue(e.getMessage().contains("were lost: Input/output error"), e.getMessage());
                // The second chunk, which is on the file of the striped one, too.
                assertThrows(
                        IOException.class,
                        () -> target.write(4096, ByteBuffer.allocate(512), Target.FUA),
                        target.type());
            }
        }
        assertTrue(syncs.get() > 1, "later syncs were asked for, and went well");
        assertEquals("Error", era.status());
        for (Target target : all) {
            target.close();
        }
        // Opened again, it counts from anew.
        Target again = LinearTarget.load(1024, List.of(file.toString(), "0"), opener);
        again.flush();
        again.close();
    }

    @Test
    void theStatusOfAnEraTargetSaysWhatWasLostThoughOnlyOthersOrAWriteWithFuaWereToldOfIt() throws Exception {
        Path metadata = Files.write(folder.resolve("metadata"), new byte[1 << 20]);
        for (boolean byFua : new boolean[] {true, false}) {
            // The one before is the resume's.
            FileBackings losing = losingOnce(new AtomicInteger(-1));
            TargetFactory.BackingOpener opener = name -> losing.open(name, true);
            try (Target linear = LinearTarget.load(1024, List.of(file.toString(), "0"), opener);
                    Target era = new EraTargetFactory(line -> {})
                            .load(1024, List.of(metadata.toString(), file.toString(), "8"), opener)) {
                era.resume();
                Target told = byFua ? era : linear;
                assertThrows(IOException.class, () -> told.write(0, ByteBuffer.allocate(512), Target.FUA));
                assertEquals("Error", era.status());
            }
        }
    }
}
