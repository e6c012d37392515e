// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The arguments of tables and messages: apart at white space; a backslash takes the next character as it is. */
public final class Words {
    private Words() {}

    public static List<String> split(String text) {
        List<String> words = new ArrayList<>();
        StringBuilder word = null;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (isSpace(c)) {
                if (word != null) {
                    words.add(word.toString());
                    word = null;
                }
                continue;
            }
            if (word == null) {
                word = new StringBuilder();
            }
            if (c == '\\' && i + 1 < text.length()) {
                i++;
                c = text.charAt(i);
            }
            word.append(c);
        }
        if (word != null) {
            words.add(word.toString());
        }
        return words;
    }

    /** A word as {@link #split} has to find it, also in a line of a table, which ends at a {@code #}. */
    public static String escape(String word) {
        return word.replaceAll("[ \\t-\\r#\\\\]", "\\\\$0");
    }

    /** Where the first of {@code ends} is, from {@code from} on, that no backslash takes as it is; else the text's end. */
    public static int find(String text, String ends, int from) {
        int at = from;
        while (at < text.length() && ends.indexOf(text.charAt(at)) < 0) {
            at += text.charAt(at) == '\\' ? 2 : 1;
        }
        return Math.min(at, text.length());
    }

    /** Where the white space at {@code from}, if there is any, ends. */
    public static int spaceEnd(String text, int from) {
        int at = from;
        while (at < text.length() && isSpace(text.charAt(at))) {
            at++;
        }
        return at;
    }

    /** Where the word at {@code from} ends. */
    public static int wordEnd(String text, int from) {
        int at = from;
        while (at < text.length() && !isSpace(text.charAt(at))) {
            at++;
        }
        return at;
    }

    /** Where the decimal digits at {@code from} end. */
    public static int digitsEnd(String text, int from) {
        int at = from;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        return at;
    }

    /** What C's isspace(3) counts as white space. */
    public static boolean isSpace(char c) {
        return c == ' ' || c >= '\t' && c <= '\r';
    }

    /** What fstab and the kernel's tables of mounts write with blanks and backslashes in octal. */
    public static String ofOctal(String text) {
        return Pattern.compile("\\\\([0-3][0-7]{2})")
                .matcher(text)
                .replaceAll(found ->
                        Matcher.quoteReplacement(Character.toString((char) Integer.parseInt(found.group(1), 8))));
    }
}
