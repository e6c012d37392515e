// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** picocli's model of a command, for what picocli does best: help text and shell completion. Loaded only for these. */
final class Help {
    private Help() {}

    /** What {@code --help} prints. */
    static String text(Usage usage) {
        return new picocli.CommandLine(model(usage)).getUsageMessage(Ansi.AUTO);
    }

    /** The command as picocli knows commands. */
    static CommandSpec model(Usage usage) {
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
        for (Option operand : usage.operands) {
            spec.addPositional(PositionalParamSpec.builder()
                    .paramLabel("<" + operand.label + ">")
                    .arity(operand.repeatable ? (operand.required ? "1..*" : "0..*") : operand.required ? "1" : "0..1")
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
        builder.description(option.description).required(option.required);
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
