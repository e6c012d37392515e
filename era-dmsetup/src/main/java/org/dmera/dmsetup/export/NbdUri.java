// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.nio.file.Path;
import org.dmera.core.linux.NativeText;

/** Where NBD clients find an export on a Unix socket (doc/uri.md of the NetworkBlockDevice project). */
public final class NbdUri {
    private NbdUri() {}

    /** The URI; {@code export} empty for the default one. */
    public static String of(Path socket, String export) {
        return "nbd+unix:///" + escaped(export) + "?socket="
                + escaped(socket.toAbsolutePath().toString());
    }

    /** All but slashes and what RFC 3986 calls unreserved: clients differ in what else they take as it is. */
    private static String escaped(String text) {
        StringBuilder uri = new StringBuilder();
        for (byte b : NativeText.bytes(text)) {
            char c = (char) (b & 0xff);
            if (c < 128 && (Character.isLetterOrDigit(c) || "-._~/".indexOf(c) >= 0)) {
                uri.append(c);
            } else {
                uri.append(String.format("%%%02X", (int) c));
            }
        }
        return uri.toString();
    }
}
