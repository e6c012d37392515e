// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.engine.Engine;
import org.dmera.dmsetup.engine.EngineOptions;
import org.dmera.dmsetup.engine.NbdTcp;
import org.dmera.dmsetup.engine.TcpAccess;
import org.dmera.dmsetup.export.ExportSource;
import org.dmera.dmsetup.export.NbdServer;
import org.dmera.dmsetup.export.TlsIdentity;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** NBD over TCP: plain on this host, with certificates elsewhere. */
@Timeout(600)
@Alone
class NbdTcpTest {
    @TempDir
    private Path folder;

    private Path certificates;
    private final List<String> log = new CopyOnWriteArrayList<>();

    @BeforeEach
    void prepare() {
        Host.need("nbdinfo", "nbdcopy", "openssl", "qemu-img");
        certificates = folder.resolve("pki");
    }

    private Host.Result run(String... command) throws IOException, InterruptedException {
        return Host.run(folder, command);
    }

    /** An authority, a server certificate for localhost and a client certificate, as nbdkit's manual makes them. */
    private void makeCertificates() throws Exception {
        Files.createDirectory(certificates);
        String dir = certificates.toString();
        request("ca", "/CN=authority");
        // qemu insists on these.
        Files.writeString(
                certificates.resolve("authority"),
                "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n");
        run(
                        "openssl",
                        "x509",
                        "-req",
                        "-in",
                        dir + "/ca.csr",
                        "-signkey",
                        dir + "/ca-key.pem",
                        "-extfile",
                        dir + "/authority",
                        "-out",
                        dir + "/ca-cert.pem")
                .good();
        Files.writeString(certificates.resolve("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
        sign("server", "/CN=localhost");
        sign("client", "/CN=client");
    }

    /** A certificate of the authority's for this subject, which is also called what the file {@code names} says. */
    private void sign(String who, String subject) throws Exception {
        String dir = certificates.toString();
        request(who, subject);
        run(
                        "openssl",
                        "x509",
                        "-req",
                        "-in",
                        dir + "/" + who + ".csr",
                        "-CA",
                        dir + "/ca-cert.pem",
                        "-CAkey",
                        dir + "/ca-key.pem",
                        "-CAcreateserial",
                        "-extfile",
                        dir + "/names",
                        "-out",
                        dir + "/" + who + "-cert.pem")
                .good();
    }

    private void request(String who, String subject) throws Exception {
        run(
                        "openssl",
                        "req",
                        "-newkey",
                        "rsa:2048",
                        "-nodes",
                        "-keyout",
                        certificates.resolve(who + "-key.pem").toString(),
                        "-out",
                        certificates.resolve(who + ".csr").toString(),
                        "-subj",
                        subject)
                .good();
    }

    private interface Use {
        void with(int port) throws Exception;
    }

    private void serve(TlsIdentity tls, Use use) throws Exception {
        try (TestEngine engine = new TestEngine(Files.createTempDirectory(folder, "engine"))) {
            ExportSource exports = engine.exporting("vol", 16);
            try (NbdServer server = new NbdServer(exports, log::add)) {
                InetSocketAddress address = (InetSocketAddress)
                        server.listenTcp(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), tls);
                use.with(address.getPort());
            }
        }
    }

    @Test
    void aDeviceIsServedOnTheLoopback() throws Exception {
        serve(null, port -> {
            String uri = "nbd://127.0.0.1:" + port + "/vol";
            assertEquals(
                    16 << 20,
                    Integer.parseInt(run("nbdinfo", "--size", uri).good().strip()));
            assertNotEquals(
                    0,
                    run("nbdinfo", "--size", "nbds://localhost:" + port + "/vol")
                            .exitCode(),
                    "TLS that isn't there");
        });
    }

    @Test
    void aDeviceIsServedWithCertificatesToThoseWhoHaveOne() throws Exception {
        makeCertificates();
        serve(TlsIdentity.load(certificates, List.of()), port -> {
            String uri = "nbds://localhost:" + port + "/vol?tls-certificates=" + certificates;
            assertTrue(run("nbdinfo", uri).good().contains("with TLS"));
            byte[] image = new byte[16 << 20];
            new java.util.Random(1).nextBytes(image);
            Files.write(folder.resolve("in.img"), image);
            run("nbdcopy", "in.img", uri).good();
            run("nbdcopy", uri, "out.img").good();
            assertEquals(-1, Files.mismatch(folder.resolve("in.img"), folder.resolve("out.img")));

            String qemus = "driver=raw,file.driver=nbd,file.host=localhost,file.port=" + port
                    + ",file.export=vol,file.tls-creds=tls";
            String credentials = "tls-creds-x509,id=tls,endpoint=client,dir=" + certificates;
            String info = run("qemu-img", "info", "--object", credentials, "--image-opts", qemus)
                    .good();
            assertTrue(info.contains("virtual size: 16 MiB"), info);
            run("qemu-img", "convert", "--object", credentials, "--image-opts", qemus, "-O", "raw", "qemu.img")
                    .good();
            assertEquals(-1, Files.mismatch(folder.resolve("in.img"), folder.resolve("qemu.img")));

            assertNotEquals(
                    0, run("nbdinfo", "nbd://localhost:" + port + "/vol").exitCode(), "without TLS");
            Path stranger = Files.createDirectory(folder.resolve("stranger"));
            Files.copy(certificates.resolve("ca-cert.pem"), stranger.resolve("ca-cert.pem"));
            assertTold(port, stranger);
        });
        assertTrue(
                log.get(log.size() - 1).matches("nbd: 127\\.0\\.0\\.1:[0-9]+: TLS: .*certificate.*"), log.toString());
        assertTrue(log.stream().noneMatch(line -> line.contains("java")), log.toString());
    }

    /** A client with these certificates is refused, and hears so by TLS: that is no connection that breaks. */
    private void assertTold(int port, Path certificates) throws Exception {
        Host.Result refused = run("nbdinfo", "nbds://localhost:" + port + "/vol?tls-certificates=" + certificates);
        assertNotEquals(0, refused.exitCode());
        assertTrue(refused.err().contains("alert"), refused.err());
    }

    @Test
    void onlyClientsWhoseCertificatesHaveAnAllowedNameAreLetIn() throws Exception {
        makeCertificates();
        Files.writeString(
                certificates.resolve("names"), "subjectAltName=DNS:Backup.example.org,email:root@example.org\n");
        sign("other", "/O=client/CN=other");
        Path other = Files.createDirectory(folder.resolve("other"));
        Files.copy(certificates.resolve("ca-cert.pem"), other.resolve("ca-cert.pem"));
        Files.copy(certificates.resolve("other-cert.pem"), other.resolve("client-cert.pem"));
        Files.copy(certificates.resolve("other-key.pem"), other.resolve("client-key.pem"));
        Path first = certificates;
        serve(TlsIdentity.load(certificates, List.of("client", "nobody")), port -> {
            run("nbdinfo", "nbds://localhost:" + port + "/vol?tls-certificates=" + first)
                    .good();
            // Its organisation is called so, which is no name of it.
            assertTold(port, other);
        });
        assertTrue(
                log.get(0)
                        .endsWith("the client's certificate is of other, Backup.example.org, root@example.org,"
                                + " which --nbd-tls-allow does not name"),
                log.toString());
        for (String name : List.of("other", "backup.example.org", "root@example.org")) {
            serve(TlsIdentity.load(certificates, List.of(name)), port -> {
                run("nbdinfo", "nbds://localhost:" + port + "/vol?tls-certificates=" + other)
                        .good();
                assertTold(port, first);
            });
        }
        Files.delete(certificates.resolve("ca-cert.pem"));
        IOException e = assertThrows(IOException.class, () -> TlsIdentity.load(certificates, List.of("client")));
        assertTrue(e.getMessage().contains("ca-cert.pem, which does not exist"), e.getMessage());
    }

    private Path selfSigned(String name, String... key) throws Exception {
        Path made = Files.createDirectory(folder.resolve(name));
        List<String> command = new ArrayList<>(List.of("openssl", "req", "-x509", "-nodes", "-subj", "/CN=localhost"));
        command.addAll(List.of("-keyout", made + "/server-key.pem", "-out", made + "/server-cert.pem", "-newkey"));
        command.addAll(List.of(key));
        run(command.toArray(new String[0])).good();
        return made;
    }

    private Path mixed(Path certificateOf, Path keyOf) throws IOException {
        Path mixed = Files.createTempDirectory(folder, "mixed");
        Files.copy(certificateOf.resolve("server-cert.pem"), mixed.resolve("server-cert.pem"));
        Files.copy(keyOf.resolve("server-key.pem"), mixed.resolve("server-key.pem"));
        return mixed;
    }

    @Test
    void aCertificateIsTakenWithItsOwnKeyAndRefusedWithAnother() throws Exception {
        List<Path> identities = List.of(
                selfSigned("rsa", "rsa:2048"),
                selfSigned("rsa-other", "rsa:2048"),
                selfSigned("rsa-long", "rsa:3072"),
                selfSigned("ec", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                selfSigned("ec-other", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                selfSigned("ec-long", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"),
                selfSigned("ed25519", "ed25519"),
                selfSigned("ed25519-other", "ed25519"),
                selfSigned("ed448", "ed448"));
        for (Path certificate : identities) {
            for (Path key : identities) {
                Path both = mixed(certificate, key);
                if (certificate.equals(key)) {
                    TlsIdentity.load(both, List.of());
                    continue;
                }
                IOException e = assertThrows(
                        IOException.class, () -> TlsIdentity.load(both, List.of()), certificate + ", " + key);
                assertEquals(
                        "the private key in " + both + "/server-key.pem is not the one of the certificate in " + both
                                + "/server-cert.pem, which TLS needs",
                        e.getMessage());
            }
        }
    }

    @Test
    void anEngineWhoseCertificatesAreNoGoodTouchesNoDeviceAndLeavesNoSocket() throws Exception {
        Path mixed = mixed(selfSigned("one", "ed25519"), selfSigned("two", "ed25519"));
        long era;
        try (TestEngine engine = new TestEngine(folder)) {
            era = TestEngine.era(engine.createEra("vol", 16)).currentEra();
        }
        Path metadata = folder.resolve("vol.meta");
        byte[] before = Files.readAllBytes(metadata);
        EngineOptions plain = TestEngine.options(folder);
        EngineOptions withTls = new EngineOptions(
                plain.control(),
                plain.state(),
                plain.nbd(),
                plain.level(),
                new NbdTcp("127.0.0.1", 0),
                new TcpAccess(mixed, List.of(), false));
        IOException e = assertThrows(IOException.class, () -> new Engine(withTls, EngineLog.silent()));
        assertTrue(e.getMessage().contains("is not the one of the certificate"), e.getMessage());
        assertArrayEquals(before, Files.readAllBytes(metadata));
        assertFalse(Files.exists(plain.control()));
        // The state folder is free, and the device is as it was.
        try (TestEngine engine = new TestEngine(folder)) {
            assertEquals(
                    era + 1,
                    TestEngine.era(engine.engine.registry().byName("vol")).currentEra());
        }
    }

    @Test
    void aCertificateThatHasExpiredIsRefusedAtTheStart() throws Exception {
        Path old = Files.createDirectory(folder.resolve("old"));
        String store = old.resolve("store").toString();
        run(
                        Path.of(System.getProperty("java.home"), "bin", "keytool")
                                .toString(),
                        "-genkeypair",
                        "-keyalg",
                        "EC",
                        "-storetype",
                        "PKCS12",
                        "-alias",
                        "a",
                        "-dname",
                        "CN=localhost",
                        "-storepass",
                        "secret",
                        "-startdate",
                        "-3d",
                        "-validity",
                        "1",
                        "-keystore",
                        store)
                .exitCode();
        for (String[] part : new String[][] {{"-nokeys", "server-cert.pem"}, {"-nocerts", "server-key.pem"}}) {
            run(
                            "openssl",
                            "pkcs12",
                            "-in",
                            store,
                            "-passin",
                            "pass:secret",
                            "-nodes",
                            part[0],
                            "-out",
                            old.resolve(part[1]).toString())
                    .good();
        }
        IOException e = assertThrows(IOException.class, () -> TlsIdentity.load(old, List.of()));
        assertTrue(
                e.getMessage().startsWith(old + "/server-cert.pem: the certificate of CN=localhost expired on "),
                e.getMessage());
    }

    @Test
    void aKeyOfAnotherKindIsRefusedWithTheCommandThatConvertsIt() throws Exception {
        Path rsa = selfSigned("traditional", "rsa:2048");
        String key = rsa.resolve("server-key.pem").toString();
        run("openssl", "rsa", "-traditional", "-in", key, "-out", key + ".old");
        Files.move(Path.of(key + ".old"), Path.of(key), java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        IOException e = assertThrows(IOException.class, () -> TlsIdentity.load(rsa, List.of()));
        String command = "openssl pkcs8 -topk8 -nocrypt -in " + key;
        assertTrue(e.getMessage().endsWith(command), e.getMessage());
        run("sh", "-c", command + " >" + key + ".new").good();
        Files.move(Path.of(key + ".new"), Path.of(key), java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        TlsIdentity.load(rsa, List.of());
    }

    @Test
    void plainTcpIsRefusedUnlessAskedFor() {
        TcpAccess plain = new TcpAccess(null, List.of(), true);
        for (String local : List.of("tcp:127.0.0.1:10809", "tcp:[::1]:10809")) {
            NbdTcp.parse(local, plain);
            IllegalArgumentException e =
                    assertThrows(IllegalArgumentException.class, () -> NbdTcp.parse(local, TcpAccess.NONE));
            assertTrue(e.getMessage().contains("by every user of this host"), e.getMessage());
        }
        IllegalArgumentException e =
                assertThrows(IllegalArgumentException.class, () -> NbdTcp.parse("tcp:0.0.0.0:10809", TcpAccess.NONE));
        assertTrue(e.getMessage().contains("from other hosts: give certificates with --nbd-tls"), e.getMessage());
        assertEquals(
                "tcp:0.0.0.0:10809", NbdTcp.parse("tcp:0.0.0.0:10809", plain).toString());
        assertEquals(
                "tcp:0.0.0.0:10809",
                NbdTcp.parse("tcp:0.0.0.0:10809", new TcpAccess(certificates, List.of(), false))
                        .toString());
        for (String bad : List.of("tcp:", "tcp:host", "tcp::1", "tcp:127.0.0.1:x", "tcp:127.0.0.1:99999")) {
            assertThrows(IllegalArgumentException.class, () -> NbdTcp.parse(bad, plain), bad);
        }
    }
}
