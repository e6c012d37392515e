// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.ArrayList;
import java.util.List;

/**
 * The command line of one program: a plain table of its options, in the order in which help shows them.
 *
 * <p>{@link ArgumentParser} reads command lines by it, {@link HelpText} explains it, {@link Completion} completes it. {@code --help} and {@code --version}
 * belong to every program and are not declared.
 */
public final class Usage {
    final String program;
    final String about;
    final List<Option> options = new ArrayList<>();
    final List<Option> operands = new ArrayList<>();
    String footer = "";

    /**
     * @param program the name that users type, such as {@code era_dump}
     * @param about what it is for, one line
     */
    public Usage(String program, String about) {
        this.program = program;
        this.about = about;
    }

    /** An option without a value. {@code letter} 0: no short form. */
    public Usage flag(String name, int letter, String description) {
        options.add(new Option(name, (char) letter, null, false, false, false, null, description));
        return this;
    }

    /** An option with a value, given at most once. */
    public Usage option(String name, int letter, String label, String description) {
        options.add(new Option(name, (char) letter, label, false, false, false, null, description));
        return this;
    }

    /** An option with a value that must be given. */
    public Usage required(String name, int letter, String label, String description) {
        options.add(new Option(name, (char) letter, label, true, false, false, null, description));
        return this;
    }

    /** An option with a value that may be given several times. */
    public Usage repeatable(String name, int letter, String label, String description) {
        options.add(new Option(name, (char) letter, label, false, true, false, null, description));
        return this;
    }

    /** An option whose value is one of {@code choices}. */
    public Usage choice(String name, int letter, String label, String description, String... choices) {
        options.add(new Option(name, (char) letter, label, false, false, false, choices, description));
        return this;
    }

    /** An operand that must be given. Operands are taken in the order in which they are declared. */
    public Usage operand(String label, String description) {
        operands.add(new Option(label, (char) 0, label, true, false, true, null, description));
        return this;
    }

    /** An operand that may be left out; only optional ones may follow. */
    public Usage optionalOperand(String label, String description) {
        operands.add(new Option(label, (char) 0, label, false, false, true, null, description));
        return this;
    }

    /** The last operand, of which there may be any number; {@code required}: at least one. */
    public Usage operands(String label, boolean required, String description) {
        operands.add(new Option(label, (char) 0, label, required, true, true, null, description));
        return this;
    }

    /**
     * The options that thin-provisioning-tools 1.x accept without showing them, and that change nothing here.
     *
     * @param verbose whether {@code -v} is among them
     */
    public Usage ofPeers(boolean verbose) {
        String[] engines = {"sync", "async"};
        options.add(new Option("io-engine", (char) 0, "TYPE", false, false, false, engines, "").hide());
        if (verbose) {
            options.add(new Option("verbose", 'v', null, false, false, false, null, "").hide());
        }
        return this;
    }

    /** The names of the options that help shows, {@code help} and {@code version} among them. */
    List<String> shownNames() {
        List<String> names = new ArrayList<>();
        for (Option option : options) {
            if (!option.hidden) {
                names.add(option.name);
            }
        }
        names.add("help");
        names.add("version");
        return names;
    }

    /** Text below the options in help: examples. */
    public Usage footer(String text) {
        footer = text;
        return this;
    }

    /** The name that users type. */
    public String program() {
        return program;
    }

    /** What it is for, one line. */
    public String about() {
        return about;
    }

    Option byName(String name) {
        for (Option option : options) {
            if (option.name.equals(name)) {
                return option;
            }
        }
        return null;
    }

    /** The name of the option that is called so, else of the only one that begins so; null when there is none or several. */
    String wholeName(String beginning) {
        String found = null;
        List<String> names = new ArrayList<>(List.of("help", "version"));
        for (Option option : options) {
            names.add(option.name);
        }
        for (String name : names) {
            if (name.equals(beginning)) {
                return name;
            }
            if (name.startsWith(beginning)) {
                found = found == null ? name : "";
            }
        }
        return found == null || found.isEmpty() ? null : found;
    }

    Option byLetter(char letter) {
        for (Option option : options) {
            if (option.letter == letter) {
                return option;
            }
        }
        return null;
    }

    /** {@code era_dump [OPTIONS] <INPUT>}: all that is required is spelled out. */
    String synopsis() {
        StringBuilder line = new StringBuilder(program);
        boolean anyOptional = false;
        for (Option option : options) {
            anyOptional |= !option.required && !option.hidden;
        }
        if (anyOptional) {
            line.append(" [OPTIONS]");
        }
        appendRequired(line);
        return line.toString();
    }

    /** As {@link #synopsis} without the optional part, for messages about what is missing. */
    String requiredSynopsis() {
        StringBuilder line = new StringBuilder(program);
        appendRequired(line);
        return line.toString();
    }

    private void appendRequired(StringBuilder line) {
        for (Option option : options) {
            if (option.required) {
                line.append(' ').append(option.display());
            }
        }
        for (Option operand : operands) {
            line.append(' ');
            if (operand.required) {
                line.append(operand.display());
            } else {
                line.append('[').append(operand.label).append(operand.repeatable ? "]..." : "]");
            }
        }
    }
}
