// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.nio.ByteBuffer;

/** Looks for zeroes. */
public final class Zeroes {
    private Zeroes() {}

    /** Whether the {@code length} bytes from index {@code from} are all zero. */
    public static boolean fill(ByteBuffer b, int from, int length) {
        int i = from;
        int end = from + length;
        for (; i + 8 <= end; i += 8) {
            if (b.getLong(i) != 0) {
                return false;
            }
        }
        for (; i < end; i++) {
            if (b.get(i) != 0) {
                return false;
            }
        }
        return true;
    }
}
