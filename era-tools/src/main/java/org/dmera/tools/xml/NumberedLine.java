// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

/**
 * A line that is written for one block after another: {@code <era block="N" era="7"/>}. It is kept whole, the last three
 * digits of N apart, and copied for each block; the digits before those change once in a thousand blocks.
 *
 * <p>One copy and three stores are cheap for every compiler, and for the interpreter, which has the whole of a small dump.
 */
final class NumberedLine {
    /** The longest line. */
    static final int MAX_BYTES = 64;

    private final byte[] bytes = new byte[MAX_BYTES];
    private final int numberAt;
    private byte[] tail;
    private int thousands;
    /** Where the last three digits are; where one or two are all, the line is shorter. */
    private int digitsAt;

    private int length;
    /** The lines of ten blocks, whose last digits are 0 to 9. */
    private final byte[] ten = new byte[10 * MAX_BYTES];
    /** The first of those blocks, modulo 1000; below 0 when the lines are others by now. */
    private int tenAt = -1;

    /** The line of block 0: {@code head}, the number, {@code tail}. */
    NumberedLine(byte[] head, byte[] tail) {
        System.arraycopy(head, 0, bytes, 0, head.length);
        numberAt = head.length;
        this.tail = tail;
        setThousands(0);
    }

    /** From now on the line is of blocks {@code 1000 * thousands} to {@code 1000 * thousands + 999}. */
    void setThousands(int thousands) {
        this.thousands = thousands;
        digitsAt = numberAt;
        if (thousands != 0) {
            int digits = Ascii.digitCount(thousands);
            int rest = thousands;
            for (int i = digits - 1; i >= 0; i--) {
                bytes[numberAt + i] = (byte) ('0' + rest % 10);
                rest /= 10;
            }
            digitsAt += digits;
        }
        setTail(tail);
    }

    /** From now on the line ends in {@code tail}. */
    void setTail(byte[] tail) {
        this.tail = tail;
        System.arraycopy(tail, 0, bytes, digitsAt + 3, tail.length);
        length = digitsAt + 3 + tail.length;
        tenAt = -1;
    }

    /** Whether {@link #putTen} can be asked for the lines from block {@code 1000 * thousands + low} on: they are of one length. */
    boolean hasTen(int low) {
        return low >= 100 || thousands != 0;
    }

    /** As {@link #put}, ten lines: of {@code low}, which ends in 0, and those after it. */
    int putTen(byte[] to, int at, int low) {
        if (tenAt < 0) {
            for (int i = 0; i < 10; i++) {
                System.arraycopy(bytes, 0, ten, i * length, length);
                ten[i * length + digitsAt + 2] = (byte) ('0' + i);
            }
        }
        if (tenAt != low) {
            tenAt = low;
            int digits = Ascii.THREE_DIGITS_QUOTE[low];
            int line = length;
            for (int p = digitsAt; p < 10 * line; p += line) {
                ten[p] = (byte) digits;
                ten[p + 1] = (byte) (digits >>> 8);
            }
        }
        System.arraycopy(ten, 0, to, at, 10 * length);
        return at + 10 * length;
    }

    /** Puts the line of block {@code 1000 * thousands + low} at {@code at}; returns where it ends. */
    int put(byte[] to, int at, int low) {
        if (low < 100 && thousands == 0) {
            return putShort(to, at, low);
        }
        System.arraycopy(bytes, 0, to, at, length);
        int digits = Ascii.THREE_DIGITS_QUOTE[low];
        int p = at + digitsAt;
        to[p] = (byte) digits;
        to[p + 1] = (byte) (digits >>> 8);
        to[p + 2] = (byte) (digits >>> 16);
        return at + length;
    }

    private int putShort(byte[] to, int at, int low) {
        System.arraycopy(bytes, 0, to, at, numberAt);
        int p = at + numberAt;
        if (low >= 10) {
            to[p++] = (byte) ('0' + low / 10);
        }
        to[p++] = (byte) ('0' + low % 10);
        System.arraycopy(tail, 0, to, p, tail.length);
        return p + tail.length;
    }
}
