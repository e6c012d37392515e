// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.net.SocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import javax.net.ssl.SSLException;
import org.dmera.core.linux.NativeText;
import org.dmera.core.linux.PeerPoll;
import org.dmera.dmsetup.device.Acceptor;
import org.dmera.dmsetup.device.LimitedLog;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.FailureText;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Threads;

/**
 * Serves the devices of an engine to NBD clients: any number of listeners, a thread for each connection.
 *
 * <p>Connections are independent. Their number is limited for each listener, so that a client that opens thousands costs no
 * more than that, and locks out nobody who comes by another listener; those over the limit are closed at once. A client
 * that has not chosen its export in time is dropped: that costs nothing but a place, which others need.
 */
public final class NbdServer implements Closeable {
    /** Of one listener. More than any client opens; each costs a thread, and memory as {@link NbdMemory} has it. */
    private static final int MAX_CONNECTIONS = 512;

    private static final int BACKLOG = 128;
    /** From the connection to the choice of an export, for the slowest of TLS clients. */
    private static final Duration HANDSHAKE = Duration.ofSeconds(10);
    /** For clients to take the answers to what is under way when the server closes. */
    private static final long LAST_ANSWERS_NANOS = TimeUnit.SECONDS.toNanos(1);
    /** In which each kind of trouble with clients gets a few lines in the log. */
    private static final Duration COMPLAINTS = Duration.ofSeconds(10);
    /** For a client to take the word of why it is refused. */
    private static final long LAST_WORD_MILLIS = 1000;

    /** Guarded by {@link #connections}. */
    private static final class Listener {
        final ServerSocketChannel channel;
        final String name;
        final TlsIdentity tls;
        int open;

        Listener(ServerSocketChannel channel, String name, TlsIdentity tls) {
            this.channel = channel;
            this.name = name;
            this.tls = tls;
        }
    }

    private final ExportSource exports;
    private final LimitedLog log;
    private final Served served;
    private final Set<SocketChannel> connections = new HashSet<>();
    private final List<Listener> listeners = new ArrayList<>();
    private final List<Path> sockets = new ArrayList<>();
    private final AnswerWatch watch = new AnswerWatch();
    private final AtomicLong accepted = new AtomicLong();
    private final Duration handshake;
    private final ScheduledThreadPoolExecutor deadlines;
    private boolean closed;
    private volatile boolean ending;

    /** A server without listeners; {@code log} gets a line for each connection that ends badly, but no flood of them; it is
     * fit for a terminal. */
    public NbdServer(ExportSource exports, Consumer<String> log) {
        this(new Served(), exports, log);
    }

    /** One that shares its clients' devices and memory with others. */
    public NbdServer(Served served, ExportSource exports, Consumer<String> log) {
        this(served, exports, log, HANDSHAKE);
    }

    /** The same with another limit of the time that a client takes to choose its export. */
    public NbdServer(Served served, ExportSource exports, Consumer<String> log, Duration handshake) {
        this.served = served;
        this.exports = exports;
        this.log = new LimitedLog(line -> log.accept(NativeText.printable("nbd: " + line)), COMPLAINTS);
        this.handshake = handshake;
        this.deadlines = new ScheduledThreadPoolExecutor(1, task -> Threads.daemon("deadlines of nbd", task));
        deadlines.setRemoveOnCancelPolicy(true);
        deadlines.prestartCoreThread();
    }

    /** Listens on a bound Unix socket, {@code socket}, which is closed and deleted at the end. */
    public void listenUnix(ServerSocketChannel listener, Path socket) throws IOException {
        synchronized (connections) {
            sockets.add(socket);
        }
        start(new Listener(listener, socket.toString(), null));
    }

    /** Listens on a socket that somebody else has made at this address, and keeps. */
    public void listen(ServerSocketChannel listener, SocketAddress address, TlsIdentity tls) throws IOException {
        start(new Listener(listener, SocketNames.of(address), tls));
    }

    /** Listens on a TCP address; {@code tls} null means plain. Returns the address, with the port that was chosen. */
    public SocketAddress listenTcp(SocketAddress address, TlsIdentity tls) throws IOException {
        ServerSocketChannel listener = ServerSocketChannel.open();
        SocketAddress bound = Failures.takingBack(
                listener::close,
                () -> listener.setOption(StandardSocketOptions.SO_REUSEADDR, true)
                        .bind(address, BACKLOG)
                        .getLocalAddress());
        start(new Listener(listener, SocketNames.of(bound), tls));
        return bound;
    }

    /** How many connections are open now. */
    public int openConnections() {
        synchronized (connections) {
            return connections.size();
        }
    }

    /** Bytes of payloads held now that wait for metadata. */
    public long payloadBytes() {
        return served.payloadBytes();
    }

    private void start(Listener started) throws IOException {
        synchronized (connections) {
            if (closed) {
                started.channel.close();
                return;
            }
            listeners.add(started);
        }
        Threads.start(
                "nbd-listener", () -> Acceptor.acceptAll(started.channel, log, channel -> accept(started, channel)));
    }

    private void accept(Listener listener, SocketChannel channel) {
        accepted.incrementAndGet();
        boolean started = false;
        try {
            if (register(listener, channel)) {
                Threads.start("nbd-" + accepted.get(), () -> serve(listener, channel));
                started = true;
            }
        } catch (IOException | RuntimeException | Error e) {
            log.accept(
                    "connections without a thread",
                    () -> PeerPoll.peer(channel) + ": no thread for it: " + FailureText.of(e));
        } finally {
            if (!started) {
                drop(listener, channel);
            }
        }
    }

