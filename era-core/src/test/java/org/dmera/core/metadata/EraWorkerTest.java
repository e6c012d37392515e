// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.format.Superblock;
import org.dmera.core.persistent.NoSpaceException;
import org.dmera.testkit.EraModel;
import org.dmera.testkit.FaultyBlockDevice;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class EraWorkerTest {
    private final MemoryBlockDevice memory = new MemoryBlockDevice(256);
    private final FaultyBlockDevice device = new FaultyBlockDevice(memory);
    private final List<String> heard = new ArrayList<>();
    private EraMetadata metadata;
    private EraWorker worker;

    @BeforeEach
    void resume() throws IOException {
        metadata = EraMetadata.openOrFormat(device, 8);
        worker = new EraWorker(metadata);
        worker.beforeResume(1000);
        pass(null, call("resume", EraMetadata::rollover));
        heard.clear();
    }

    @Test
    void writesAreLetGoAndBitsSetOnlyAfterTheirCommit() throws IOException {
        long commits = metadata.commits();
        pass(writes(3, 4, 3));
        assertEquals(List.of("marked"), heard);
        assertEquals(1, metadata.commits() - commits, "one commit for all");
        assertTrue(worker.marked().contains(3)
                && worker.marked().contains(4)
                && !worker.marked().contains(5));
        assertEquals(1, EraModel.read(memory).eras()[4]);
    }

    @Test
    void writesToMarkedBlocksCommitNothing() {
        pass(writes(3));
        long commits = metadata.commits();
        pass(writes(3));
        assertEquals(commits, metadata.commits());
        assertEquals(List.of("marked", "marked"), heard);
    }

    @Test
    void aCommitThatFailsFailsTheWritesAndMarksNothingInCore() {
        device.failAfter(0, false, 0);
        pass(writes(3));
        assertTrue(heard.get(0).startsWith("failed: injected failure of a write of block "), heard.get(0));
        assertFalse(worker.marked().contains(3));
        pass(writes(4), call("late", md -> md.stats()));
        assertEquals(3, heard.size());
        assertTrue(heard.get(1).startsWith("failed: metadata is in fail mode since: injected failure"), heard.get(1));
        assertTrue(heard.get(2).startsWith("late: metadata is in fail mode"), heard.get(2));
    }

    @Test
    void anErrorIsTheAnswerOfItsCallAndEveryOtherIsAnsweredToo() {
        pass(
                null,
                call("first", md -> md.stats()),
                call("second", md -> {
                    throw new OutOfMemoryError("none left");
                }),
                call("third", md -> md.stats()));
        assertEquals(3, heard.size(), heard.toString());
        assertTrue(heard.contains("second: none left"), heard.toString());
        assertEquals(
                1, heard.stream().filter(line -> line.contains("none left")).count());
    }

    @Test
    void aNewEraBeginsWithoutMarks() {
        pass(writes(3));
        MarkedBlocks before = worker.marked();
        pass(null, call("checkpoint", EraMetadata::rollover));
        assertFalse(worker.marked().contains(3));
        assertTrue(before.contains(3), "who still looks at the old era's bits sees them unchanged");
    }

    @Test
    void writesAreMarkedBeforeTheCallsOfTheSamePass() throws IOException {
        pass(writes(9), call("checkpoint", EraMetadata::rollover));
        assertEquals(1, EraModel.read(memory).eras()[9]);
        assertEquals(2, metadata.currentEra());
    }

    @Test
    void aRefusedCallIsAnsweredAndStillCommits() {
        long commits = metadata.commits();
        pass(null, call("drop", EraMetadata::dropSnapshot), call("status", md -> md.stats()));
        assertEquals(List.of("drop: no snap to drop", "status: done"), heard);
        assertEquals(1, metadata.commits() - commits, "one commit for all calls");
        assertEquals(null, metadata.failure());
    }

    @Test
    void aStatusCountsBeforeTheCommitThatFollowsIt() {
        pass(writes(1, 500));
        pass(null, call("checkpoint", EraMetadata::rollover));
        List<Long> used = new ArrayList<>();
        EraWorker.Call status = call("status", md -> used.add(md.stats().usedBlocks()));
        for (int i = 0; i < 3; i++) {
            boolean again = pass(null, status);
            while (again) {
                again = pass(null);
            }
        }
        assertEquals(List.of(11L, 15L, 9L), used);
    }

    @Test
    void digestionBeginsWithTheWakeAfterAnArchive() {
        pass(null, call("checkpoint", EraMetadata::rollover));
        assertFalse(worker.isDigesting());
        assertTrue(pass(null), "the first step looked the writeset up, and more is left");
        assertTrue(worker.isDigesting());
    }

    @Test
    void aFailedDigestionStepIsHeardOfByTheNextCall() {
        pass(null, call("checkpoint", EraMetadata::rollover));
        ByteBuffer superblock = ByteBuffer.wrap(memory.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        int root = (int) new Superblock().wrap(superblock, 0).writesetTreeRoot();
        memory.bytes()[root * 4096 + 50] ^= 1;
        EraWorker fresh = reopened();
        assertFalse(fresh.pass(work(null)));
        fresh.pass(work(null, call("status", md -> md.stats())));
        assertTrue(
                heard.get(heard.size() - 1).startsWith("status: metadata is in fail mode since: metadata block"),
                () -> heard.toString());
    }

    @Test
    void erasThatBeginFasterThanDigestionFollowsNeverFillTheDevice() throws IOException {
        MemoryBlockDevice small = new MemoryBlockDevice(1000);
        // 20 blocks for each writeset, 640 for the era array: without room made for them some 15 would fit.
        int nrBlocks = 20 * 509 * 64;
        EraMetadata md = EraMetadata.openOrFormat(small, 8);
        worker = new EraWorker(md);
        worker.beforeResume(nrBlocks);
        int eras = 100;
        for (int era = 1; era <= eras; era++) {
            pass(era == 1 ? null : writes(era, nrBlocks - era), call("checkpoint", EraMetadata::rollover));
        }
        assertEquals(
                List.of("checkpoint: done"),
                heard.stream().filter(line -> !line.equals("marked")).distinct().toList());
        int[] last = EraModel.read(small).eras();
        for (int era = 2; era <= eras; era++) {
            assertEquals(era - 1, last[era], "era of block " + era);
            assertEquals(era - 1, last[nrBlocks - era]);
        }
    }

    @Test
    void metadataWithRoomForOneWritesetAndEightBlocksGoesOnForever() throws IOException {
        Random random = new Random(30);
        for (int leaves : new int[] {1, 12}) {
            int nrBlocks = leaves * 509 * 64;
            int tried = 0;
            for (int size = 34 * leaves; tried < 3; size++) {
                MemoryBlockDevice tight = new MemoryBlockDevice(size);
                EraMetadata md;
                try {
                    md = EraMetadata.openOrFormat(tight, 8);
                    worker = new EraWorker(md);
                    worker.beforeResume(nrBlocks);
                } catch (NoSpaceException e) {
                    continue;
                }
                heard.clear();
                pass(null, call("resume", EraMetadata::rollover));
                if (!heard.equals(List.of("resume: done"))
                        || md.transactionManager().spaceMap().nrFree() < 8) {
                    continue;
                }
                tried++;
                int[] eras = new int[nrBlocks];
                for (int era = 1; era <= 260; era++) {
                    int[] blocks =
                            random.ints(1 + random.nextInt(40), 0, nrBlocks).toArray();
                    pass(writes(blocks), call("checkpoint", EraMetadata::rollover));
                    for (int block : blocks) {
                        eras[block] = era;
                    }
                }
                assertEquals(
                        List.of("resume: done", "marked", "checkpoint: done"),
                        heard.stream().distinct().toList(),
                        size + " blocks for " + leaves + " leaves");
                assertArrayEquals(eras, EraModel.read(tight).eras());
            }
        }
    }

    private EraWorker reopened() {
        try {
            return new EraWorker(EraMetadata.open(memory, 8, 64));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private boolean pass(EraWorker.Writes writes, EraWorker.Call... calls) {
        return worker.pass(work(writes, calls));
    }

    private static EraWorker.Work work(EraWorker.Writes writes, EraWorker.Call... calls) {
        return new EraWorker.Work() {
            @Override
            public EraWorker.Writes takeWrites() {
                return writes;
            }

            @Override
            public List<EraWorker.Call> takeCalls() {
                return List.of(calls);
            }
        };
    }

    private EraWorker.Writes writes(int... blocks) {
        return new EraWorker.Writes() {
            @Override
            public int count() {
                return blocks.length;
            }

            @Override
            public int block(int index) {
                return blocks[index];
            }

            @Override
            public void marked() {
                heard.add("marked");
            }

            @Override
            public void failed(Throwable why) {
                heard.add("failed: " + why.getMessage());
            }
        };
    }

    private interface Verb {
        void run(EraMetadata metadata) throws IOException, RefusedException;
    }

    private EraWorker.Call call(String name, Verb verb) {
        return new EraWorker.Call() {
            @Override
            public void run(EraMetadata md) throws IOException, RefusedException {
                verb.run(md);
            }

            @Override
            public void done(Throwable why) {
                heard.add(name + ": " + (why == null ? "done" : why.getMessage()));
            }
        };
    }
}
