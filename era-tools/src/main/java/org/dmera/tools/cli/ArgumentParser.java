// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

/**
 * Reads a command line by a {@link Usage}: {@code --name value}, {@code --name=value}, {@code -n value},
 * {@code -nvalue}, {@code -n=value}, flags in one cluster, {@code --} before operands that begin with a dash, options
 * and operands in any order. Errors are worded as the Rust tools word them, because scripts and the peers' own tests
 * look for those texts.
 */
public final class ArgumentParser {
    private final Usage usage;
    private final String[] args;
    private final Arguments result = new Arguments();
    private int at;

    private ArgumentParser(Usage usage, String[] args, int from) {
        this.usage = usage;
        this.args = args;
        this.at = from;
    }

    /**
     * The arguments from {@code args[from]} on.
     *
     * @throws UsageException when they don't fit
     * @throws HelpRequest for {@code --help} and {@code --version}, whatever else is wrong after it
     */
    static Arguments parse(Usage usage, String[] args, int from) throws UsageException, HelpRequest {
        return new ArgumentParser(usage, args, from).parse();
    }

    private Arguments parse() throws UsageException, HelpRequest {
        boolean operandsOnly = false;
        while (at < args.length) {
            String arg = args[at++];
            if (operandsOnly || arg.length() < 2 || arg.charAt(0) != '-') {
                operand(arg);
            } else if (arg.equals("--")) {
                operandsOnly = true;
            } else if (arg.charAt(1) == '-') {
                longOption(arg);
            } else {
                cluster(arg);
            }
        }
        requireAll();
        return result;
    }

    private void operand(String arg) throws UsageException {
        int given = result.operands().size();
        int known = usage.operands.size();
        if (given >= known && (known == 0 || !usage.operands.get(known - 1).repeatable)) {
            throw unexpected(arg);
        }
        result.addOperand(arg);
    }

    private void longOption(String arg) throws UsageException, HelpRequest {
        int equals = arg.indexOf('=');
        String name = equals < 0 ? arg.substring(2) : arg.substring(2, equals);
        String inline = equals < 0 ? null : arg.substring(equals + 1);
        Option option = usage.byName(name);
        if (option == null) {
            if (inline == null && name.equals("help")) {
                throw new HelpRequest(false);
            }
            if (inline == null && name.equals("version")) {
                throw new HelpRequest(true);
            }
            throw unexpected(equals < 0 ? arg : arg.substring(0, equals));
        }
        if (!option.takesValue() && inline != null) {
            throw UsageException.withSynopsis(
                    "unexpected value '" + inline + "' for '" + option.display() + "' found; no more were expected",
                    usage.synopsis());
        }
        take(option, inline);
    }

    private void cluster(String arg) throws UsageException, HelpRequest {
        for (int i = 1; i < arg.length(); i++) {
            char letter = arg.charAt(i);
            Option option = usage.byLetter(letter);
            if (option == null) {
                if (letter == 'h') {
                    throw new HelpRequest(false);
                }
                if (letter == 'V') {
                    throw new HelpRequest(true);
                }
                throw unexpected("-" + letter);
            }
            if (option.takesValue()) {
                String inline = i + 1 == arg.length() ? null : arg.substring(i + 1);
                take(option, inline != null && inline.charAt(0) == '=' ? inline.substring(1) : inline);
                return;
            }
            take(option, null);
        }
    }

    private void take(Option option, String inline) throws UsageException {
        if (result.has(option.name) && !option.repeatable) {
            throw UsageException.withSynopsis(
                    "the argument '" + option.display() + "' cannot be used multiple times", usage.synopsis());
        }
        if (!option.takesValue()) {
            result.add(option, null);
            return;
        }
        String value = inline;
        if (value == null) {
            if (at == args.length || isOption(args[at])) {
                throw UsageException.of("a value is required for '" + option.display() + "' but none was supplied");
            }
            value = args[at++];
        }
        if (option.choices != null) {
            requireChoice(option, value);
        }
        result.add(option, value);
    }

    private static boolean isOption(String arg) {
        return arg.length() > 1 && arg.charAt(0) == '-';
    }

    private static void requireChoice(Option option, String value) throws UsageException {
        StringBuilder all = new StringBuilder();
        for (String choice : option.choices) {
            if (choice.equals(value)) {
                return;
            }
            all.append(all.length() == 0 ? "" : ", ").append(choice);
        }
        throw UsageException.of(
                "invalid value '" + value + "' for '" + option.display() + "'\n  [possible values: " + all + "]");
    }

    private UsageException unexpected(String arg) {
        String tip = arg.charAt(0) == '-' && arg.length() > 1 && !usage.operands.isEmpty()
                ? "\n\n  tip: to pass '" + arg + "' as a value, use '-- " + arg + "'"
                : "";
        return UsageException.withSynopsis("unexpected argument '" + arg + "' found" + tip, usage.synopsis());
    }

    private void requireAll() throws UsageException {
        StringBuilder missing = new StringBuilder();
        for (Option option : usage.options) {
            if (option.required && !result.has(option.name)) {
                missing.append("\n  ").append(option.display());
            }
        }
        for (int i = result.operands().size(); i < usage.operands.size(); i++) {
            if (usage.operands.get(i).required) {
                missing.append("\n  ").append(usage.operands.get(i).display());
            }
        }
        if (missing.length() > 0) {
            throw UsageException.withSynopsis(
                    "the following required arguments were not provided:" + missing, usage.requiredSynopsis());
        }
    }

    /** {@code --help} or {@code --version} was asked for: no error, but an end to the reading. */
    static final class HelpRequest extends Exception {
        /** {@code --version} rather than {@code --help}. */
        final boolean version;

        private HelpRequest(boolean version) {
            super(null, null, false, false);
            this.version = version;
        }
    }
}
