// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.util.Locale;

/** Numbers of bytes as people write and read them: powers of 1024. */
public final class ByteCount {
    private static final String UNITS = "KMGTPE";

    private ByteCount() {}

    /** {@code 512 B}, {@code 1.5 GiB}. */
    public static String text(long bytes) {
        if (bytes < 1024) {
            return bytes + " B";
        }
        double value = bytes;
        int unit = -1;
        while (value >= 1023.95 && unit < UNITS.length() - 1) {
            value /= 1024;
            unit++;
        }
        // By hand: the first use of a Formatter loads a locale's data, 20 ms of a short run.
        long tenths = Math.round(value * 10);
        return tenths / 10 + "." + tenths % 10 + " " + UNITS.charAt(unit) + "iB";
    }

    /**
     * Reads {@code 4096}, {@code 64K}, {@code 1.5G}, {@code 20MiB}.
     *
     * @throws NumberFormatException when it is none of these, or negative
     */
    public static long parse(String text) {
        String number = text.strip();
        long factor = 1;
        String upper = number.toUpperCase(Locale.ROOT);
        for (String suffix : new String[] {"IB", "B"}) {
            if (upper.endsWith(suffix)) {
                upper = upper.substring(0, upper.length() - suffix.length());
                break;
            }
        }
        int unit = upper.isEmpty() ? -1 : UNITS.indexOf(upper.charAt(upper.length() - 1));
        if (unit >= 0) {
            factor = 1L << 10 * (unit + 1);
            upper = upper.substring(0, upper.length() - 1);
        }
        if (!upper.matches("[0-9]+(\\.[0-9]+)?")) {
            throw new NumberFormatException("not a number of bytes: " + text);
        }
        double bytes = Double.parseDouble(upper) * factor;
        if (bytes > Long.MAX_VALUE) {
            throw new NumberFormatException("too large: " + text);
        }
        return upper.indexOf('.') < 0 ? Math.multiplyExact(Long.parseLong(upper), factor) : (long) bytes;
    }
}
