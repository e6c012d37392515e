// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.util.Set;
import org.dmera.core.linux.NativeText;

/** The words of {@code -o} for a tree. */
record TreeOptions(
        Symbols symbols,
        boolean compact,
        boolean inverted,
        boolean device,
        boolean blkdevname,
        boolean active,
        boolean open,
        boolean rw,
        boolean uuid) {

    /** What the branches are drawn with. */
    enum Symbols {
        ASCII("-", "|", "`", "|-", "-+", "---", "", ""),
        UTF("─", "│", "└", "├─", "─┬", "───", "", ""),
        /** The alternate character set of DEC's terminals. */
        VT100("q", "x", "m", "tq", "qw", "qqq", "\033(0\017", "\033(B");

        final String horizontal;
        final String vertical;
        final String corner;
        final String tee;
        final String down;
        final String across;
        final String begin;
        final String end;

        Symbols(
                String horizontal,
                String vertical,
                String corner,
                String tee,
                String down,
                String across,
                String begin,
                String end) {
            this.horizontal = horizontal;
            this.vertical = vertical;
            this.corner = corner;
            this.tee = tee;
            this.down = down;
            this.across = across;
            this.begin = begin;
            this.end = end;
        }
    }

    private static final Set<String> KNOWN = Set.of(
            "device",
            "blkdevname",
            "nodevice",
            "active",
            "open",
            "rw",
            "uuid",
            "vt100",
            "utf",
            "ascii",
            "inverted",
            "compact",
            "notrunc");

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
        return new TreeOptions(
                symbols,
                words.contains("compact"),
                words.contains("inverted"),
                !words.contains("nodevice"),
                words.contains("blkdevname"),
                words.contains("active"),
                words.contains("open"),
                words.contains("rw"),
                words.contains("uuid"));
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

    /** Whether a device's state has to be asked for. */
    boolean needsState() {
        return active || open || rw || uuid;
    }
}
