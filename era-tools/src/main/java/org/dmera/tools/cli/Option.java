// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

/** One option or operand of a command, as {@link Usage} declares it. */
public final class Option {
    final String name;
    /** The short form, or 0 for none. */
    final char letter;
    /** What the value is called, in capitals; null for a flag. */
    final String label;

    final boolean required;
    final boolean repeatable;
    final boolean positional;
    /** The only values allowed, or null for any. */
    final String[] choices;

    final String description;
    /** Accepted for the sake of scripts, and not shown. */
    final boolean hidden;

    Option(
            String name,
            char letter,
            String label,
            boolean required,
            boolean repeatable,
            boolean positional,
            String[] choices,
            String description) {
        this(name, letter, label, required, repeatable, positional, choices, description, false);
    }

    private Option(
            String name,
            char letter,
            String label,
            boolean required,
            boolean repeatable,
            boolean positional,
            String[] choices,
            String description,
            boolean hidden) {
        this.name = name;
        this.letter = letter;
        this.label = label;
        this.required = required;
        this.repeatable = repeatable;
        this.positional = positional;
        this.choices = choices;
        this.description = description;
        this.hidden = hidden;
    }

    /** The same, not shown in help. */
    Option hide() {
        return new Option(name, letter, label, required, repeatable, positional, choices, description, true);
    }

    boolean takesValue() {
        return label != null;
    }

    /** How messages name it: {@code --quiet}, {@code --output <FILE>}, {@code <INPUT>}. */
    String display() {
        if (positional) {
            return "<" + label + ">" + (repeatable ? "..." : "");
        }
        return takesValue() ? "--" + name + " <" + label + ">" : "--" + name;
    }
}
