// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.StringTokenizer;

/** What {@code --help} prints: how the program is called, what it is for, and a line or more for each operand and option. */
public final class HelpText {
    private static final int WIDTH = 100;
    /** Room for a letter, a comma and what is between. */
    private static final int NAMES_AT = 6;
    /** A longer name doesn't push the descriptions of all others to the right: its own begins below it. */
    private static final int LONGEST_BESIDE = 22;

    private final StringBuilder text = new StringBuilder();
    private final int descriptionsAt;

    private HelpText(int descriptionsAt) {
        this.descriptionsAt = descriptionsAt;
    }

    /** The help of {@code usage}, lines of at most 100 characters as far as words allow. */
    static String of(Usage usage) {
        HelpText help = new HelpText(descriptionsAt(usage));
        help.text.append("Usage: ").append(usage.synopsis()).append('\n');
        help.wrapped(usage.about, 0);
        if (!usage.operands.isEmpty()) {
            help.text.append("\nArguments:\n");
            for (Option operand : usage.operands) {
                help.row((char) 0, operand.display(), operand.description);
            }
        }
        help.text.append("\nOptions:\n");
        for (Option option : usage.options) {
            if (!option.hidden) {
                help.row(option.letter, names(option), option.description);
            }
        }
        help.row('h', "--help", "Print help");
        help.row('V', "--version", "Print version");
        if (!usage.footer.isEmpty()) {
            help.text.append('\n').append(usage.footer).append('\n');
        }
        return help.text.toString();
    }

    private static String names(Option option) {
        return "--" + option.name + (option.takesValue() ? "=<" + option.label + ">" : "");
    }

    private static int descriptionsAt(Usage usage) {
        int longest = "--version".length();
        for (Option option : usage.options) {
            longest = Math.max(longest, option.hidden ? 0 : fitting(names(option)));
        }
        for (Option operand : usage.operands) {
            longest = Math.max(longest, fitting(operand.display()));
        }
        return NAMES_AT + longest + 2;
    }

    private static int fitting(String name) {
        return name.length() > LONGEST_BESIDE ? 0 : name.length();
    }

    private void row(char letter, String names, String description) {
        int start = text.length();
        text.append(letter == 0 ? "      " : "  -" + letter + ", ").append(names);
        int room = descriptionsAt - (text.length() - start);
        if (room < 2) {
            text.append('\n');
            room = descriptionsAt;
        }
        text.append(" ".repeat(room));
        wrapped(description, descriptionsAt);
    }

    /** Appends {@code words} from column {@code indent} on, where the text has already been brought to. */
    private void wrapped(String words, int indent) {
        text.append(wrap(words, indent)).append('\n');
    }

    /** {@code words} in lines that end before column 100; each but the first begins with {@code indent} blanks. */
    public static String wrap(String words, int indent) {
        StringBuilder lines = new StringBuilder();
        int column = indent;
        StringTokenizer tokens = new StringTokenizer(words, " ");
        while (tokens.hasMoreTokens()) {
            String word = tokens.nextToken();
            if (column > indent && column + 1 + word.length() > WIDTH) {
                lines.append('\n').append(" ".repeat(indent));
                column = indent;
            } else if (column > indent) {
                lines.append(' ');
                column++;
            }
            lines.append(word);
            column += word.length();
        }
        return lines.toString();
    }
}
