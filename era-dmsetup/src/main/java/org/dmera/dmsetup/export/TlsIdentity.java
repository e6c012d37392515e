// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.SignatureException;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Instant;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManagerFactory;

/**
 * Certificates for TLS: a directory with {@code server-cert.pem}, {@code server-key.pem} (PKCS#8) and, to let in only
 * clients with a certificate of that authority, {@code ca-cert.pem}: the layout that nbdkit and qemu use.
 */
public final class TlsIdentity {
    static {
        // A client of TLS 1.2 could have the server do the costly half of a handshake again and again. The library
        // reads this when it is first used, which is here.
        System.setProperty("jdk.tls.rejectClientInitiatedRenegotiation", "true");
    }

    private static final char[] NO_PASSWORD = {};

    private final SSLContext context;
    private final boolean clientsNeedCertificates;
    private final boolean authorityIsRsa;

    private TlsIdentity(SSLContext context, boolean clientsNeedCertificates, boolean authorityIsRsa) {
        this.context = context;
        this.clientsNeedCertificates = clientsNeedCertificates;
        this.authorityIsRsa = authorityIsRsa;
    }

    /**
     * Reads the certificates.
     *
     * @param allowed lets in only clients whose certificate has one of these names; all of the authority's when there are none
     * @throws IOException naming the file that is missing or can't be understood, or the certificate and the key that don't
     *     belong together: nobody else would notice before the first client comes
     */
    public static TlsIdentity load(Path directory, List<String> allowed) throws IOException {
        Path keyFile = directory.resolve("server-key.pem");
        Path certificateFile = directory.resolve("server-cert.pem");
        Path authority = directory.resolve("ca-cert.pem");
        try {
            PrivateKey key = privateKey(keyFile);
            Certificate[] chain = certificates(certificateFile).toArray(new Certificate[0]);
            if (!belongTogether(key, chain[0].getPublicKey())) {
                throw new IOException("the private key in " + keyFile + " is not the one of the certificate in "
                        + certificateFile + ", which TLS needs");
            }
            requireValid(chain, certificateFile);
            KeyStore keys = emptyStore();
            keys.setKeyEntry("server", key, NO_PASSWORD, chain);
            KeyManagerFactory keyManagers = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            keyManagers.init(keys, NO_PASSWORD);
            TrustManagerFactory trust = null;
            boolean rsa = false;
            if (Files.exists(authority)) {
                KeyStore authorities = emptyStore();
                int i = 0;
                for (Certificate c : certificates(authority)) {
                    authorities.setCertificateEntry("ca-" + i++, c);
                    rsa |= c.getPublicKey().getAlgorithm().equals("RSA");
                }
                trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
                trust.init(authorities);
            }
            if (trust == null && !allowed.isEmpty()) {
                throw new IOException("clients can be told apart by names only with the authority's certificate, "
                        + authority + ", which does not exist");
            }
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(
                    keyManagers.getKeyManagers(),
                    trust == null ? null : AllowedNames.check(trust.getTrustManagers(), allowed),
                    null);
            return new TlsIdentity(context, trust != null, rsa);
        } catch (NoSuchFileException e) {
            throw new IOException("TLS needs the file " + e.getFile() + ", which does not exist", e);
        } catch (GeneralSecurityException e) {
            throw new IOException("TLS certificates in " + directory + ": " + e.getMessage(), e);
        }
    }

    /**
     * A new connection's server side: TLS 1.3, or 1.2 when clients need certificates and an RSA authority signs those. In
     * TLS 1.3 newer Java names the signatures of handshakes and of certificates apart (RFC 8446, 4.2.3); GnuTLS 3.7, which
     * libnbd and qemu use, looks for its certificate's among the former, doesn't find RSA's there, and presents none.
     */
    SSLEngine serverEngine() {
        SSLEngine engine = context.createSSLEngine();
        engine.setUseClientMode(false);
        engine.setNeedClientAuth(clientsNeedCertificates);
        if (authorityIsRsa) {
            engine.setEnabledProtocols(new String[] {"TLSv1.2"});
        }
        return engine;
    }

    /** Whether what the one signs is good in the eyes of the other; all kinds of keys can be asked that. */
    private static boolean belongTogether(PrivateKey ours, PublicKey shown) throws GeneralSecurityException {
        if (!ours.getAlgorithm().equals(shown.getAlgorithm())) {
            return false;
        }
        byte[] text = {1, 2, 3};
        Signature signature = Signature.getInstance(
                switch (ours.getAlgorithm()) {
                    case "RSA" -> "SHA256withRSA";
                    case "EC" -> "SHA256withECDSA";
                    default -> ours.getAlgorithm();
                });
        signature.initSign(ours);
        signature.update(text);
        byte[] signed = signature.sign();
        signature.initVerify(shown);
        signature.update(text);
        try {
            return signature.verify(signed);
        } catch (SignatureException e) {
            // Of another length, as with another curve.
            return false;
        }
    }

    /** What every client would refuse is said at the start, and not to each of them. */
    private static void requireValid(Certificate[] chain, Path file) throws IOException {
        for (Certificate each : chain) {
            if (each instanceof X509Certificate certificate) {
                Instant now = Instant.now();
                Instant begin = certificate.getNotBefore().toInstant();
                Instant end = certificate.getNotAfter().toInstant();
                if (now.isAfter(end) || now.isBefore(begin)) {
                    throw new IOException(file + ": the certificate of " + certificate.getSubjectX500Principal()
                            + (now.isAfter(end) ? " expired on " + end : " is not valid before " + begin));
                }
            }
        }
    }

    private static KeyStore emptyStore() throws GeneralSecurityException, IOException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        return store;
    }

    private static Collection<? extends Certificate> certificates(Path file)
            throws IOException, GeneralSecurityException {
        try (InputStream pem = Files.newInputStream(file)) {
            Collection<? extends Certificate> found =
                    CertificateFactory.getInstance("X.509").generateCertificates(pem);
            if (found.isEmpty()) {
                throw new IOException(file + ": no certificate in it");
            }
            return found;
        }
    }

    private static PrivateKey privateKey(Path file) throws IOException, GeneralSecurityException {
        String pem = Files.readString(file);
        String begin = "-----BEGIN PRIVATE KEY-----";
        int from = pem.indexOf(begin);
        int to = pem.indexOf("-----END PRIVATE KEY-----");
        if (from < 0 || to < from) {
            boolean other = pem.contains(" PRIVATE KEY-----");
            throw new IOException(file + ": no unencrypted PKCS#8 private key in it (" + begin + ")"
                    + (other ? "; this makes one of another kind: openssl pkcs8 -topk8 -nocrypt -in " + file : ""));
        }
        PKCS8EncodedKeySpec spec =
                new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(pem.substring(from + begin.length(), to)));
        InvalidKeySpecException failed = null;
        for (String algorithm : new String[] {"RSA", "EC", "EdDSA"}) {
            try {
                return KeyFactory.getInstance(algorithm).generatePrivate(spec);
            } catch (InvalidKeySpecException e) {
                failed = e;
            }
        }
        throw new IOException(file + ": a private key of an unknown kind", failed);
    }
}
