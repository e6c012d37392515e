// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.dmera.dmsetup.device.EngineLog;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
class ControlServerTest {
    @TempDir
    Path folder;

    /** Standard error without memory for what is to be written, a few times. */
    private static final class ShortOfMemory extends PrintStream {
        private int left = 3;

        ShortOfMemory() {
            super(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8);
        }

        @Override
        public void println(String line) {
            if (left > 0) {
                left--;
                throw new OutOfMemoryError("a test");
            }
            super.println(line);
        }
    }

    @Test
    void clientsAreAcceptedAfterThereWasNoMemoryEvenToSayThatThereIsNone() throws Exception {
        Path socket = folder.resolve("control");
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(socket));
        EngineLog log = new EngineLog(new ShortOfMemory(), EngineLog.Level.INFO, EngineLog.Form.PLAIN);
        // It answers nobody, and says so of each.
        ControlServer control = new ControlServer(server, new EngineControl(null, Map.of()), Set.of(), log);
        try {
            for (int i = 0; i < 4; i++) {
                try (SocketChannel client = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
                    assertEquals(-1, client.read(ByteBuffer.allocate(1)));
                }
            }
        } finally {
            control.close();
        }
    }
}
