// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

import java.nio.ByteBuffer;

/** Text as little-endian words, to be stored or compared eight bytes at a time, and decimal digits. */
public final class Ascii {
    /** Entry n: the three digits of n and a quotation mark. */
    static final int[] THREE_DIGITS_QUOTE = new int[1000];

    static {
        for (int n = 0; n < 1000; n++) {
            THREE_DIGITS_QUOTE[n] = '0' + n / 100 | ('0' + n / 10 % 10) << 8 | ('0' + n % 10) << 16 | '"' << 24;
        }
    }

    private Ascii() {}

    /** The eight bytes of {@code text} from {@code at} on; zeroes where it has ended. */
    static long word(String text, int at) {
        long word = 0;
        for (int i = 0; i < 8 && at + i < text.length(); i++) {
            word |= (long) text.charAt(at + i) << 8 * i;
        }
        return word;
    }

    /** As {@link #word(String, int)}, from the beginning. */
    static long word(String text) {
        return word(text, 0);
    }

    /** The digits of a number below 10^8, first digit in the lowest byte; zeroes above. */
    static long digits(int n) {
        long word = 0;
        int rest = n;
        do {
            word = word << 8 | '0' + rest % 10;
            rest /= 10;
        } while (rest != 0);
        return word;
    }

    /** Appends a number that isn't negative, to a little-endian buffer with room for 20 bytes. */
    public static void putDecimal(ByteBuffer b, long n) {
        b.position(putDecimal(b, b.position(), n));
    }

    /** Puts a number that isn't negative at {@code at}; returns where it ends. What follows may be overwritten. */
    static int putDecimal(ByteBuffer b, int at, long n) {
        if (n < 1000) {
            b.putInt(at, BlockNumber.shortDigits((int) n));
            return at + BlockNumber.shortLength((int) n) - 1;
        }
        int end = putDecimal(b, at, n / 1000);
        b.putInt(end, THREE_DIGITS_QUOTE[(int) (n % 1000)]);
        return end + 3;
    }

    /** How many digits a number has. */
    static int digitCount(int n) {
        int count = 1;
        for (int rest = n / 10; rest != 0; rest /= 10) {
            count++;
        }
        return count;
    }
}
