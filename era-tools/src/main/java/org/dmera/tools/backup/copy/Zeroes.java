// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.nio.ByteBuffer;

/** Looks for zeroes. */
public final class Zeroes {
    private Zeroes() {}

    /**
     * {@return whether some bytes are all zero}
     *
     * @param b where
     * @param from the index of the first
     * @param length how many
     */
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
