// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;

/**
 * Names, paths and messages as Linux has them: bytes, of no charset. In this program a string that comes from the system
 * or goes there (an argument, a path, a variable of the environment, a device's name, a table) has one char for each
 * byte, 0 to 255, so that nothing is lost or taken for something else on the way.
 *
 * <p>For arguments, paths and the environment it is the JVM that makes strings, by the charset of its locale. So the
 * launchers run it under a locale of ours whose charset is ISO-8859-1 ({@code lib/locale} of the distribution), whatever
 * the caller's locale is; what the program starts gets the caller's back ({@link #restoreLocale}).
 */
public final class NativeText {
    /** The charset that has a character for every byte. */
    public static final Charset CHARSET = StandardCharsets.ISO_8859_1;

    /** Where the launchers put what they change: each of these with this prefix. */
    private static final String CALLERS = "ERA_CALLER_";

    private static final String[] LOCALE_VARIABLES = {"LC_ALL", "LANGUAGE", "LOCPATH"};

    private static final boolean TRANSPARENT =
            CHARSET.name().equals(System.getProperty("sun.jnu.encoding", CHARSET.name()));

    private NativeText() {}

    /** The bytes of a string. A character that no byte stands for, which only our own texts have, is written as UTF-8. */
    public static byte[] bytes(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) > 0xff) {
                return mixedBytes(text);
            }
        }
        return text.getBytes(CHARSET);
    }

    private static byte[] mixedBytes(String text) {
        StringBuilder bytes = new StringBuilder(text.length() + 16);
        text.codePoints()
                .forEach(c -> bytes.append(c > 0xff ? ofUnicode(Character.toString(c)) : String.valueOf((char) c)));
        return bytes.toString().getBytes(CHARSET);
    }

    /** A stream that prints strings as their {@link #bytes}. */
    public static PrintStream printStream(OutputStream out, boolean lineByLine) {
        return new PrintStream(out, lineByLine, CHARSET) {
            @Override
            public void print(String text) {
                byte[] bytes = bytes(String.valueOf(text));
                write(bytes, 0, bytes.length);
            }
        };
    }

    /** The string of some bytes. */
    public static String of(byte[] bytes) {
        return new String(bytes, CHARSET);
    }

    /** The string whose bytes are {@code text} in UTF-8. */
    public static String ofUnicode(String text) {
        return of(text.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * Characters, for a document that has to be Unicode: the bytes read as UTF-8. A byte that is not part of any becomes
     * U+FFFD.
     */
    public static String toUnicode(String bytes) {
        return new String(bytes(bytes), StandardCharsets.UTF_8);
    }

    /**
     * The same, fit for a log or a terminal: characters in UTF-8 that are seen stay; of all others (control characters and
     * those that change the order of what is shown, and what is no UTF-8) each byte becomes {@code \\xNN}.
     */
    public static String printable(String bytes) {
        byte[] all = bytes(bytes);
        StringBuilder text = new StringBuilder(all.length);
        for (int i = 0; i < all.length; ) {
            int length = sequence(all[i]);
            String character = i + length > all.length ? "" : new String(all, i, length, StandardCharsets.UTF_8);
            boolean seen = !character.isEmpty()
                    && character.codePointCount(0, character.length()) == 1
                    && isSeen(character.codePointAt(0));
            int taken = seen ? length : 1;
            if (seen) {
                text.append(new String(all, i, length, CHARSET));
            } else {
                text.append("\\x").append(HexFormat.of().toHexDigits(all[i]));
            }
            i += taken;
        }
        return text.toString();
    }

    /** How many bytes a character has in UTF-8 that begins with this one; where none does, 1. */
    private static int sequence(byte first) {
        if ((first & 0xe0) == 0xc0) {
            return 2;
        }
        if ((first & 0xf0) == 0xe0) {
            return 3;
        }
        return (first & 0xf8) == 0xf0 ? 4 : 1;
    }

    private static boolean isSeen(int character) {
        return switch (Character.getType(character)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR -> false;
            // What broken UTF-8 is decoded to; nobody misses it.
            default -> character != 0xfffd;
        };
    }

    /** Whether the bytes are UTF-8. */
    public static boolean isUtf8(String bytes) {
        try {
            StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes(bytes)));
            return true;
        } catch (CharacterCodingException e) {
            return false;
        }
    }

    /** Whether the JVM takes paths and arguments as bytes: it was started by a launcher. */
    public static boolean isTransparent() {
        return TRANSPARENT;
    }

    /**
     * The path of these bytes.
     *
     * @throws IOException when no file can be called so, or this JVM can't say the name
     */
    public static Path path(String bytes) throws IOException {
        requireSayable(bytes);
        try {
            return Path.of(bytes);
        } catch (InvalidPathException e) {
            throw new IOException("not a path: \"" + bytes.replace("\0", "\\0") + "\"", e);
        }
    }

    /**
     * Refuses what the JVM may have garbled already, or would.
     *
     * @throws IOException for a character outside ASCII, in a JVM whose locale is not ours
     */
    public static void requireSayable(String text) throws IOException {
        for (int i = 0; !TRANSPARENT && i < text.length(); i++) {
            if (text.charAt(i) > 0x7e) {
                throw new IOException("can't tell names outside ASCII apart: \"" + ascii(text) + "\" (Java runs with"
                        + " the charset " + System.getProperty("sun.jnu.encoding")
                        + "; the launchers in bin/ run it with ISO-8859-1, by the locale in lib/locale)");
            }
        }
    }

    private static String ascii(String text) {
        ByteBuffer bytes = StandardCharsets.US_ASCII.encode(CharBuffer.wrap(text));
        return StandardCharsets.US_ASCII.decode(bytes).toString();
    }

    /** Puts the caller's locale into the environment of a program that is to be started. */
    public static void restoreLocale(Map<String, String> environment) {
        for (String name : LOCALE_VARIABLES) {
            String callers = environment.remove(CALLERS + name);
            if (callers == null) {
                continue;
            }
            if (callers.isEmpty()) {
                environment.remove(name);
            } else {
                environment.put(name, callers);
            }
        }
    }

    /** A variable of the environment as the caller has it, or null. */
    public static String callersVariable(String name) {
        String callers = System.getenv(CALLERS + name);
        return callers != null ? callers : System.getenv(name);
    }
}
