// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongSupplier;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.IoRequest;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A write to a marked block makes no object: at a hundred thousand writes a second each one would be felt. */
@Timeout(600)
@Alone
class MarkedWriteAllocationTest {
    private static final int MIB = 16;
    private static final int BLOCK = TestEngine.BLOCK_BYTES;
    private static final int BLOCKS = (MIB << 20) / BLOCK;
    private static final int WRITES = 100_000;
    /** How often so many, at most: what the compilers take out is not made once they are done, however busy the machine is. */
    private static final int ROUNDS = 40;
    /** The smallest object has 16 bytes; what is made once, as when a buffer grows, may be. */
    private static final long LIMIT_BYTES = WRITES;

    private static final int DEPTH = 32;
    private static final int HEADER_BYTES = 28;
    private static final int REPLY_BYTES = 16;

    @TempDir
    private Path folder;

    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @BeforeEach
    void count() {
        assertTrue(threads.isThreadAllocatedMemorySupported());
        threads.setThreadAllocatedMemoryEnabled(true);
    }

    @Test
    void aMarkedWriteMakesNoObjectOnItsWayThroughTheDeviceToTheOrigin() throws Exception {
        try (TestEngine engine = new TestEngine(folder)) {
            DeviceIo io = engine.createEra("vol", MIB).io();
            ByteBuffer data = ByteBuffer.allocateDirect(BLOCK);
            try (AnswerScope scope = io.openScope(1)) {
                assertFewInTheEnd(threads::getCurrentThreadAllocatedBytes, () -> write(io, data, scope, WRITES));
            }
        }
    }

    @Test
    void aWriteToWhatEveryViewHasKeptMakesNoObjectEither() throws Exception {
        try (TestEngine engine = new TestEngine(folder);
                DmClient control = DmClient.open(folder.resolve("control").toString(), line -> {})) {
            DeviceIo io = engine.createEra("vol", MIB).io();
            ByteBuffer data = ByteBuffer.allocateDirect(BLOCK);
            for (int view = 0; view < 3; view++) {
                control.freeze(List.of(DeviceId.ofName("vol")), folder, true, List.of());
            }
            try (AnswerScope scope = io.openScope(1)) {
                assertFewInTheEnd(threads::getCurrentThreadAllocatedBytes, () -> write(io, data, scope, WRITES / 4));
            }
        }
    }

    private static void write(DeviceIo io, ByteBuffer data, AnswerScope scope, int writes) throws IOException {
        IoRequest request = new IoRequest(new Client(() -> false), scope);
        for (int i = 0; i < writes; i++) {
            assertTrue(io.submit(request.set(Operation.WRITE, (long) (i % BLOCKS) * BLOCK, data.clear(), 0)));
            scope.sent();
        }
    }

    private interface Writes {
        void make() throws IOException;
    }

    private static void assertFewInTheEnd(LongSupplier allocated, Writes writes) throws IOException {
        long bytes = LIMIT_BYTES;
        for (int round = 0; round < ROUNDS && bytes >= LIMIT_BYTES; round++) {
            long before = allocated.getAsLong();
            writes.make();
            bytes = allocated.getAsLong() - before;
        }
        assertTrue(bytes < LIMIT_BYTES, bytes + " bytes were allocated in " + WRITES + " writes");
    }

    @Test
    void aMarkedWriteMakesNoObjectBetweenTheSocketAndTheOrigin() throws Exception {
        try (TestEngine engine = new TestEngine(folder)) {
            MappedDevice device = engine.createEra("vol", MIB);
            device.io().submit(Operation.WRITE_ZEROES, 0, (long) MIB << 20, null, 0);
            List<Long> others = threads();
            try (WireClient client = WireClient.open(folder.resolve("nbd"), "vol")) {
                send(client.channel, DEPTH);
                List<Long> serving = threads();
                serving.removeAll(others);
                assertTrue(!serving.isEmpty(), "a thread of the connection's own");
                assertFewInTheEnd(() -> allocated(serving), () -> send(client.channel, WRITES));
            }
            assertEquals(1, TestEngine.era(device).currentEra());
        }
    }

    private static List<Long> threads() {
        return new java.util.ArrayList<>(Thread.getAllStackTraces().keySet().stream()
                .map(MarkedWriteAllocationTest::id)
                .toList());
    }

    @SuppressWarnings("deprecation") // Thread.threadId() came with Java 19
    private static long id(Thread thread) {
        return thread.getId();
    }

    private long allocated(List<Long> ids) {
        long bytes = 0;
        for (long id : ids) {
            bytes += Math.max(0, threads.getThreadAllocatedBytes(id));
        }
        return bytes;
    }

    /** So many writes, {@value #DEPTH} at once; returns when all are answered. */
    private static void send(SocketChannel channel, int writes) throws IOException {
        ByteBuffer requests = ByteBuffer.allocateDirect(DEPTH * (HEADER_BYTES + BLOCK));
        ByteBuffer replies = ByteBuffer.allocateDirect(DEPTH * REPLY_BYTES);
        for (int sent = 0; sent < writes; sent += DEPTH) {
            requests.clear();
            for (int i = 0; i < DEPTH; i++) {
                int at = requests.position();
                requests.putInt(0x25609513).putShort((short) 0).putShort((short) WireClient.WRITE);
                requests.putLong(i)
                        .putLong((long) ((sent + i) % BLOCKS) * BLOCK)
                        .putInt(BLOCK);
                requests.position(at + HEADER_BYTES + BLOCK);
            }
            requests.flip();
            while (requests.hasRemaining()) {
                channel.write(requests);
            }
            replies.clear();
            while (replies.hasRemaining()) {
                assertTrue(channel.read(replies) > 0);
            }
            for (int i = 0; i < DEPTH; i++) {
                assertEquals(0, replies.getInt(i * REPLY_BYTES + 4), "error");
            }
        }
    }
}
