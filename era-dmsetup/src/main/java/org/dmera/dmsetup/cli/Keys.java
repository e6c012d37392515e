// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.util.Set;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.ioctl.Words;

/**
 * Encryption keys in tables, which are shown as zeros of the same length unless the user asks for them, as dmsetup does:
 * the second word of a crypt target, unless it only refers to a key in the kernel ({@code :SIZE:TYPE:NAME}), and what is
 * behind the algorithm in those options of an integrity target that have a key ({@code internal_hash:ALGORITHM:KEY}).
 */
final class Keys {
    private static final Set<String> KEYED = Set.of("internal_hash", "journal_crypt", "journal_mac");

    private Keys() {}

    /** The line without its keys. */
    static TargetSpec hidden(TargetSpec line) {
        String params = switch (line.type()) {
            case "crypt" -> hideCrypt(line.params());
            case "integrity" -> hideIntegrity(line.params());
            default -> line.params();
        };
        return new TargetSpec(line.startSector(), line.lengthSectors(), line.type(), params);
    }

    private static String hideCrypt(String params) {
        int cipher = Words.spaceEnd(params, 0);
        int key = Words.spaceEnd(params, Words.wordEnd(params, cipher));
        return key < params.length() && params.charAt(key) == ':'
                ? params
                : zeros(params, key, Words.wordEnd(params, key));
    }

    private static String hideIntegrity(String params) {
        String hidden = params;
        for (int at = Words.spaceEnd(params, 0);
                at < params.length();
                at = Words.spaceEnd(params, Words.wordEnd(params, at))) {
            int end = Words.wordEnd(params, at);
            int algorithm = params.indexOf(':', at) + 1;
            int key = algorithm > 0 ? params.indexOf(':', algorithm) + 1 : 0;
            if (key > 0 && key < end && KEYED.contains(params.substring(at, algorithm - 1))) {
                hidden = zeros(hidden, key, end);
            }
        }
        return hidden;
    }

    private static String zeros(String text, int from, int to) {
        return text.substring(0, from) + "0".repeat(to - from) + text.substring(to);
    }
}
