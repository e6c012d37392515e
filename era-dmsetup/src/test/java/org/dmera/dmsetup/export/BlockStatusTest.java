// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.dmera.core.content.EraRuns;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.TargetTable;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.ChangeTracking;
import org.dmera.dmsetup.targets.Target;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

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
        public void read(long offsetBytes, ByteBuffer dst) {
            throw new UnsupportedOperationException();
        }

        @Override
        public void write(long offsetBytes, ByteBuffer src, int flags) {
            throw new UnsupportedOperationException();
        }

        @Override
        public void flush() {}

        @Override
        public void discard(long offsetBytes, long length, int flags) {
            throw new UnsupportedOperationException();
        }

        @Override
        public void writeZeroes(long offsetBytes, long length, int flags) {
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
}
