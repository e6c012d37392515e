// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.IOException;
import java.util.Locale;
import java.util.Map;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.ioctl.DmIoctl;

/**
 * Names and uuids as udev can bear them, by libdevmapper's rule: every byte but ASCII letters, digits and {@code #+-.:=@_}
 * is written {@code \xNN} on the way to device-mapper, and read back on the way out. Programs do this where people's
 * words come in and go out; device-mapper itself, and all that is between, knows the mangled name only.
 */
public final class Mangling {
    /** libdevmapper's variable for the mode when no option gives one. */
    private static final String VARIABLE = "DM_DEFAULT_NAME_MANGLING_MODE";

    private static final String PLAIN = "#+-.:=@_";
    private static final int ESCAPE_BYTES = 4;

    /** When it is done. */
    public enum Mode {
        NONE,
        /** What has an escape already is left as it is. */
        AUTO,
        /** The backslash of an escape is mangled too. */
        HEX;

        /** The mode of that name, in any case of letters; null for none. */
        public static Mode of(String word) {
            return switch (word.toLowerCase(Locale.ROOT)) {
                case "none" -> NONE;
                case "auto" -> AUTO;
                case "hex" -> HEX;
                default -> null;
            };
        }

        /** The mode when no option gives one: the environment's, else {@code AUTO}. As in libdevmapper, another word is none. */
        public static Mode ofEnvironment(Map<String, String> environment) {
            Mode mode = of(environment.getOrDefault(VARIABLE, ""));
            return mode == null ? AUTO : mode;
        }
    }

    /** What is mangled, in libdevmapper's words. */
    public enum Kind {
        NAME("name", DmIoctl.NAME_BYTES),
        UUID("UUID", DmIoctl.UUID_BYTES),
        /** Of a device that has another. */
        NEW_NAME("new name", DmIoctl.NAME_BYTES),
        /** Of a device that has none. */
        NEW_UUID("new UUID", DmIoctl.UUID_BYTES);

        private final String words;
        private final int room;

        Kind(String words, int room) {
            this.words = words;
            this.room = room;
        }
    }

    private Mangling() {}

    /**
     * The name or uuid as device-mapper gets it.
     *
     * @throws IOException when it mixes what is mangled and what is to be, or is too long once mangled
     */
    public static String mangle(Kind kind, String given, Mode mode) throws IOException {
        String what = kind.words;
        // One char is one byte from here on.
        String text = NativeText.of(NativeText.bytes(given));
        if (text.indexOf('\0') >= 0) {
            throw new IOException("The " + what + " \"" + text.replace("\0", "\\0") + "\" holds a NUL byte.");
        }
        if (text.length() >= kind.room) {
            throw tooLong(kind, text);
        }
        if (mode == Mode.NONE) {
            return text;
        }
        if (mode == Mode.AUTO && text.toLowerCase(Locale.ROOT).contains("\\x5cx")) {
            throw new IOException("The " + what + " \"" + text
                    + "\" seems to be mangled more than once. This is not allowed in auto mode.");
        }
        StringBuilder mangled = new StringBuilder(text.length());
        boolean hadEscape = false;
        boolean madeEscape = false;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (mode == Mode.AUTO && c == '\\' && i + 1 < text.length() && text.charAt(i + 1) == 'x') {
                hadEscape = true;
                // Whether they are digits libdevmapper does not ask.
                if (text.length() - i < ESCAPE_BYTES) {
                    throw mixed(what, text);
                }
                mangled.append(text, i, i + ESCAPE_BYTES);
                i += ESCAPE_BYTES - 1;
            } else if (isPlain(c)) {
                mangled.append(c);
            } else {
                madeEscape = true;
                mangled.append("\\x").append(Character.forDigit(c >> 4, 16)).append(Character.forDigit(c & 15, 16));
            }
        }
        if (hadEscape && madeEscape) {
            throw mixed(what, text);
        }
        if (mangled.length() >= kind.room) {
            throw mangledTooLong(what, text);
        }
        return mangled.toString();
    }

    /** In libdevmapper's words, which differ. */
    private static IOException tooLong(Kind kind, String text) {
        return switch (kind) {
            case NAME -> new IOException("Name \"" + text + "\" too long.");
            case NEW_NAME -> new IOException("Name \"" + text + "\" too long");
            case NEW_UUID -> new IOException("Uuid \"" + text + "\" too long");
            case UUID -> mangledTooLong(kind.words, text);
        };
    }

    private static IOException mangledTooLong(String what, String text) {
        return new IOException("Mangled form of the " + what + " too long for \"" + text + "\".");
    }

    private static IOException mixed(String what, String text) {
        return new IOException("The " + what + " \"" + text
                + "\" contains mixed mangled and unmangled characters or it's already mangled improperly.");
    }

    private static boolean isPlain(char c) {
        return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || PLAIN.indexOf(c) >= 0;
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

    /** What device-mapper has as mangled, whatever it was made with: for those who ask for that form. */
    public static String mangledForm(String text) {
        StringBuilder mangled = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (isPlain(c) || hexAt(text, i) >= 0) {
                mangled.append(c);
            } else {
                mangled.append("\\x").append(Character.forDigit(c >> 4, 16)).append(Character.forDigit(c & 15, 16));
            }
        }
        return mangled.toString();
    }

    /** Reads {@code \xNN} back, unless the mode is {@code NONE}. */
    public static String unmangle(String text, Mode mode) {
        if (mode == Mode.NONE || text.indexOf("\\x") < 0) {
            return text;
        }
        StringBuilder plain = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            int b = hexAt(text, i);
            if (b > 0) {
                plain.append((char) b);
                i += ESCAPE_BYTES - 1;
            } else {
                plain.append(text.charAt(i));
            }
        }
        return plain.toString();
    }
}
