// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.net.InetSocketAddress;
import java.net.UnknownHostException;

/**
 * A TCP address at which devices are served besides the Unix socket.
 *
 * @param host a name or an address; an IPv6 address without brackets
 * @param port 0 for any free one
 */
public record NbdTcp(String host, int port) {
    private static final String PREFIX = "tcp:";
    private static final int MAX_PORT = 65535;

    /** Where in {@code [SOCKET,]tcp:HOST:PORT} the TCP address begins; −1 when there is none. */
    public static int find(String addresses) {
        int second = addresses.indexOf("," + PREFIX);
        return addresses.startsWith(PREFIX) ? 0 : second < 0 ? -1 : second + 1;
    }

    /**
     * Reads {@code tcp:HOST:PORT}.
     *
     * @param access who may use it: without TLS every local user can read and write even of the loopback address
     * @throws IllegalArgumentException saying what is wrong with it
     */
    public static NbdTcp parse(String address, TcpAccess access) {
        int colon = address.lastIndexOf(':');
        String host = colon < PREFIX.length() ? "" : address.substring(PREFIX.length(), colon);
        String port = address.substring(colon + 1);
        if (host.startsWith("[") && host.endsWith("]")) {
            host = host.substring(1, host.length() - 1);
        }
        if (host.isEmpty() || !port.matches("[0-9]{1,5}") || Integer.parseInt(port) > MAX_PORT) {
            throw new IllegalArgumentException(address + " is no address of the form tcp:HOST:PORT");
        }
        NbdTcp tcp = new NbdTcp(host, Integer.parseInt(port));
        try {
            access.require(address, tcp.address().getAddress().isLoopbackAddress());
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException(address + ": unknown host " + host, e);
        }
        return tcp;
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
