// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.targets.Threads;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of the calls after one whose answer did not come as a whole. */
@Timeout(300)
class SocketControlTest {
    private static final int FRAME_BYTES = 8 + DmIoctl.HEADER_BYTES;

    @TempDir
    Path folder;

    /** A call after one that was answered by {@code first}; the connection after that is answered with EBUSY. */
    private int callAfter(byte[] first, boolean closes) throws Exception {
        Path socket = folder.resolve("control");
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(socket));
            Callable<Void> engine = () -> {
                SocketChannel one = server.accept();
                answer(one, first);
                if (closes) {
                    one.close();
                }
                SocketChannel two = server.accept();
                answer(two, frame(4, -Errno.EBUSY.number()));
                return null;
            };
            Threads.start("engine", new FutureTask<>(engine));
            try (SocketControl control = SocketControl.connect(socket)) {
                assertThrows(IOException.class, () -> call(control));
                return call(control);
            }
        }
    }

    private static int call(SocketControl control) throws IOException {
        return control.call(
                DmCommand.DEV_REMOVE.number(),
                DmIoctl.request(DmIoctl.HEADER_BYTES).buffer());
    }

    private static void answer(SocketChannel channel, byte[] answer) throws IOException {
        ByteBuffer request = ByteBuffer.allocate(FRAME_BYTES);
        while (request.hasRemaining() && channel.read(request) >= 0) {}
        channel.write(ByteBuffer.wrap(answer));
    }

    private static byte[] frame(int... words) {
        ByteBuffer frame = ByteBuffer.allocate(4 * words.length).order(ByteOrder.LITTLE_ENDIAN);
        for (int word : words) {
            frame.putInt(word);
        }
        return frame.array();
    }

    @Test
    void theRestOfAnAnswerThatMadeNoSenseIsNotTakenForTheNextOne() throws Exception {
        // A buffer begins with the version: 4, 47 would be four bytes that say that all is well.
        assertEquals(-Errno.EBUSY.number(), callAfter(frame(SocketControl.MAX_FRAME_BYTES + 1, 0, 4, 47, 0), false));
    }

    @Test
    void whoeverIsLeftWithoutAnAnswerIsToldByWhichEngine() throws Exception {
        Path socket = folder.resolve("control");
        SocketControl control;
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(socket));
            control = SocketControl.connect(socket);
            server.accept().close();
        }
        try (control) {
            for (String reason : new String[] {"Broken pipe", "Connection refused"}) {
                IOException gone = assertThrows(IOException.class, () -> call(control));
                assertEquals("engine at " + socket + ": " + reason, gone.getMessage());
            }
        }
    }

    @Test
    void aCallAfterTheEngineHasGoneReachesTheNextOne() throws Exception {
        assertEquals(-Errno.EBUSY.number(), callAfter(new byte[] {5, 0}, true));
    }
}
