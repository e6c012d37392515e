// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.util.List;

/**
 * A TCP address at which devices are served besides the Unix socket.
 *
 * @param host a name or an address; an IPv6 address without brackets
 * @param port 0 for any free one
 * @param tls a folder of certificates, or null for plain TCP
 * @param clients the names in certificates of clients that are let in; when empty, all that the authority has signed
 */
public record NbdTcp(String host, int port, Path tls, List<String> clients) {
    private static final String PREFIX = "tcp:";
    private static final int MAX_PORT = 65535;

    /** For all clients. */
    public NbdTcp(String host, int port, Path tls) {
        this(host, port, tls, List.of());
    }

    /** The same address, for clients of these names. */
    public NbdTcp forClients(List<String> names) {
        return new NbdTcp(host, port, tls, names);
    }

    /** Where in {@code [SOCKET,]tcp:HOST:PORT} the TCP address begins; −1 when there is none. */
    public static int find(String addresses) {
        int second = addresses.indexOf("," + PREFIX);
        return addresses.startsWith(PREFIX) ? 0 : second < 0 ? -1 : second + 1;
    }

    /**
     * Reads {@code tcp:HOST:PORT}.
     *
     * @param plainAllowed whether to serve without TLS: even of the loopback address every local user can read and write
     * @throws IllegalArgumentException saying what is wrong with it
     */
    public static NbdTcp parse(String address, Path tls, boolean plainAllowed) {
        int colon = address.lastIndexOf(':');
        String host = colon < PREFIX.length() ? "" : address.substring(PREFIX.length(), colon);
        String port = address.substring(colon + 1);
        if (host.startsWith("[") && host.endsWith("]")) {
            host = host.substring(1, host.length() - 1);
        }
        if (host.isEmpty() || !port.matches("[0-9]{1,5}") || Integer.parseInt(port) > MAX_PORT) {
            throw new IllegalArgumentException(address + " is no address of the form tcp:HOST:PORT");
        }
        NbdTcp tcp = new NbdTcp(host, Integer.parseInt(port), tls);
        try {
            tcp.access(plainAllowed).require(address, tcp.address().getAddress().isLoopbackAddress());
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException(address + ": unknown host " + host, e);
        }
        return tcp;
    }

    private TcpAccess access(boolean plain) {
        return new TcpAccess(tls, clients, plain);
    }

    InetSocketAddress address() throws UnknownHostException {
        InetSocketAddress resolved = new InetSocketAddress(host, port);
        if (resolved.isUnresolved()) {
            throw new UnknownHostException("unknown host " + host);
        }
        return resolved;
    }

    /** As {@link #parse} reads it. */
    @Override
    public String toString() {
        return PREFIX + (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
    }
}
