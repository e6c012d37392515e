// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.LinkedHashSet;
import java.util.List;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/**
 * A command line as picocli, which thousands of programs use, takes it: a second opinion on {@link ArgumentParser}. To
 * picocli nothing is required; what is missing is looked for afterwards.
 */
final class PicocliReference {
    private PicocliReference() {}

    /** What {@code --help} prints. */
    static String help(Usage usage) {
        return new picocli.CommandLine(of(usage)).getUsageMessage(Ansi.OFF);
    }

    /**
     * Parses {@code args}.
     *
     * @return what was given, or null when picocli takes it for wrong, or for a request for help
     */
    static Arguments parse(Usage usage, String... args) {
        picocli.CommandLine parser = new picocli.CommandLine(of(usage));
        parser.setExpandAtFiles(false);
        parser.setUnmatchedOptionsAllowedAsOptionParameters(false);
        parser.setAllowOptionsAsOptionParameters(false);
        ParseResult result;
        try {
            result = parser.parseArgs(args);
        } catch (ParameterException e) {
            return null;
        }
        if (result.isUsageHelpRequested() || result.isVersionHelpRequested()) {
            return null;
        }
        Arguments arguments = new Arguments();
        for (OptionSpec matched : new LinkedHashSet<>(result.matchedOptions())) {
            Option option = usage.byName(matched.longestName().substring(2));
            for (String value : matched.originalStringValues()) {
                if (option.choices != null && !List.of(option.choices).contains(value)) {
                    return null;
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
        return isComplete(usage, arguments) ? arguments : null;
    }

    private static boolean isComplete(Usage usage, Arguments arguments) {
        for (Option option : usage.options) {
            if (option.required && !arguments.has(option.name)) {
                return false;
            }
        }
        int given = arguments.operands().size();
        return given >= usage.operands.size() || !usage.operands.get(given).required;
    }

    /** The command as picocli knows commands. */
    static CommandSpec of(Usage usage) {
        CommandSpec spec = CommandSpec.create().name(usage.program);
        spec.usageMessage()
                .description(usage.about)
                .customSynopsis(usage.synopsis())
                .sortOptions(false)
                .width(100)
                .optionListHeading("%nOptions:%n")
                .parameterListHeading("%nArguments:%n");
        if (!usage.footer.isEmpty()) {
            spec.usageMessage().footerHeading("%n").footer(usage.footer.split("\n", -1));
        }
        for (Option option : usage.options) {
            spec.addOption(model(option));
        }
        spec.addOption(OptionSpec.builder("-h", "--help")
                .usageHelp(true)
                .description("Print help")
                .build());
        spec.addOption(OptionSpec.builder("-V", "--version")
                .versionHelp(true)
                .description("Print version")
                .build());
        for (int i = 0; i < usage.operands.size(); i++) {
            Option operand = usage.operands.get(i);
            spec.addPositional(PositionalParamSpec.builder()
                    .index(operand.repeatable ? i + "..*" : Integer.toString(i))
                    .paramLabel(operand.display())
                    .hideParamSyntax(true)
                    .arity(operand.repeatable ? "0..*" : "0..1")
                    .type(operand.repeatable ? java.nio.file.Path[].class : java.nio.file.Path.class)
                    .description(operand.description)
                    .build());
        }
        return spec;
    }

    private static OptionSpec model(Option option) {
        String name = "--" + option.name;
        OptionSpec.Builder builder =
                option.letter == 0 ? OptionSpec.builder(name) : OptionSpec.builder("-" + option.letter, name);
        builder.description(option.description).hidden(option.hidden);
        if (option.takesValue()) {
            builder.arity("1").paramLabel("<" + option.label + ">");
            boolean isFile = option.label.equals("FILE") || option.label.equals("DEV");
            Class<?> type = isFile ? java.nio.file.Path.class : String.class;
            builder.type(option.repeatable ? type.arrayType() : type);
        } else {
            builder.arity("0").type(boolean.class);
        }
        return builder.build();
    }
}
