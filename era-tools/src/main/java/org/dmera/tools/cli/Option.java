// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.List;

/**
 * One option or operand of a command, as {@link Usage} declares it.
 *
 * @param letter the short form, or 0 for none
 * @param label what the value is called, in capitals; null for a flag
 * @param choices the only values allowed, or null for any
 * @param hidden accepted for the sake of scripts, and not shown
 */
record Option(
        String name,
        char letter,
        String label,
        boolean required,
        boolean repeatable,
        boolean positional,
        List<String> choices,
        String description,
        boolean hidden) {

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
