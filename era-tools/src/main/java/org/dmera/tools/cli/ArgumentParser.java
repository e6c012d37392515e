// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

/**
 * Reads a command line by the table of a {@link Usage}: options and operands in any order, {@code --} before operands that
 * look like options, a value behind its option or attached to it, letters in one word, long names abbreviated as far as one
 * option alone begins so, which the C++ tools allow.
 *
 * <p>It is no library's parser because the set-up of one takes longer than a whole run on a small device. What is wrong is
 * worded as the parser of the Rust tools words it, because scripts and the peers' own tests look for those texts.
 */
final class ArgumentParser {
    private final Usage usage;
    private final String[] args;
    private final Arguments result = new Arguments();
    /** The next argument to look at. */
    private int at;
    /** The first thing that is wrong: reported at the end, because a request for help goes before. */
    private UsageException wrong;

    private boolean help;
    private boolean version;

    private ArgumentParser(Usage usage, String[] args, int from) {
        this.usage = usage;
        this.args = args;
        this.at = from;
    }

    /**
     * The arguments from {@code args[from]} on.
     *
     * @throws UsageException when they don't fit
     * @throws HelpRequest for {@code --help} and {@code --version}, whatever else is wrong beside it
     */
    static Arguments parse(Usage usage, String[] args, int from) throws UsageException, HelpRequest {
        return new ArgumentParser(usage, args, from).parse();
    }

    private Arguments parse() throws UsageException, HelpRequest {
        boolean operandsOnly = false;
        while (at < args.length) {
            String arg = args[at++];
            if (operandsOnly || !isOption(arg)) {
                operand(arg);
            } else if (arg.equals("--")) {
                operandsOnly = true;
            } else if (arg.startsWith("--")) {
                longOption(arg);
            } else {
                letters(arg);
            }
        }
        if (help || version) {
            throw new HelpRequest(!help);
        }
        if (wrong != null) {
            throw wrong;
        }
        requireAll();
        return result;
    }

    /** A single dash is none: it stands for standard input or output. */
    private static boolean isOption(String arg) {
        return arg.length() > 1 && arg.charAt(0) == '-';
    }

    private void operand(String arg) {
        int known = usage.operands.size();
        boolean anyNumber = known > 0 && usage.operands.get(known - 1).repeatable();
        if (result.operands().size() >= known && !anyNumber) {
            refuse(unexpected(arg));
        } else if (arg.isEmpty()) {
            refuse(isMissing(usage.operands.get(Math.min(result.operands().size(), known - 1))));
        } else {
            result.addOperand(arg);
        }
    }

    private void longOption(String arg) {
        int equals = arg.indexOf('=');
        String name = arg.substring(2, equals < 0 ? arg.length() : equals);
        String value = equals < 0 ? null : arg.substring(equals + 1);
        String whole = usage.wholeName(name);
        Option option = whole == null ? null : usage.byName(whole);
        if (option != null) {
            take(option, value);
        } else if (whole == null) {
            refuse(unexpected("--" + name));
        } else if (value != null) {
            refuse(unexpectedValue(value, "--" + whole));
        } else {
            help |= whole.equals("help");
            version |= whole.equals("version");
        }
    }

    /** {@code -ro FILE}, {@code -roFILE}, {@code -ro=FILE}. */
    private void letters(String arg) {
        for (int i = 1; i < arg.length(); i++) {
            char letter = arg.charAt(i);
            Option option = usage.byLetter(letter);
            if (option == null && letter == 'h') {
                help = true;
            } else if (option == null && letter == 'V') {
                version = true;
            } else if (option == null) {
                refuse(unexpected("-" + letter));
                return;
            } else if (option.takesValue()) {
                String rest = arg.substring(i + 1);
                take(option, rest.isEmpty() ? null : rest.startsWith("=") ? rest.substring(1) : rest);
                return;
            } else if (i + 1 < arg.length() && arg.charAt(i + 1) == '=') {
                refuse(unexpectedValue(arg.substring(i + 2), option.display()));
                return;
            } else {
                take(option, null);
            }
        }
    }

    /** {@code attached} is what stood in the same argument, or null. */
    private void take(Option option, String attached) {
        String value = attached;
        if (!option.takesValue() && attached != null) {
            refuse(unexpectedValue(attached, option.display()));
            return;
        }
        if (option.takesValue() && attached == null) {
            if (at == args.length || isOption(args[at])) {
                refuse(isMissing(option));
                return;
            }
            value = args[at++];
        }
        if (value != null && value.isEmpty()) {
            refuse(isMissing(option));
        } else if (result.has(option.name())) {
            refuse(UsageException.withSynopsis(
                    "the argument '" + option.display() + "' cannot be used multiple times", usage.synopsis()));
        } else if (option.choices() != null && !option.choices().contains(value)) {
            refuse(noChoice(option, value));
        } else {
            result.add(option, value);
        }
    }

    private void refuse(UsageException e) {
        if (wrong == null) {
            wrong = e;
        }
    }

    /** Also of an empty value, which a script's unset variable is: as a path it would be the current folder. */
    private static UsageException isMissing(Option option) {
        return UsageException.of("a value is required for '" + option.display() + "' but none was supplied");
    }

    private static UsageException noChoice(Option option, String value) {
        String similar = NearMiss.of(value, option.choices());
        return UsageException.of("invalid value '" + value + "' for '" + option.display() + "'\n  [possible values: "
                + String.join(", ", option.choices()) + "]"
                + (similar == null ? "" : "\n\n  tip: a similar value exists: '" + similar + "'"));
    }

    private UsageException unexpectedValue(String value, String flag) {
        return UsageException.withSynopsis(
                "unexpected value '" + value + "' for '" + flag + "' found; no more were expected", usage.synopsis());
    }

    private UsageException unexpected(String arg) {
        String tip = "";
        String similar = arg.startsWith("--") ? NearMiss.of(arg.substring(2), usage.shownNames()) : null;
        if (similar != null) {
            tip = "\n\n  tip: a similar argument exists: '--" + similar + "'";
        } else if (isOption(arg) && !usage.operands.isEmpty()) {
            tip = "\n\n  tip: to pass '" + arg + "' as a value, use '-- " + arg + "'";
        }
        return UsageException.withSynopsis("unexpected argument '" + arg + "' found" + tip, usage.synopsis());
    }

    private void requireAll() throws UsageException {
        StringBuilder missing = new StringBuilder();
        for (Option option : usage.options) {
            if (option.required() && !result.has(option.name())) {
                missing.append("\n  ").append(option.display());
            }
        }
        for (int i = result.operands().size(); i < usage.operands.size(); i++) {
            if (usage.operands.get(i).required()) {
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
        private static final long serialVersionUID = 1L;

        /** {@code --version} rather than {@code --help}. */
        final boolean version;

        HelpRequest(boolean version) {
            super(null, null, false, false);
            this.version = version;
        }
    }
}
