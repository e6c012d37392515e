// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.EOFException;
import java.io.IOException;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.export.Nbd;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.tools.backup.copy.OriginSource;

/**
 * A device of an engine, read over NBD by its Unix socket: as many connections as there are threads that read, each with one
 * request at a time, and the simplest replies that there are.
 */
final class NbdSource implements OriginSource {
    private final Path origin;
    private final String export;
    private final Path socket;
    private final Failures.Making<String> reason;
    private final long sizeBytes;
    private final NbdHoles holes;
    private final Queue<Connection> idle = new ConcurrentLinkedQueue<>();

    /**
     * Connects.
     *
     * @param uri as the engine gives it: {@code nbd+unix:///EXPORT?socket=PATH}
     * @param origin what the device lies on
     * @param reason why a read can have failed, as far as somebody else knows
     */
    NbdSource(String uri, Path origin, Failures.Making<String> reason) throws IOException {
        URI parsed = URI.create(uri);
        String socketPart = "socket=";
        if (!"nbd+unix".equals(parsed.getScheme()) || !parsed.getRawQuery().startsWith(socketPart)) {
            throw new IOException(uri + ": expected nbd+unix:///EXPORT?socket=PATH");
        }
        this.origin = origin;
        this.export = decoded(parsed.getRawPath().substring(1));
        this.socket = NativeText.path(decoded(parsed.getRawQuery().substring(socketPart.length())));
        this.reason = reason;
        Connection first = new Connection();
        sizeBytes = first.sizeBytes;
        // While it is open, the view that it reads can't be removed.
        holes = Failures.takingBack(first.wire::drop, () -> new NbdHoles(socket, export, sizeBytes));
        idle.add(first);
    }

    private static String decoded(String escaped) {
        return URLDecoder.decode(escaped, NativeText.CHARSET);
    }

    @Override
    public Path path() {
        return origin;
    }

    @Override
    public long sizeBytes() {
        return sizeBytes;
    }

    @Override
    public void read(long offset, int length, ByteBuffer into, int at) throws IOException {
        use("reading " + length + " bytes at " + offset, connection -> {
            connection.ask(Nbd.CMD_READ, offset, length);
            connection.wire.receiveInto(into.limit(at + length).position(at));
        });
    }

    @Override
    public long holeUntil(long offset) throws IOException {
        return holes.holeUntil(offset);
    }

    @Override
    public long dataUntil(long offset) throws IOException {
        return holes.dataUntil(offset);
    }

    /** Flushes: a view says by that whether all that was read of it is right. */
    void flush() throws IOException {
        use("flushing", connection -> connection.ask(Nbd.CMD_FLUSH, 0, 0));
    }

    private void use(String what, Failures.Use<Connection> use) throws IOException {
        Connection connection = idle.poll();
        boolean done = false;
        try {
            if (connection == null) {
                connection = new Connection();
            }
            use.with(connection);
            done = true;
            idle.add(connection);
        } catch (IOException e) {
            String known = known();
            throw new IOException(export + ": " + what + " failed: " + (known.isEmpty() ? e.getMessage() : known), e);
        } finally {
            if (!done && connection != null) {
                connection.wire.drop();
            }
        }
    }

    private String known() {
        try {
            return reason.make();
        } catch (IOException e) {
            return "";
        }
    }

    /** Closes each connection whatever becomes of the others: who is interrupted can take leave by none of them. */
    @Override
    public void close() throws IOException {
        Failures failures = new Failures();
        idle.forEach(connection -> failures.run(connection.wire::close));
        failures.run(holes::close);
        failures.throwFirst();
    }

    /** One connection, used by one thread at a time. */
    private final class Connection {
        final NbdWire wire;
        final long sizeBytes;
        private final ByteBuffer header = ByteBuffer.allocate(16);

        Connection() throws IOException {
            wire = new NbdWire(socket);
            try {
                wire.option(Nbd.OPT_EXPORT_NAME, ByteBuffer.wrap(NativeText.bytes(export)));
                sizeBytes = wire.receive(ByteBuffer.allocate(10)).getLong();
            } catch (IOException | RuntimeException | Error e) {
                Failures.after(e, wire::drop);
                if (e instanceof EOFException) {
                    throw new IOException(socket + ": no export " + export, e);
                }
                throw e;
            }
        }

        /** Sends a request, and takes the head of its answer. */
        void ask(int command, long offset, int length) throws IOException {
            wire.request(command, offset, length);
            ByteBuffer reply = wire.receive(header.clear());
            int magic = reply.getInt();
            int error = reply.getInt();
            if (magic != Nbd.SIMPLE_REPLY_MAGIC) {
                throw new IOException("a reply with magic number " + Integer.toHexString(magic));
            }
            if (error != 0) {
                throw new IOException(Errno.name(error));
            }
        }
    }
}
