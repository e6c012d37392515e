// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.util.Set;
import java.util.stream.Stream;
import org.dmera.core.linux.NativeText;

/** The words of {@code -o} for a tree. */
record TreeOptions(Set<String> words, Symbols symbols) {
    /** What the branches are drawn with. */
    record Symbols(
            String horizontal,
            String vertical,
            String corner,
            String tee,
            String down,
            String across,
            String begin,
            String end) {
        static final Symbols ASCII = new Symbols("-", "|", "`", "|-", "-+", "---", "", "");
        static final Symbols UTF = new Symbols("─", "│", "└", "├─", "─┬", "───", "", "");
        /** The alternate character set of DEC's terminals. */
        static final Symbols VT100 = new Symbols("q", "x", "m", "tq", "qw", "qqq", "\033(0\017", "\033(B");
    }

    private static final Set<String> KNOWN = Set.of(
            "device blkdevname nodevice active open rw uuid vt100 utf ascii inverted compact notrunc".split(" "));

    static TreeOptions of(Switches switches) throws CommandLineException {
        String given = switches.value(Switch.OPTIONS);
        Set<String> words =
                given == null ? Set.of() : new java.util.LinkedHashSet<>(java.util.Arrays.asList(given.split(",", -1)));
        for (String word : words) {
            if (!KNOWN.contains(word)) {
                // As dmsetup says it: from there to the end.
                throw new CommandLineException(
                        "Tree options not recognised: " + given.substring(("," + given).indexOf("," + word)) + ".");
            }
        }
        Symbols symbols = words.contains("ascii")
                ? Symbols.ASCII
                : words.contains("vt100")
                        ? Symbols.VT100
                        : words.contains("utf") || localeIsUtf8() ? Symbols.UTF : Symbols.ASCII;
        return new TreeOptions(words, symbols);
    }

    boolean has(String word) {
        return words.contains(word);
    }

    /** Whether a device's state has to be asked for. */
    boolean needsState() {
        return Stream.of("active", "open", "rw", "uuid").anyMatch(words::contains);
    }

    /** As in dmsetup, a device whose state is shown has a line of its own. */
    boolean isCompact() {
        return has("compact") && !needsState();
    }

    private static boolean localeIsUtf8() {
        for (String variable : new String[] {"LC_ALL", "LC_CTYPE", "LANG"}) {
            String value = NativeText.callersVariable(variable);
            if (value != null && !value.isEmpty()) {
                String upper = value.toUpperCase(java.util.Locale.ROOT);
                return upper.endsWith("UTF-8") || upper.endsWith("UTF8");
            }
        }
        return false;
    }
}
