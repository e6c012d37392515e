// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.net.Socket;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import javax.naming.InvalidNameException;
import javax.naming.ldap.LdapName;
import javax.naming.ldap.Rdn;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * Lets in clients by the names in their certificates: the common name of the subject, or any of the alternative names. It is
 * asked in the middle of the handshake, so that those who are refused are told by TLS itself.
 */
final class AllowedNames extends X509ExtendedTrustManager {
    /** As {@link X509Certificate#getSubjectAlternativeNames} numbers them: a name for mail, of the DNS, a URI, an address. */
    private static final List<Integer> TEXTS = List.of(1, 2, 6, 7);

    private static final int DNS = 2;

    private final X509ExtendedTrustManager authority;
    private final List<String> allowed;

    private AllowedNames(X509ExtendedTrustManager authority, List<String> allowed) {
        this.authority = authority;
        this.allowed = List.copyOf(allowed);
    }

    /** {@code managers}, with the check of names behind theirs, if there are any. */
    static TrustManager[] check(TrustManager[] managers, List<String> allowed) {
        TrustManager[] checking = managers.clone();
        for (int i = 0; !allowed.isEmpty() && i < checking.length; i++) {
            // The library's own are of this kind.
            checking[i] = new AllowedNames((X509ExtendedTrustManager) checking[i], allowed);
        }
        return checking;
    }

    private void check(X509Certificate client) throws CertificateException {
        List<String> names = commonNames(client);
        Collection<List<?>> alternatives = client.getSubjectAlternativeNames();
        boolean found = names.stream().anyMatch(allowed::contains);
        for (List<?> alternative : alternatives == null ? List.<List<?>>of() : alternatives) {
            if (TEXTS.contains(alternative.get(0))) {
                String name = (String) alternative.get(1);
                boolean anyCase = alternative.get(0).equals(DNS);
                found |= allowed.stream().anyMatch(a -> anyCase ? a.equalsIgnoreCase(name) : a.equals(name));
                names.add(name);
            }
        }
        if (!found) {
            throw new CertificateException("the client's certificate is of " + String.join(", ", names)
                    + ", which --nbd-tls-allow does not name");
        }
    }

    private static List<String> commonNames(X509Certificate client) throws CertificateException {
        List<String> names = new ArrayList<>();
        try {
            for (Rdn part : new LdapName(client.getSubjectX500Principal().getName()).getRdns()) {
                if (part.getType().equalsIgnoreCase("CN") && part.getValue() instanceof String name) {
                    names.add(name);
                }
            }
        } catch (InvalidNameException e) {
            throw new CertificateException("the subject of the client's certificate can't be read", e);
        }
        return names;
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
            throws CertificateException {
        authority.checkClientTrusted(chain, authType, engine);
        check(chain[0]);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType, Socket socket)
            throws CertificateException {
        authority.checkClientTrusted(chain, authType, socket);
        check(chain[0]);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType) throws CertificateException {
        authority.checkClientTrusted(chain, authType);
        check(chain[0]);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
            throws CertificateException {
        authority.checkServerTrusted(chain, authType, engine);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType, Socket socket)
            throws CertificateException {
        authority.checkServerTrusted(chain, authType, socket);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType) throws CertificateException {
        authority.checkServerTrusted(chain, authType);
    }

    @Override
    public X509Certificate[] getAcceptedIssuers() {
        return authority.getAcceptedIssuers();
    }
}
