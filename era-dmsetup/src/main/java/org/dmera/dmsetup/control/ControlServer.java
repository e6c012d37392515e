// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.attribute.UserPrincipal;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import jdk.net.ExtendedSocketOptions;
import jdk.net.UnixDomainPrincipal;
import org.dmera.core.linux.PeerPoll;
import org.dmera.dmsetup.device.Acceptor;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.LimitedLog;
import org.dmera.dmsetup.targets.FailureText;
import org.dmera.dmsetup.targets.Threads;

/**
 * Serves an {@link EngineControl} on a Unix socket: a thread accepts, and each connection has a thread of its own, so that
 * a slow client, or one that waits for an event, holds up no other.
 */
public final class ControlServer implements Closeable {
    /** More connections than this are refused: a leaking client must not take the engine down with it. */
    private static final int MAX_CONNECTIONS = 1024;

    /** In which each kind of refusal gets a few lines in the log. */
    private static final Duration COMPLAINTS = Duration.ofSeconds(10);

    private final ServerSocketChannel server;
    private final EngineControl control;
    private final Set<UserPrincipal> allowed;
    private final EngineLog log;
    private final Set<SocketChannel> connections = ConcurrentHashMap.newKeySet();
    /** For what those can have written who are not let in. */
    private final LimitedLog limited;

    private final Thread acceptor;

    /**
     * Starts serving.
     *
     * @param server a bound Unix socket; closed with this object
     * @param allowed whom the socket answers, by the credentials of the peer
     */
    public ControlServer(ServerSocketChannel server, EngineControl control, Set<UserPrincipal> allowed, EngineLog log) {
        this.server = server;
        this.control = control;
        this.allowed = Set.copyOf(allowed);
        this.log = log;
        limited = new LimitedLog(line -> log.warn("control socket: " + line), COMPLAINTS);
        acceptor = new Thread(() -> Acceptor.acceptAll(server, limited, this::accept), "control");
        acceptor.start();
    }

    private void accept(SocketChannel channel) throws IOException {
        boolean taken = false;
        try {
            UnixDomainPrincipal peer = channel.getOption(ExtendedSocketOptions.SO_PEERCRED);
            if (!allowed.contains(peer.user())) {
                limited.accept(
                        "users refused",
                        () -> "refused user " + peer.user().getName() + " (" + PeerPoll.peer(channel) + ")");
                return;
            }
            if (connections.size() >= MAX_CONNECTIONS) {
                limited.accept(
                        "connections refused",
                        () -> "refused " + PeerPoll.peer(channel) + ": " + MAX_CONNECTIONS + " connections are open");
                return;
            }
            connections.add(channel);
            Threads.start("control client", () -> serve(channel));
            taken = true;
        } finally {
            if (!taken) {
                connections.remove(channel);
                channel.close();
            }
        }
    }

    private void serve(SocketChannel channel) {
        try (channel) {
            String[] name = new String[1];
            EngineLog.serve(() -> {
                if (name[0] == null) {
                    name[0] = PeerPoll.peer(channel);
                }
                return name[0];
            });
            new ControlConnection(channel, control).serve();
        } catch (IOException e) {
            log.debug("control client: " + FailureText.of(e));
        } catch (RuntimeException | OutOfMemoryError e) {
            log.error("control client", e);
        } finally {
            connections.remove(channel);
        }
    }

    /** Stops serving: the socket and every connection are closed. Calls that are under way run to their end. */
    @Override
    public void close() throws IOException {
        server.close();
        // One that it has just accepted is among them by then.
        Threads.await(acceptor::join);
        for (SocketChannel channel : connections) {
            channel.close();
        }
        limited.close();
    }
}
