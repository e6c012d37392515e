// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.dmera.core.content.EraRuns;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.TargetTable;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.ChangeTracking;
import org.dmera.dmsetup.targets.EraTargetFactory;
import org.dmera.dmsetup.targets.MemoryBacking;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;
import org.dmera.tools.Commands;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Answers about devices of which a lot is to be said. */
@Timeout(300)
class BlockStatusTest {
    private static final long SECTORS = 1L << 53;
    private static final long SLICE_BYTES = 1L << 20;

    /** A device so large that nobody would see the end of a look at all of it, whose blocks all have the same era. */
    private static final class Endless implements Target, ChangeTracking {
        final CountDownLatch looking = new CountDownLatch(1);

        @Override
        public boolean lastWritten(long offsetBytes, long length, EraRuns visitor) throws IOException {
            looking.countDown();
            long at = 0;
            while (at < length && visitor.run(Math.min(SLICE_BYTES, length - at), 1)) {
                at += SLICE_BYTES;
            }
            return at >= length;
        }

        @Override
        public long allocation(long offsetBytes, long lengthBytes) {
            looking.countDown();
            return Math.min(SLICE_BYTES, lengthBytes);
        }

        @Override
        public Object lineage() {
            return this;
        }

        @Override
        public long blockSizeBytes() {
            return 4096;
        }

        @Override
        public int currentEra() {
            return 1;
        }

        @Override
        public String type() {
            return "endless";
        }

        @Override
        public void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags) {
            throw new UnsupportedOperationException();
        }

        @Override
        public String table() {
            return "";
        }

        @Override
        public String status() {
            return "";
        }

        @Override
        public List<Backing> dependencies() {
            return List.of();
        }

        @Override
        public void close() {}
    }

    @Test
    void anAnswerCoversWhatCanBeLookedUpSoonAndHoldsUpNoSuspend() throws Exception {
        for (String context : List.of("era:writes", "qemu:dirty-bitmap:era-since-1", "base:allocation")) {
            Endless target = new Endless();
            DeviceIo io = new DeviceIo(task -> new Thread(task).start());
            io.setTable(new TargetTable(List.of(new TargetTable.Line(0, SECTORS, target))));
            MetaContexts.Context chosen =
                    MetaContexts.select(io, List.of(context), false).get(0);
            StatusRuns out = new StatusRuns(new NbdMemory(8 << 20), true);
            CompletableFuture<Integer> count = CompletableFuture.supplyAsync(() -> {
                try {
                    BlockStatus.put(io, chosen, 0, SECTORS * 512, false, out);
                    return out.count();
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
            target.looking.await();
            io.hold();
            io.release();
            assertEquals(1, count.get(240, TimeUnit.SECONDS), context);
            ByteBuffer runs = ByteBuffer.allocate(out.bytes());
            out.copyTo(runs);
            long covered = runs.getLong(0);
            assertTrue(covered > 0 && covered % SLICE_BYTES == 0 && covered < SECTORS * 512, context + ": " + covered);
        }
    }

    /** What {@code era:writes} says of each of the blocks. */
    private static List<Long> eras(DeviceIo io, int blocks) throws IOException {
        MetaContexts.Context writes =
                MetaContexts.select(io, List.of("era:writes"), false).get(0);
        List<Long> eras = new ArrayList<>();
        for (int block = 0; block < blocks; block++) {
            StatusRuns out = new StatusRuns(new NbdMemory(8 << 20), true);
            BlockStatus.put(io, writes, block * 4096L, 4096, true, out);
            ByteBuffer run = ByteBuffer.allocate(out.bytes());
            out.copyTo(run);
            eras.add(run.getLong(Long.BYTES));
        }
        return eras;
    }

    @Test
    void theHigherEraCountsWhereTheEraArrayIsAheadOfAWaitingWriteset(@TempDir Path folder) throws Exception {
        Path xml = Files.writeString(folder.resolve("ahead.xml"), """
                <superblock uuid="" block_size="8" nr_blocks="4" current_era="9">
                  <writeset era="8" nr_bits="4">
                    <marked block_begin="0" len="1"/>
                  </writeset>
                  <writeset era="9" nr_bits="4">
                    <marked block_begin="3" len="1"/>
                  </writeset>
                  <era_array>
                    <era block="0" era="9"/>
                    <era block="1" era="1"/>
                    <era block="2" era="1"/>
                    <era block="3" era="1"/>
                  </era_array>
                </superblock>
                """);
        Path file = Files.write(folder.resolve("metadata"), new byte[64 * 4096]);
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        PrintStream err = new PrintStream(said, true, StandardCharsets.UTF_8);
        String[] words = {"-i", xml.toString(), "-o", file.toString()};
        int code = CommandLine.run(Commands.find("era_restore"), words, InputStream.nullInputStream(), said, err);
        assertEquals(0, code, () -> said.toString(StandardCharsets.UTF_8));

        MemoryBacking metadata = new MemoryBacking("meta", 64 * 4096);
        metadata.write(0, ByteBuffer.wrap(Files.readAllBytes(file)), 0);
        MemoryBacking origin = new MemoryBacking("origin", 4 * 4096);
        Target era = new EraTargetFactory(line -> {})
                .load(32, List.of("meta", "origin", "8"), name -> name.equals("meta") ? metadata : origin);
        DeviceIo io = new DeviceIo(task -> new Thread(task).start());
        io.setTable(new TargetTable(List.of(new TargetTable.Line(0, 32, era))));
        era.resume();
        try {
            assertEquals(List.of(9L, 1L, 1L, 9L), eras(io, 4));
            // The same once the writesets have been digested, which they are by then.
            era.message(List.of("checkpoint"));
            era.message(List.of("checkpoint"));
            assertEquals(List.of(9L, 1L, 1L, 9L), eras(io, 4));
        } finally {
            era.close();
        }
    }
}
