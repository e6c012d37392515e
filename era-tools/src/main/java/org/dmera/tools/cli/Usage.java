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
        return option(name, letter, null, false, null, description, false);
    }

    /** An option with a value, given at most once. */
    public Usage option(String name, int letter, String label, String description) {
        return option(name, letter, label, false, null, description, false);
    }

    /** An option with a value that must be given. */
    public Usage required(String name, int letter, String label, String description) {
        return option(name, letter, label, true, null, description, false);
    }

    /** An option whose value is one of {@code choices}. */
    public Usage choice(String name, int letter, String label, String description, String... choices) {
        return option(name, letter, label, false, List.of(choices), description, false);
    }

    private Usage option(
            String name,
            int letter,
            String label,
            boolean required,
            List<String> choices,
            String description,
            boolean hidden) {
        options.add(new Option(name, (char) letter, label, required, false, false, choices, description, hidden));
        return this;
    }

    /** An operand that must be given. Operands are taken in the order in which they are declared. */
    public Usage operand(String label, String description) {
        return operand(label, true, false, description);
    }

    /** The last operand, of which there may be any number; {@code required}: at least one. */
    public Usage operands(String label, boolean required, String description) {
        return operand(label, required, true, description);
    }

    private Usage operand(String label, boolean required, boolean repeatable, String description) {
        operands.add(new Option(label, (char) 0, label, required, repeatable, true, null, description, false));
        return this;
    }

    /**
     * The options that thin-provisioning-tools 1.x accept without showing them, and that change nothing here; {@code -v} only if
     * {@code verbose}.
     */
    public Usage ofPeers(boolean verbose) {
        option("io-engine", 0, "TYPE", false, List.of("sync", "async"), "", true);
        return verbose ? option("verbose", 'v', null, false, null, "", true) : this;
    }

    /** The names of the options that help shows, {@code help} and {@code version} among them. */
    List<String> shownNames() {
        List<String> names = new ArrayList<>();
        for (Option option : options) {
            if (!option.hidden()) {
                names.add(option.name());
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
            if (option.name().equals(name)) {
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
            names.add(option.name());
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
            if (option.letter() == letter) {
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
            anyOptional |= !option.required() && !option.hidden();
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
            if (option.required()) {
                line.append(' ').append(option.display());
            }
        }
        for (Option operand : operands) {
            line.append(' ');
            if (operand.required()) {
                line.append(operand.display());
            } else {
                line.append('[').append(operand.label()).append(operand.repeatable() ? "]..." : "]");
            }
        }
    }
}
