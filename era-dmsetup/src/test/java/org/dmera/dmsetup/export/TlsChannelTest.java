// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** TLS between two ends in this process. */
@Timeout(300)
class TlsChannelTest {
    private static final char[] PASSWORD = "secret".toCharArray();

    @TempDir
    private Path folder;

    private SSLContext context() throws Exception {
        Path store = folder.resolve("store.p12");
        String keytool =
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString();
        Process made = new ProcessBuilder(
                        (keytool + " -genkeypair -keyalg EC -storetype PKCS12 -alias a -dname CN=a -storepass secret"
                                        + " -keystore " + store)
                                .split(" "))
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("keytool.log").toFile())
                .start();
        assertTrue(made.waitFor(240, TimeUnit.SECONDS));
        assertEquals(0, made.exitValue(), () -> "keytool failed");
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (var in = Files.newInputStream(store)) {
            keys.load(in, PASSWORD);
        }
        KeyManagerFactory own = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        own.init(keys, PASSWORD);
        TrustManagerFactory trusted = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trusted.init(keys);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(own.getKeyManagers(), trusted.getTrustManagers(), null);
        return context;
    }

    private interface Use {
        void with(TlsChannel server, TlsChannel client, SSLEngine clientEngine) throws Exception;
    }

    private void connected(Use use) throws Exception {
        connected("TLSv1.3", use);
    }

    private void connected(String protocol, Use use) throws Exception {
        // Sets what the library reads when it is first used.
        Class.forName(TlsIdentity.class.getName());
        SSLContext context = context();
        try (ServerSocketChannel listener = ServerSocketChannel.open()) {
            listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            SSLEngine clientEngine = context.createSSLEngine();
            clientEngine.setUseClientMode(true);
            clientEngine.setEnabledProtocols(new String[] {protocol});
            CompletableFuture<TlsChannel> client = CompletableFuture.supplyAsync(() -> {
                try {
                    return new TlsChannel(SocketChannel.open(listener.getLocalAddress()), clientEngine);
                } catch (java.io.IOException e) {
                    throw new java.io.UncheckedIOException(e);
                }
            });
            SSLEngine serverEngine = context.createSSLEngine();
            serverEngine.setUseClientMode(false);
            try (TlsChannel server = new TlsChannel(listener.accept(), serverEngine);
                    TlsChannel other = client.get()) {
                use.with(server, other, clientEngine);
            }
        }
    }

    @Test
    void theOtherEndIsToldThatASessionEnds() throws Exception {
        connected((server, client, clientEngine) -> {
            server.write(ByteBuffer.wrap(new byte[] {42}));
            server.close();
            ByteBuffer got = ByteBuffer.allocate(10);
            assertEquals(1, client.read(got));
            assertEquals(-1, client.read(got));
            assertTrue(clientEngine.isInboundDone(), "the end was told, not just seen");
        });
    }

    /** In TLS 1.2 a handshake may be asked for again and again, and costs the server more than the client. */
    @Test
    void aClientCanHaveNoSecondHandshake() throws Exception {
        connected("TLSv1.2", (server, client, clientEngine) -> {
            client.write(ByteBuffer.wrap(new byte[] {42}));
            ByteBuffer got = ByteBuffer.allocate(10);
            assertEquals(1, server.read(got));
            clientEngine.beginHandshake();
            client.write(ByteBuffer.allocate(0).limit(0));
            client.write(ByteBuffer.wrap(new byte[] {43}));
            assertThrows(SSLException.class, () -> server.read(got));
            SSLException told = assertThrows(SSLException.class, () -> client.read(ByteBuffer.allocate(10)));
            assertTrue(told.getMessage().contains("alert"), told.getMessage());
        });
    }

    @Test
    void aSessionWhoseOtherEndHasLeftEndsQuietly() throws Exception {
        connected((server, client, clientEngine) -> {
            client.close();
            assertEquals(-1, server.read(ByteBuffer.allocate(10)));
            server.close();
            server.close();
            assertTrue(!server.isOpen());
        });
    }
}