    private boolean register(Listener listener, SocketChannel channel) throws IOException {
        synchronized (connections) {
            if (closed) {
                return false;
            }
            if (listener.open < MAX_CONNECTIONS) {
                connections.add(channel);
                listener.open++;
                return true;
            }
        }
        // Each listener has a limit of its own.
        String at = listener.name;
        log.accept(
                "connections refused at " + at,
                () -> PeerPoll.peer(channel) + ": refused at " + at + ": " + MAX_CONNECTIONS + " connections are open");
        return false;
    }

    private void late(SocketChannel channel, NbdChoice choice) {
        log.accept(
                "clients that chose no export in time",
                () -> choice + ": has chosen no export within " + handshake.toSeconds() + " s: dropped");
        close(channel);
    }

    private void vanished(SocketChannel channel, NbdChoice choice, String why) {
        log.accept("clients that vanished", () -> choice + ": " + why + ": dropped");
        close(channel);
    }

    private void serve(Listener listener, SocketChannel channel) {
        TlsIdentity tls = listener.tls;
        NbdChoice choice = new NbdChoice(exports, PeerPoll.peer(channel), deadlines, late -> late(channel, late));
        Future<?> watching = null;
        try {
            choice.expectWithin(handshake.toMillis());
            PeerPoll poll = SocketSettings.apply(channel);
            watching = Unacknowledged.watch(poll, deadlines, why -> vanished(channel, choice, why));
            NbdHandshake.TlsUpgrade upgrade = tls == null ? null : plain -> new TlsChannel(plain, tls.serverEngine());
            NbdHandshake.Agreed agreed;
            try {
                agreed = new NbdHandshake(channel, choice, upgrade, tls != null).run();
            } finally {
                choice.over();
            }
            if (agreed != null) {
                try {
                    transmit(agreed, poll);
                } finally {
                    agreed.device().close();
                }
                // With TLS, the client is told.
                agreed.channel().close();
            }
        } catch (ClosedChannelException | RejectedExecutionException e) {
            // The server is closing, or the client was late or has vanished.
            return;
        } catch (IOException e) {
            if (!isClosed()) {
                log.accept(
                        kind(e), () -> choice + ": " + (e instanceof SSLException ? "TLS: " : "") + FailureText.of(e));
            }
            if (e instanceof SSLException) {
                hear(channel);
            }
        } catch (RuntimeException | OutOfMemoryError e) {
            log.accept("connections that failed", () -> choice + ": " + FailureText.of(e));
        } finally {
            if (watching != null) {
                watching.cancel(false);
            }
            drop(listener, channel);
        }
    }

    private void transmit(NbdHandshake.Agreed agreed, PeerPoll poll) throws IOException {
        Client client = served.add(line(poll), agreed.device()::storage);
        try {
            NbdConnection.open(agreed, served.memory(), watch, client, new Arrival(served, client))
                    .serve();
        } finally {
            served.remove(client);
        }
    }

    private Client.Line line(PeerPoll poll) {
        return new Client.Line() {
            @Override
            public boolean isCut() {
                return poll.isCut();
            }

            @Override
            public boolean isEnding() {
                // When the server closes, it is the server that has ended the input.
                return ending ? poll.isCut() : poll.hasEnded();
            }
        };
    }

    /** A storm of one kind is not to hide the others. */
    private static String kind(IOException e) {
        if (e instanceof SSLException) {
            return "clients whose TLS failed";
        }
        if (e instanceof ProtocolException) {
            return "clients that broke the protocol";
        }
        return e instanceof EOFException ? "clients that left in the middle" : "connections that ended in an error";
    }

    /**
     * Takes what a refused client still sends: closing over that would throw away what it was told, before it has read it.
     */
    private void hear(SocketChannel channel) {
        Future<?> end = null;
        try {
            end = deadlines.schedule(() -> close(channel), LAST_WORD_MILLIS, TimeUnit.MILLISECONDS);
            channel.configureBlocking(true);
            channel.shutdownOutput();
            ByteBuffer unread = ByteBuffer.allocate(1 << 12);
            while (channel.read(unread.clear()) >= 0) {
                // It has nothing to say any more.
            }
        } catch (IOException | RejectedExecutionException e) {
            // It has gone, or its time is over, or the server's.
            return;
        } finally {
            if (end != null) {
                end.cancel(false);
            }
        }
    }

    private void drop(Listener listener, SocketChannel channel) {
        close(channel);
        synchronized (connections) {
            if (connections.remove(channel)) {
                listener.open--;
            }
            connections.notifyAll();
        }
    }

    private void close(SocketChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            log.accept("failures to close a connection", () -> "closing a connection: " + FailureText.of(e));
        }
    }

    private boolean isClosed() {
        synchronized (connections) {
            return closed;
        }
    }

    /**
     * Stops listening and takes no more requests; those that are under way are answered if their clients take the answers
     * soon. Then drops the connections, and waits for their threads to be done with the devices.
     */
    @Override
    public void close() throws IOException {
        List<SocketChannel> open;
        Failures failures = new Failures();
        deadlines.shutdownNow();
        ending = true;
        synchronized (connections) {
            closed = true;
            listeners.forEach(listener -> failures.run(listener.channel::close));
            sockets.forEach(socket -> failures.run(() -> Files.deleteIfExists(socket)));
            open = new ArrayList<>(connections);
        }
        for (SocketChannel channel : open) {
            try {
                channel.shutdownInput();
            } catch (IOException e) {
                // The client has gone already.
                close(channel);
            }
        }
        awaitNoConnections(LAST_ANSWERS_NANOS);
        for (SocketChannel channel : open) {
            close(channel);
        }
        awaitNoConnections(Long.MAX_VALUE);
        log.close();
        failures.throwFirst();
    }

    private void awaitNoConnections(long nanos) {
        synchronized (connections) {
            Threads.awaitWhile(connections, nanos, () -> !connections.isEmpty());
        }
    }
}
