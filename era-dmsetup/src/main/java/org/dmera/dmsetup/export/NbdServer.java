// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.net.SocketAddress;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;

/**
 * Serves the devices of an engine to NBD clients: any number of listeners, a thread for each connection.
 *
 * <p>Connections are independent. Their number is limited, so that a client that opens thousands costs no more than that;
 * those over the limit are closed at once.
 */
public final class NbdServer implements Closeable {
    /** More than any client opens; each costs a thread and half a MiB when it is in transmission. */
    private static final int MAX_CONNECTIONS = 512;

    private static final int BACKLOG = 128;
    /** After a failure to accept. */
    private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

    /** So that a piece of a long read can be handed over while the client takes the one before. */
    private static final int UNIX_SEND_BUFFER_BYTES = 1 << 20;

    private final ExportSource exports;
    private final Consumer<String> log;
    private final BufferPool pool = new BufferPool();
    private final Set<SocketChannel> connections = new HashSet<>();
    private final List<ServerSocketChannel> listeners = new ArrayList<>();
    private final List<Path> sockets = new ArrayList<>();
    private final AtomicLong served = new AtomicLong();
    private boolean closed;

    /** A server without listeners; {@code log} gets a line for each connection that ends badly. */
    public NbdServer(ExportSource exports, Consumer<String> log) {
        this.exports = exports;
        this.log = log;
    }

    /** Listens on a bound Unix socket, {@code socket}, which is closed and deleted at the end. */
    public void listenUnix(ServerSocketChannel listener, Path socket) throws IOException {
        synchronized (connections) {
            sockets.add(socket);
        }
        start(listener, null);
    }

    /** Listens on a TCP address; {@code tls} null means plain. Returns the address, with the port that was chosen. */
    public SocketAddress listenTcp(SocketAddress address, TlsIdentity tls) throws IOException {
        ServerSocketChannel listener = ServerSocketChannel.open();
        try {
            listener.setOption(StandardSocketOptions.SO_REUSEADDR, true);
            listener.bind(address, BACKLOG);
        } catch (IOException e) {
            listener.close();
            throw e;
        }
        start(listener, tls);
        return listener.getLocalAddress();
    }

    /** How many connections have been accepted so far. */
    public long servedConnections() {
        return served.get();
    }

    /** How many connections are open now. */
    public int openConnections() {
        synchronized (connections) {
            return connections.size();
        }
    }

    private void start(ServerSocketChannel listener, TlsIdentity tls) throws IOException {
        synchronized (connections) {
            if (closed) {
                listener.close();
                return;
            }
            listeners.add(listener);
        }
        thread("nbd-listener", () -> accept(listener, tls)).start();
    }

    private static Thread thread(String name, Runnable body) {
        Thread thread = new Thread(body, name);
        thread.setDaemon(true);
        return thread;
    }

    private void accept(ServerSocketChannel listener, TlsIdentity tls) {
        while (true) {
            SocketChannel channel;
            try {
                channel = listener.accept();
            } catch (ClosedChannelException e) {
                return;
            } catch (IOException | RuntimeException | Error e) {
                // Out of descriptors, or a client that left before it was accepted: the next one may fare better, after
                // a moment, for the one that was not accepted is still in the queue.
                log.accept("nbd: accept: " + e.getMessage());
                LockSupport.parkNanos(PAUSE_NANOS);
                continue;
            }
            served.incrementAndGet();
            boolean started = false;
            try {
                if (register(channel)) {
                    thread("nbd-" + served.get(), () -> serve(channel, tls)).start();
                    started = true;
                }
            } catch (RuntimeException | Error e) {
                log.accept("nbd: no thread for a connection: " + e);
            } finally {
                if (!started) {
                    drop(channel);
                }
            }
        }
    }

    private boolean register(SocketChannel channel) {
        synchronized (connections) {
            return !closed && connections.size() < MAX_CONNECTIONS && connections.add(channel);
        }
    }

    private void serve(SocketChannel channel, TlsIdentity tls) {
        try {
            if (channel.getRemoteAddress() instanceof UnixDomainSocketAddress) {
                // The kernel gives what it allows to everybody; TCP sizes its buffers itself.
                channel.setOption(StandardSocketOptions.SO_SNDBUF, UNIX_SEND_BUFFER_BYTES);
            } else {
                channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            }
            NbdHandshake.TlsUpgrade upgrade = tls == null ? null : plain -> new TlsChannel(plain, tls.serverEngine());
            NbdHandshake.Agreed agreed = new NbdHandshake(channel, exports, upgrade, tls != null).run();
            if (agreed != null) {
                try {
                    new NbdConnection(agreed, pool).serve();
                } finally {
                    agreed.device().close();
                }
            }
        } catch (ClosedChannelException e) {
            // The server is closing.
            return;
        } catch (IOException | RuntimeException | OutOfMemoryError e) {
            log.accept("nbd: " + e);
        } finally {
            drop(channel);
        }
    }

    private void drop(SocketChannel channel) {
        close(channel);
        synchronized (connections) {
            connections.remove(channel);
            connections.notifyAll();
        }
    }

    private void close(SocketChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            log.accept("nbd: closing a connection: " + e.getMessage());
        }
    }

    /** Stops listening, drops the connections, and waits for their threads to be done with the devices. */
    @Override
    public void close() throws IOException {
        List<SocketChannel> open;
        synchronized (connections) {
            closed = true;
            for (ServerSocketChannel listener : listeners) {
                listener.close();
            }
            for (Path socket : sockets) {
                Files.deleteIfExists(socket);
            }
            open = new ArrayList<>(connections);
        }
        for (SocketChannel channel : open) {
            close(channel);
        }
        synchronized (connections) {
            boolean interrupted = false;
            while (!connections.isEmpty() && !interrupted) {
                try {
                    connections.wait();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
