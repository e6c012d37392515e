// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.TargetTable;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.StorageAreas;
import org.dmera.dmsetup.targets.StoringNothing;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A device as a loop device over a file, and how that goes. */
@Timeout(300)
@Alone
class LoopDeviceTest {
    private static final int SECTORS = 1 << 11;
    private static final int PAGE = 4096;

    @TempDir
    Path folder;

    private final AtomicInteger writes = new AtomicInteger();
    /** What is done in the midst of a flush. */
    private volatile Failures.Step duringFlush = () -> {};

    private final DeviceIo io = new DeviceIo(task -> new Thread(task).start());

    private final class CountingTarget extends StoringNothing {
        @Override
        public String type() {
            return "counting";
        }

        @Override
        public void read(long offsetBytes, ByteBuffer dst) {
            while (dst.hasRemaining()) {
                dst.put((byte) 0);
            }
        }

        @Override
        protected void change() {
            writes.incrementAndGet();
        }

        @Override
        public void flush() throws IOException {
            duringFlush.run();
        }
    }

    @BeforeEach
    void makeDevice() {
        boolean can = "root".equals(System.getProperty("user.name"))
                && Files.exists(Path.of("/dev/fuse"))
                && Files.exists(Path.of("/dev/loop-control"));
        String why = "needs root, /dev/fuse and /dev/loop-control";
        assertTrue(can || !"true".equals(System.getenv("CI")), why);
        assumeTrue(can, why);
        io.setTable(new TargetTable(List.of(new TargetTable.Line(0, SECTORS, new CountingTarget()))));
    }

    private LoopDevice attach() throws IOException {
        return LoopDevice.over(io, folder.resolve("file"), new Served(), StorageAreas::new, line -> {});
    }

    private static FileChannel open(LoopDevice node) throws IOException {
        return FileChannel.open(Path.of(node.node()), StandardOpenOption.WRITE);
    }

    private static void write(FileChannel channel) throws IOException {
        assertEquals(PAGE, channel.write(ByteBuffer.allocate(PAGE), 0));
    }

    @Test
    void whatIsWrittenAndClosedAfterTheLastWriteOutReachesTheDevice() throws Exception {
        LoopDevice node = attach();
        duringFlush = () -> {
            // Of an fsync(2), which has written out by then what there was before.
            duringFlush = () -> {};
            try (FileChannel channel = open(node)) {
                write(channel);
            }
        };
        node.sync();
        assertEquals(0, writes.get(), "written out already");
        node.detach(() -> {});
        assertTrue(writes.get() > 0, "the write is lost");
    }

    @Test
    void aNodeThatSomebodyHasOpenStaysAndIsServed() throws Exception {
        LoopDevice node = attach();
        try (FileChannel channel = open(node)) {
            for (int i = 1; i < 3; i++) {
                write(channel);
                ErrnoException refused = assertThrows(ErrnoException.class, () -> node.detach(() -> {}));
                assertTrue(refused.is(Errno.EBUSY), refused::toString);
                channel.force(false);
                assertEquals(i, writes.get());
            }
        }
        node.detach(() -> {});
        assertFalse(Files.exists(folder.resolve("file")), "the file stays");
    }
}
