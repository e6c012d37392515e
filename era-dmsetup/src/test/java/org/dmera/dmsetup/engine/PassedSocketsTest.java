// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.SocketOption;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.channels.spi.SelectorProvider;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The sockets that the service manager hands over. */
class PassedSocketsTest {
    @TempDir
    private Path folder;

    private final List<String> closed = new ArrayList<>();

    /** One that listens to nothing, and may be hard to close. */
    private final class Socket extends ServerSocketChannel {
        private final String name;
        private final boolean stubborn;

        Socket(String name, boolean stubborn) {
            super(SelectorProvider.provider());
            this.name = name;
            this.stubborn = stubborn;
        }

        @Override
        protected void implCloseSelectableChannel() throws IOException {
            closed.add(name);
            if (stubborn) {
                throw new IOException(name + " can't be closed");
            }
        }

        @Override
        protected void implConfigureBlocking(boolean block) {}

        @Override
        public ServerSocketChannel bind(SocketAddress local, int backlog) {
            throw new UnsupportedOperationException();
        }

        @Override
        public <T> ServerSocketChannel setOption(SocketOption<T> option, T value) {
            throw new UnsupportedOperationException();
        }

        @Override
        public <T> T getOption(SocketOption<T> option) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Set<SocketOption<?>> supportedOptions() {
            return Set.of();
        }

        @Override
        public java.net.ServerSocket socket() {
            throw new UnsupportedOperationException();
        }

        @Override
        public SocketChannel accept() {
            throw new UnsupportedOperationException();
        }

        @Override
        public SocketAddress getLocalAddress() {
            throw new UnsupportedOperationException();
        }
    }

    @Test
    void oneThatCanNotBeClosedKeepsNoOtherOpen() throws Exception {
        PassedSockets sockets = PassedSockets.take(Map.of(), folder);
        for (String name : List.of("first", "second", "third", "fourth")) {
            boolean stubborn = name.equals("second") || name.equals("third");
            sockets.nbd().add(new PassedSockets.Listener(new Socket(name, stubborn), new InetSocketAddress(0)));
        }
        IOException why = assertThrows(IOException.class, sockets::close);
        assertEquals("second can't be closed", why.getMessage());
        assertEquals("third can't be closed", why.getSuppressed()[0].getMessage());
        assertEquals(List.of("first", "second", "third", "fourth"), closed);
    }
}
