// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/**
 * picocli's model of a command, for parsing, help and shell completion.
 *
 * <p>To picocli nothing is required: {@link ArgumentParser} looks for what is missing, after everything that was given has
 * been found right. It is built by calls, option by option: scanning annotations would cost more than most of the tools' whole run.
 */
final class PicocliModel {
    private PicocliModel() {}

    /** What {@code --help} prints. */
    static String help(Usage usage) {
        return new picocli.CommandLine(of(usage)).getUsageMessage(Ansi.AUTO);
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

    /** The name under which {@link Usage} knows an option of its model. */
    static String name(OptionSpec option) {
        return option.longestName().substring(2);
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
            if (option.choices != null) {
                builder.completionCandidates(java.util.List.of(option.choices));
            }
        } else {
            builder.arity("0").type(boolean.class);
        }
        return builder.build();
    }
}
