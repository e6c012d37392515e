// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.nio.charset.StandardCharsets;

/**
 * Names and uuids as udev can bear them: every byte but letters, digits and {@code #+-.:=@_} is written {@code \xNN}
 * on the way to device-mapper, and read back on the way out.
 */
final class Mangling {
    private static final String PLAIN = "#+-.:=@_";

    /** When that is done. */
    enum Mode {
        NONE,
        AUTO,
        HEX;

        static Mode of(String word) throws CommandLineException {
            return switch (word) {
                case "none" -> NONE;
                case "auto" -> AUTO;
                case "hex" -> HEX;
                default -> throw new CommandLineException("Unknown name mangling mode.");
            };
        }
    }

    private Mangling() {}

    /** Mangles what is not mangled yet ({@code AUTO}), everything ({@code HEX}), or nothing. */
    static String mangle(String text, Mode mode) {
        if (mode == Mode.NONE || mode == Mode.AUTO && isMangled(text)) {
            return text;
        }
        StringBuilder mangled = null;
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        for (int i = 0; i < bytes.length; i++) {
            char c = (char) (bytes[i] & 0xff);
            boolean plain = isPlain(c) || c >= 0x80;
            if (!plain && mangled == null) {
                mangled = new StringBuilder(new String(bytes, 0, i, StandardCharsets.ISO_8859_1));
            }
            if (mangled != null) {
                if (plain) {
                    mangled.append(c);
                } else {
                    mangled.append("\\x").append(Character.forDigit(c >> 4, 16)).append(Character.forDigit(c & 15, 16));
                }
            }
        }
        return mangled == null
                ? text
                : new String(mangled.toString().getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
    }

    private static boolean isPlain(char c) {
        return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || PLAIN.indexOf(c) >= 0;
    }

    /** Whether it has a {@code \xNN} and nothing that would have to be mangled besides. */
    private static boolean isMangled(String text) {
        boolean found = false;
        for (int i = 0; i < text.length(); i++) {
            if (hexAt(text, i) >= 0) {
                found = true;
                i += 3;
            } else if (!isPlain(text.charAt(i)) && text.charAt(i) < 0x80) {
                return false;
            }
        }
        return found;
    }

    /** The byte that {@code \xNN} at {@code i} stands for, or −1. */
    private static int hexAt(String text, int i) {
        if (i + 3 < text.length() && text.charAt(i) == '\\' && text.charAt(i + 1) == 'x') {
            int high = Character.digit(text.charAt(i + 2), 16);
            int low = Character.digit(text.charAt(i + 3), 16);
            return high < 0 || low < 0 ? -1 : high << 4 | low;
        }
        return -1;
    }

    /** Reads {@code \xNN} back, unless the mode is {@code NONE}. */
    static String unmangle(String text, Mode mode) {
        if (mode == Mode.NONE || text.indexOf("\\x") < 0) {
            return text;
        }
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        String latin = new String(bytes, StandardCharsets.ISO_8859_1);
        StringBuilder plain = new StringBuilder(latin.length());
        for (int i = 0; i < latin.length(); i++) {
            int b = hexAt(latin, i);
            if (b >= 0) {
                plain.append((char) b);
                i += 3;
            } else {
                plain.append(latin.charAt(i));
            }
        }
        return new String(plain.toString().getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
    }
}
