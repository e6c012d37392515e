// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.net.Inet6Address;
import java.net.InetSocketAddress;
import java.net.SocketAddress;

/** The addresses of sockets as other programs write them. */
public final class SocketNames {
    private SocketNames() {}

    /** {@code 192.0.2.1:10809}, {@code [2001:db8::1]:10809}, {@code [::]:10809}, or a path. */
    public static String of(SocketAddress address) {
        if (!(address instanceof InetSocketAddress inet) || inet.isUnresolved()) {
            return address.toString();
        }
        String host = inet.getAddress().getHostAddress();
        return (inet.getAddress() instanceof Inet6Address ? "[" + shortened(host) + "]" : host) + ":" + inet.getPort();
    }

    /** The first of the longest runs of two or more zeroes as two colons, as RFC 5952 has it. */
    private static String shortened(String host) {
        int zone = host.indexOf('%');
        String[] groups = (zone < 0 ? host : host.substring(0, zone)).split(":");
        int best = 0;
        int length = 1;
        for (int from = 0; from < groups.length; from++) {
            int end = from;
            while (end < groups.length && groups[end].equals("0")) {
                end++;
            }
            if (end - from > length) {
                best = from;
                length = end - from;
            }
        }
        String suffix = zone < 0 ? "" : host.substring(zone);
        if (length < 2) {
            return host;
        }
        return joined(groups, 0, best) + "::" + joined(groups, best + length, groups.length) + suffix;
    }

    private static String joined(String[] groups, int from, int to) {
        return String.join(":", java.util.Arrays.asList(groups).subList(from, to));
    }
}
