// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import org.dmera.dmsetup.ioctl.Words;

/**
 * Numbers on the command line. What can't be read is refused: C's atoi(3), which dmsetup uses for most of them, makes 0
 * of it, and 0 is a device.
 */
final class Numbers {
    private Numbers() {}

    /**
     * A decimal number with nothing behind it, as strtoul(3) reads it.
     *
     * @param what what it is, for the message
     * @param most the highest that is meaningful
     */
    static long decimal(String what, String text, long most) throws CommandLineException {
        int at = Words.spaceEnd(text, 0);
        at += at < text.length() && text.charAt(at) == '+' ? 1 : 0;
        int end = Words.digitsEnd(text, at);
        long value = end == at || end < text.length() ? -1 : saturated(text, at, end);
        if (value < 0 || value > most) {
            throw new CommandLineException(
                    "Invalid " + what + " \"" + text + "\": expected a number from 0 to " + most + ".");
        }
        return value;
    }

    /**
     * A number as atoi(3) reads it: what follows the digits is let be, and what is beyond 32 bits is cut off.
     *
     * @throws CommandLineException when there is no digit
     */
    static int leading(String what, String text) throws CommandLineException {
        int at = Words.spaceEnd(text, 0);
        boolean negative = at < text.length() && text.charAt(at) == '-';
        at += negative || at < text.length() && text.charAt(at) == '+' ? 1 : 0;
        int end = Words.digitsEnd(text, at);
        if (end == at) {
            throw new CommandLineException("Invalid " + what + " \"" + text + "\": expected a number.");
        }
        long value = saturated(text, at, end);
        return (int) (negative ? -value : value);
    }

    private static long saturated(String text, int from, int end) {
        try {
            return Long.parseLong(text, from, end, 10);
        } catch (NumberFormatException e) {
            // Digits only, so there are too many of them.
            return Long.MAX_VALUE;
        }
    }
}
