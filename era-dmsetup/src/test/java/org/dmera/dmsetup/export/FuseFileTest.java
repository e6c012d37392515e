// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.dmera.core.block.DirectIo;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.TargetTable;
import org.dmera.dmsetup.targets.StorageAreas;
import org.dmera.dmsetup.targets.StoringNothing;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A device as a file, by the kernel's FUSE. */
@Timeout(300)
@Alone
class FuseFileTest {
    private static final int SECTORS = 1 << 11;
    private static final int PAGE = 4096;

    @TempDir
    Path folder;

    /** There is no memory for requests of its second half. */
    private static final class HalfTarget extends StoringNothing {
        private static void require(long offsetBytes) {
            if (offsetBytes >= SECTORS * 256L) {
                throw new OutOfMemoryError("for the test");
            }
        }

        @Override
        public String type() {
            return "half";
        }

        @Override
        public void read(long offsetBytes, ByteBuffer dst) {
            require(offsetBytes);
            while (dst.hasRemaining()) {
                dst.put((byte) 7);
            }
        }

        @Override
        protected void change() {
            throw new OutOfMemoryError("for the test");
        }
    }

    private final DeviceIo io = new DeviceIo(task -> new Thread(task).start());
    private final List<String> log = new CopyOnWriteArrayList<>();
    private final ByteBuffer page =
            ByteBuffer.allocateDirect(2 * PAGE).alignedSlice(PAGE).limit(PAGE).slice();

    @BeforeEach
    void makeDevice() {
        boolean canMount = "root".equals(System.getProperty("user.name")) && Files.exists(Path.of("/dev/fuse"));
        String why = "needs root and /dev/fuse";
        assertTrue(canMount || !"true".equals(System.getenv("CI")), why);
        assumeTrue(canMount, why);
        io.setTable(new TargetTable(List.of(new TargetTable.Line(0, SECTORS, new HalfTarget()))));
    }

    private void assertSevens(FileChannel channel) throws IOException {
        byte[] sevens = new byte[PAGE];
        Arrays.fill(sevens, (byte) 7);
        assertEquals(PAGE, channel.read(page.clear(), 0));
        byte[] got = new byte[PAGE];
        page.get(0, got);
        assertArrayEquals(sevens, got);
    }

    @Test
    void aRequestThatFailsForWantOfMemoryIsAnsweredAndThoseAfterItAreServed() throws Exception {
        Path file = folder.resolve("file");
        FuseFile served = new FuseFile(io, file, new Served(), StorageAreas::new, log::add);
        // Past the page cache: what is asked for here is what the file is asked for.
        try (FileChannel channel =
                FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE, DirectIo.DIRECT)) {
            // More than there are threads that could end.
            int failures = 6;
            for (int i = 0; i < failures; i++) {
                assertThrows(IOException.class, () -> channel.read(page.clear(), SECTORS * 256L));
                assertThrows(IOException.class, () -> channel.write(page.clear(), 0));
                assertSevens(channel);
            }
            assertEquals(2 * failures, log.size(), log::toString);
            assertTrue(log.get(0).endsWith("file: out of memory: for the test"), log::toString);
        } finally {
            served.close();
        }
    }
}
