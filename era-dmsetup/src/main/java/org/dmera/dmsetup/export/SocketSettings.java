// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import jdk.net.ExtendedSocketOptions;
import org.dmera.core.linux.PeerPoll;

/**
 * How a client's socket is set up: a TCP client that vanishes without a word, and is owed nothing, is noticed within a minute,
 * and lets go of its device.
 */
final class SocketSettings {
    /** A TCP client that has been silent for so long is asked whether it is there, */
    private static final int KEEPALIVE_IDLE_SECONDS = 30;
    /** and again after so long, */
    private static final int KEEPALIVE_INTERVAL_SECONDS = 10;
    /** so many times; then it is gone. */
    private static final int KEEPALIVE_PROBES = 3;
    /** So that a piece of a long read can be handed over while the client takes the one before. */
    private static final int UNIX_SEND_BUFFER_BYTES = 1 << 20;

    private SocketSettings() {}

    /** Sets {@code channel} up; returns what tells whether the client is there. */
    static PeerPoll apply(SocketChannel channel) throws IOException {
        if (channel.getRemoteAddress() instanceof UnixDomainSocketAddress) {
            // The kernel gives what it allows to everybody; TCP sizes its buffers itself.
            channel.setOption(StandardSocketOptions.SO_SNDBUF, UNIX_SEND_BUFFER_BYTES);
            return new PeerPoll(channel);
        }
        channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
        channel.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
        channel.setOption(ExtendedSocketOptions.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS);
        channel.setOption(ExtendedSocketOptions.TCP_KEEPINTERVAL, KEEPALIVE_INTERVAL_SECONDS);
        channel.setOption(ExtendedSocketOptions.TCP_KEEPCOUNT, KEEPALIVE_PROBES);
        return new PeerPoll(channel);
    }
}
