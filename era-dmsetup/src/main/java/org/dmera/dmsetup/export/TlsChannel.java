// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLEngineResult.HandshakeStatus;
import javax.net.ssl.SSLException;

/** TLS over a blocking channel. One thread may read while another writes. */
final class TlsChannel implements ByteChannel {
    private static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

    private final ByteChannel channel;
    private final SSLEngine engine;
    private final Object writing = new Object();
    /** Received and not yet decrypted; in filling mode. */
    private final ByteBuffer received;
    /** Decrypted and not yet taken; in draining mode. */
    private ByteBuffer plain;

    private final ByteBuffer sealed;

    /** Does the handshake; when it fails, the client has been told by an alert. */
    TlsChannel(ByteChannel channel, SSLEngine engine) throws IOException {
        this.channel = channel;
        this.engine = engine;
        this.received = ByteBuffer.allocate(engine.getSession().getPacketBufferSize() * 2);
        this.sealed = ByteBuffer.allocate(engine.getSession().getPacketBufferSize() * 2);
        this.plain = ByteBuffer.allocate(engine.getSession().getApplicationBufferSize() * 2)
                .limit(0);
        try {
            engine.beginHandshake();
            HandshakeStatus status = engine.getHandshakeStatus();
            while (status != HandshakeStatus.FINISHED && status != HandshakeStatus.NOT_HANDSHAKING) {
                status = step(status);
            }
        } catch (SSLException e) {
            sendAlert(e);
            throw e;
        }
    }

    /** The engine has the alert that says why ready; a client that gets none could only guess. */
    private void sendAlert(SSLException why) {
        try {
            while (!engine.isOutboundDone()) {
                HandshakeStatus status = seal(NOTHING.duplicate());
                if (status != HandshakeStatus.NEED_WRAP) {
                    return;
                }
            }
        } catch (IOException e) {
            // It has left already.
            why.addSuppressed(e);
        }
    }

    private HandshakeStatus step(HandshakeStatus status) throws IOException {
        switch (status) {
            case NEED_WRAP -> {
                return seal(NOTHING.duplicate());
            }
            case NEED_UNWRAP, NEED_UNWRAP_AGAIN -> {
                HandshakeStatus next = open();
                if (next == null) {
                    throw new EOFException("left during the TLS handshake");
                }
                return next;
            }
            case NEED_TASK -> {
                for (Runnable task = engine.getDelegatedTask(); task != null; task = engine.getDelegatedTask()) {
                    task.run();
                }
                return engine.getHandshakeStatus();
            }
            default -> throw new IOException("TLS handshake in state " + status);
        }
    }

    /** Encrypts from {@code src} and sends one record. */
    private HandshakeStatus seal(ByteBuffer src) throws IOException {
        synchronized (writing) {
            sealed.clear();
            SSLEngineResult result = engine.wrap(src, sealed);
            if (result.getStatus() == SSLEngineResult.Status.CLOSED && sealed.position() == 0) {
                throw new EOFException("TLS connection is closed");
            }
            sealed.flip();
            while (sealed.hasRemaining()) {
                channel.write(sealed);
            }
            return result.getHandshakeStatus();
        }
    }

    /** Receives and decrypts at least one record into {@code plain}; null at the end of the stream. */
    private HandshakeStatus open() throws IOException {
        while (true) {
            received.flip();
            plain.compact();
            SSLEngineResult result;
            try {
                result = engine.unwrap(received, plain);
            } finally {
                plain.flip();
                received.compact();
            }
            switch (result.getStatus()) {
                case OK -> {
                    return result.getHandshakeStatus();
                }
                case CLOSED -> {
                    return null;
                }
                case BUFFER_OVERFLOW -> {
                    ByteBuffer larger = ByteBuffer.allocate(plain.capacity() * 2);
                    plain = larger.put(plain).flip();
                }
                case BUFFER_UNDERFLOW -> {
                    if (channel.read(received) < 0) {
                        return null;
                    }
                }
            }
        }
    }

    @Override
    public int read(ByteBuffer dst) throws IOException {
        while (!plain.hasRemaining()) {
            try {
                HandshakeStatus status = open();
                if (status == null) {
                    return -1;
                }
                // TLS 1.3 sends key updates and tickets in the middle of the stream.
                while (status == HandshakeStatus.NEED_TASK || status == HandshakeStatus.NEED_WRAP) {
                    status = step(status);
                }
            } catch (SSLException e) {
                sendAlert(e);
                throw e;
            }
        }
        int n = Math.min(dst.remaining(), plain.remaining());
        dst.put(plain.slice(plain.position(), n));
        plain.position(plain.position() + n);
        return n;
    }

    @Override
    public int write(ByteBuffer src) throws IOException {
        int before = src.remaining();
        while (src.hasRemaining()) {
            seal(src);
        }
        return before;
    }

    @Override
    public boolean isOpen() {
        return channel.isOpen();
    }

    /** Says so to the client, as the protocol wants it, and closes. */
    @Override
    public void close() throws IOException {
        try {
            engine.closeOutbound();
            while (!engine.isOutboundDone()) {
                seal(NOTHING.duplicate());
            }
        } catch (IOException e) {
            // It has left already.
            engine.closeOutbound();
        } finally {
            channel.close();
        }
    }
}
