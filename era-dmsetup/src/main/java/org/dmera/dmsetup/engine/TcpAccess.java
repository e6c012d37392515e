// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.dmera.dmsetup.export.TlsIdentity;

/**
 * Who may use NBD by TCP.
 *
 * @param tls a folder of certificates, or null
 * @param clients the names in certificates of clients that are let in; when empty, all that the authority has signed
 * @param plain whether to serve without TLS, when there are no certificates
 */
public record TcpAccess(Path tls, List<String> clients, boolean plain) {
    public static final TcpAccess NONE = new TcpAccess(null, List.of(), false);

    /** What a server shows and asks for; null for plain TCP. */
    TlsIdentity identity() throws IOException {
        return tls == null ? null : TlsIdentity.load(tls, clients);
    }

    /** Refuses an address that nobody has said may be used by everybody: even that of the loopback every user reaches. */
    void require(String address, boolean loopback) {
        if (tls == null && !plain) {
            throw new IllegalArgumentException(address + " can be reached "
                    + (loopback ? "by every user of this host" : "from other hosts")
                    + ": give certificates with --nbd-tls, or accept with --nbd-plain that everybody who reaches it"
                    + " can read and write every device");
        }
    }
}
