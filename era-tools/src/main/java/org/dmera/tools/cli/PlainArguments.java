// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.List;

/**
 * Reads the command lines that nearly everyone writes: known options, each once, their values as arguments of their own
 * or after {@code =}, and the right number of operands. Anything else (an error, help, a cluster of letters, an option
 * given twice) is left to picocli, whose set-up takes longer than all the rest of a short run together.
 */
final class PlainArguments {
    private PlainArguments() {}

    /** The arguments from {@code args[from]} on, or null when picocli must look at them. */
    static Arguments read(Usage usage, String[] args, int from) {
        Arguments result = new Arguments();
        for (int at = from; at < args.length; at++) {
            String arg = args[at];
            if (!isOption(arg)) {
                result.addOperand(arg);
                continue;
            }
            int equals = arg.startsWith("--") ? arg.indexOf('=') : -1;
            Option option = option(usage, equals < 0 ? arg : arg.substring(0, equals));
            if (option == null || result.has(option.name)) {
                return null;
            }
            if (!option.takesValue()) {
                if (equals >= 0) {
                    return null;
                }
                result.add(option, null);
                continue;
            }
            if (equals < 0 && at + 1 == args.length) {
                return null;
            }
            String value = equals < 0 ? args[++at] : arg.substring(equals + 1);
            if (value.isEmpty() || isOption(value) || !allows(option, value)) {
                return null;
            }
            result.add(option, value);
        }
        return complete(usage, result) ? result : null;
    }

    private static boolean isOption(String arg) {
        return arg.length() > 1 && arg.charAt(0) == '-';
    }

    private static Option option(Usage usage, String name) {
        if (name.startsWith("--")) {
            return usage.byName(name.substring(2));
        }
        return name.length() == 2 ? usage.byLetter(name.charAt(1)) : null;
    }

    private static boolean allows(Option option, String value) {
        return option.choices == null || List.of(option.choices).contains(value);
    }

    private static boolean complete(Usage usage, Arguments given) {
        for (Option option : usage.options) {
            if (option.required && !given.has(option.name)) {
                return false;
            }
        }
        int count = given.operands().size();
        for (int i = 0; i < usage.operands.size(); i++) {
            Option operand = usage.operands.get(i);
            if (operand.required && i >= count) {
                return false;
            }
            if (operand.repeatable) {
                return true;
            }
        }
        return count <= usage.operands.size();
    }
}
