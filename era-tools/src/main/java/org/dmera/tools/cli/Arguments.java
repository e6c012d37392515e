// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What was given on a command line that {@link ArgumentParser} found right. */
public final class Arguments {
    private final Map<String, String> values = new HashMap<>();
    private final List<String> operands = new ArrayList<>();

    Arguments() {}

    void add(Option option, String value) {
        values.put(option.name(), value);
    }

    void addOperand(String value) {
        operands.add(value);
    }

    /** Whether the option was given. */
    public boolean has(String name) {
        return values.containsKey(name);
    }

    /** The option's value, or null when it was not given. */
    public String value(String name) {
        return values.get(name);
    }

    /** The option's value, or {@code otherwise} when it was not given. */
    public String value(String name, String otherwise) {
        return values.getOrDefault(name, otherwise);
    }

    /**
     * The option's value as a decimal number, or {@code otherwise} when it was not given.
     *
     * @throws InvalidValueException when it is not a number from {@code min} to {@code max}
     */
    public long number(String name, long otherwise, long min, long max) {
        String text = value(name);
        return text == null ? otherwise : parse(name, text, min, max);
    }

    /** Operand {@code index}, or null when there are not so many. */
    public String operand(int index) {
        return index < operands.size() ? operands.get(index) : null;
    }

    /** All operands. */
    public List<String> operands() {
        return operands;
    }

    private static long parse(String name, String text, long min, long max) {
        int length = text.length();
        long value = 0;
        // A plus sign is taken, as the peers take it.
        for (int i = text.charAt(0) == '+' && length > 1 ? 1 : 0; i < length; i++) {
            int digit = text.charAt(i) - '0';
            if (digit < 0 || digit > 9) {
                throw new InvalidValueException(name, text, "invalid digit found in string");
            }
            if (value > (Long.MAX_VALUE - digit) / 10) {
                throw new InvalidValueException(name, text, "number too large, the most is " + max);
            }
            value = value * 10 + digit;
        }
        if (value > max) {
            throw new InvalidValueException(name, text, "number too large, the most is " + max);
        }
        if (value < min) {
            throw new InvalidValueException(name, text, "number too small, the least is " + min);
        }
        return value;
    }

    /** An option's value is not what it must be. {@link CommandLine} words it for the user. */
    public static final class InvalidValueException extends RuntimeException {
        final String option;
        final String value;
        final String reason;

        /** {@code value} can't be the value of {@code --option}, for {@code reason}. */
        public InvalidValueException(String option, String value, String reason) {
            super(reason, null, false, false);
            this.option = option;
            this.value = value;
            this.reason = reason;
        }
    }
}
