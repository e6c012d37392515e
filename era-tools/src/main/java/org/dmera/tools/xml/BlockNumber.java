// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

/**
 * A block number that counts up, as digits ready to be stored: all but the last three digits as one word, which changes
 * once in a thousand steps, and the last three with the closing quotation mark from a table. Shared by the writer of
 * element lines and the scanner that expects them.
 */
final class BlockNumber {
    /** The block divided by 1000. */
    private int thousands;
    /** Digits of {@link #thousands}, and how many: none for blocks below 1000. */
    long high;

    int highLength;
    /** The bytes of {@link #high} that are digits. */
    long highMask;
    /** The block modulo 1000. */
    int low;

    void set(long block) {
        thousands = (int) (block / 1000);
        low = (int) (block % 1000);
        setHigh();
    }

    private void setHigh() {
        high = thousands == 0 ? 0 : Ascii.digits(thousands);
        highLength = thousands == 0 ? 0 : Ascii.digitCount(thousands);
        highMask = (1L << 8 * highLength) - 1;
    }

    /** To be called when {@link #low} has reached 1000. */
    void carry() {
        low = 0;
        thousands++;
        setHigh();
    }

    /** Digits of a block below 1000, and the quotation mark after them. */
    static int shortDigits(int block) {
        int word = Ascii.THREE_DIGITS_QUOTE[block];
        return block >= 100 ? word : block >= 10 ? word >>> 8 : word >>> 16;
    }

    /** Bytes of {@link #shortDigits}. */
    static int shortLength(int block) {
        return block >= 100 ? 4 : block >= 10 ? 3 : 2;
    }
}
