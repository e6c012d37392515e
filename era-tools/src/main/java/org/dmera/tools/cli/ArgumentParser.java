// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.LinkedHashSet;
import java.util.List;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.OverwrittenOptionException;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * Reads a command line with picocli, by the model that {@link PicocliModel} makes of a {@link Usage}.
 *
 * <p>Command lines that {@link PlainArguments} understands don't get that far.
 *
 * <p>What is wrong is worded as the Rust tools' parser words it, because scripts and the peers' own tests look for those
 * texts: this class translates picocli's exceptions.
 */
final class ArgumentParser {
    private ArgumentParser() {}

    /**
     * The arguments from {@code args[from]} on.
     *
     * @throws UsageException when they don't fit
     * @throws HelpRequest for {@code --help} and {@code --version}, whatever else is wrong beside it
     */
    static Arguments parse(Usage usage, String[] args, int from) throws UsageException, HelpRequest {
        Arguments plain = PlainArguments.read(usage, args, from);
        return plain != null ? plain : parseWithPicocli(usage, args, from);
    }

    /** As {@link #parse}, always the long way: for comparison. */
    static Arguments parseWithPicocli(Usage usage, String[] args, int from) throws UsageException, HelpRequest {
        refuseValues(args, from, usage);
        picocli.CommandLine parser = new picocli.CommandLine(PicocliModel.of(usage));
        parser.setExpandAtFiles(false);
        parser.setUnmatchedOptionsAllowedAsOptionParameters(false);
        parser.setAllowOptionsAsOptionParameters(false);
        ParseResult result;
        try {
            result = parser.parseArgs(java.util.Arrays.copyOfRange(args, from, args.length));
        } catch (ParameterException e) {
            refuseHelp(parser.isUsageHelpRequested(), parser.isVersionHelpRequested());
            throw translate(usage, parser, e);
        }
        refuseHelp(result.isUsageHelpRequested(), result.isVersionHelpRequested());
        return arguments(usage, result);
    }

    /** {@code --help=x} is neither a request for help nor anything else; picocli takes the value for granted. */
    private static void refuseValues(String[] args, int from, Usage usage) throws UsageException {
        for (int i = from; i < args.length && !args[i].equals("--"); i++) {
            for (String flag : new String[] {"--help", "--version"}) {
                if (args[i].startsWith(flag + "=")) {
                    throw UsageException.withSynopsis(
                            "unexpected value '" + args[i].substring(flag.length() + 1) + "' for '" + flag
                                    + "' found; no more were expected",
                            usage.synopsis());
                }
            }
        }
    }

    private static void refuseHelp(boolean help, boolean version) throws HelpRequest {
        if (help || version) {
            throw new HelpRequest(!help);
        }
    }

    private static Arguments arguments(Usage usage, ParseResult result) throws UsageException {
        Arguments arguments = new Arguments();
        for (OptionSpec matched : new LinkedHashSet<>(result.matchedOptions())) {
            Option option = usage.byName(PicocliModel.name(matched));
            for (String value : matched.originalStringValues()) {
                if (option.choices != null && !List.of(option.choices).contains(value)) {
                    throw UsageException.of("invalid value '" + value + "' for '" + option.display()
                            + "'\n  [possible values: " + String.join(", ", option.choices) + "]");
                }
                arguments.add(option, option.takesValue() ? value : null);
            }
        }
        // picocli lists an operand that may be repeated once for each time, with all its values each time.
        for (ArgSpec operand : new LinkedHashSet<>(result.matchedPositionals())) {
            for (String value : operand.originalStringValues()) {
                arguments.addOperand(value);
            }
        }
        requireAll(usage, arguments);
        return arguments;
    }

    private static UsageException translate(Usage usage, picocli.CommandLine parser, ParameterException e) {
        if (e instanceof UnmatchedArgumentException unmatched) {
            return unexpected(usage, unmatched.getUnmatched().get(0));
        }
        if (e instanceof OverwrittenOptionException overwritten) {
            return UsageException.withSynopsis(
                    "the argument '" + display(usage, overwritten.getOverwritten()) + "' cannot be used multiple times",
                    usage.synopsis());
        }
        if (e instanceof MissingParameterException missing) {
            return UsageException.of("a value is required for '"
                    + display(usage, missing.getMissing().get(0)) + "' but none was supplied");
        }
        for (String arg : parser.getParseResult().originalArgs()) {
            int equals = arg.indexOf('=');
            Option flag = equals > 2 ? usage.byName(arg.substring(2, equals)) : null;
            if (flag != null && !flag.takesValue() && arg.startsWith("--")) {
                return UsageException.withSynopsis(
                        "unexpected value '" + arg.substring(equals + 1) + "' for '" + flag.display()
                                + "' found; no more were expected",
                        usage.synopsis());
            }
        }
        return UsageException.withSynopsis(e.getMessage(), usage.synopsis());
    }

    private static void requireAll(Usage usage, Arguments arguments) throws UsageException {
        StringBuilder missing = new StringBuilder();
        for (Option option : usage.options) {
            if (option.required && !arguments.has(option.name)) {
                missing.append("\n  ").append(option.display());
            }
        }
        for (int i = arguments.operands().size(); i < usage.operands.size(); i++) {
            if (usage.operands.get(i).required) {
                missing.append("\n  ").append(usage.operands.get(i).display());
            }
        }
        if (missing.length() > 0) {
            throw UsageException.withSynopsis(
                    "the following required arguments were not provided:" + missing, usage.requiredSynopsis());
        }
    }

    private static UsageException unexpected(Usage usage, String arg) {
        int equals = arg.startsWith("--") ? arg.indexOf('=') : -1;
        String name = equals < 0 ? arg : arg.substring(0, equals);
        String tip = "";
        String similar = name.startsWith("--") ? NearMiss.of(name.substring(2), usage.shownNames()) : null;
        if (similar != null) {
            tip = "\n\n  tip: a similar argument exists: '--" + similar + "'";
        } else if (name.startsWith("-") && name.length() > 1 && !usage.operands.isEmpty()) {
            tip = "\n\n  tip: to pass '" + name + "' as a value, use '-- " + name + "'";
        }
        return UsageException.withSynopsis("unexpected argument '" + name + "' found" + tip, usage.synopsis());
    }

    private static String display(Usage usage, ArgSpec arg) {
        return arg instanceof OptionSpec option
                ? usage.byName(PicocliModel.name(option)).display()
                : arg.paramLabel();
    }

    /** {@code --help} or {@code --version} was asked for: no error, but an end to the reading. */
    static final class HelpRequest extends Exception {
        private static final long serialVersionUID = 1L;

        /** {@code --version} rather than {@code --help}. */
        final boolean version;

        private HelpRequest(boolean version) {
            super(null, null, false, false);
            this.version = version;
        }
    }
}
