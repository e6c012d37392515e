// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Help.Column;
import picocli.CommandLine.Help.Column.Overflow;
import picocli.CommandLine.Help.Layout;
import picocli.CommandLine.Help.TextTable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.Model.UsageMessageSpec;

/**
 * Makes the texts that {@link HelpText} prints, by picocli, of the tables by which command lines are read. The build runs it;
 * neither this class nor picocli is part of what is installed.
 */
public final class HelpPages {
    /** Of a line. */
    public static final int WIDTH = 100;
    /** A longer name doesn't push the descriptions of all others to the right: its own begins below it. */
    private static final int MAX_CHARS_BESIDE = 22;

    private HelpPages() {}

    /** Writes texts, by their files' names, where {@link HelpText#read} looks for those of {@code neighbour}. */
    public static void write(String classes, Class<?> neighbour, Map<String, String> pages) throws IOException {
        Path folder = Path.of(classes, neighbour.getPackageName().replace('.', '/'), HelpText.FOLDER);
        Files.createDirectories(folder);
        for (Map.Entry<String, String> page : pages.entrySet()) {
            Files.writeString(folder.resolve(page.getKey()), page.getValue(), StandardCharsets.UTF_8);
        }
    }

    /** The help of {@code usage}, lines of at most 100 characters as far as words allow. */
    public static String of(Usage usage) {
        return render(spec(usage));
    }

    /** What picocli prints for {@code spec}, without blanks at the ends of lines. */
    public static String render(CommandSpec spec) {
        StringBuilder text = new StringBuilder();
        String message = new picocli.CommandLine(spec).getUsageMessage(Ansi.OFF);
        for (String line : message.replace(System.lineSeparator(), "\n").split("\n", -1)) {
            text.append(line.stripTrailing()).append('\n');
        }
        return text.toString().stripTrailing() + "\n";
    }

    /** {@code text} for picocli, which takes it for a format. */
    public static String plain(String text) {
        return text.replace("%", "%%");
    }

    /** The command as picocli knows commands. To picocli nothing is required. */
    public static CommandSpec spec(Usage usage) {
        CommandSpec spec = CommandSpec.create().name(usage.program);
        int longest = longestBeside(usage);
        spec.usageMessage()
                .description(plain(usage.about))
                .customSynopsis(usage.synopsis())
                .sortOptions(false)
                .width(WIDTH)
                .optionListHeading("%nOptions:%n")
                .parameterListHeading("%nArguments:%n")
                .commandListHeading("%nCommands:%n");
        spec.usageMessage()
                .sectionMap()
                .put(
                        UsageMessageSpec.SECTION_KEY_PARAMETER_LIST,
                        help -> help.parameterList(layout(help, longest), help.parameterLabelRenderer()));
        spec.usageMessage()
                .sectionMap()
                .put(
                        UsageMessageSpec.SECTION_KEY_OPTION_LIST,
                        help -> help.optionList(layout(help, longest), null, help.parameterLabelRenderer()));
        if (!usage.footer.isEmpty()) {
            spec.usageMessage().footerHeading("%n").footer(plain(usage.footer).split("\n", -1));
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
            spec.addPositional(model(usage.operands.get(i), i));
        }
        return spec;
    }

    /** Descriptions begin two blanks after the longest name. By default it is one, or the widest column if one name is too long. */
    private static Layout layout(Help help, int longest) {
        TextTable table = TextTable.forColumns(
                help.colorScheme(),
                new Column(2, 0, Overflow.TRUNCATE),
                new Column(2, 0, Overflow.TRUNCATE),
                new Column(1, 0, Overflow.TRUNCATE),
                new Column(1 + longest + 1, 1, Overflow.SPAN),
                new Column(WIDTH - 7 - longest, 1, Overflow.WRAP));
        table.indentWrappedLines = 0;
        return new Layout(help.colorScheme(), table);
    }

    private static int longestBeside(Usage usage) {
        int longest = "--version".length();
        for (Option option : usage.options) {
            longest = Math.max(longest, option.hidden() ? 0 : fitting(names(option)));
        }
        for (Option operand : usage.operands) {
            longest = Math.max(longest, fitting(operand.display()));
        }
        return longest;
    }

    private static String names(Option option) {
        return "--" + option.name() + (option.takesValue() ? "=<" + option.label() + ">" : "");
    }

    private static int fitting(String name) {
        return name.length() > MAX_CHARS_BESIDE ? 0 : name.length();
    }

    private static OptionSpec model(Option option) {
        String name = "--" + option.name();
        OptionSpec.Builder builder =
                option.letter() == 0 ? OptionSpec.builder(name) : OptionSpec.builder("-" + option.letter(), name);
        builder.description(plain(option.description())).hidden(option.hidden());
        if (option.takesValue()) {
            builder.arity("1").type(String.class).paramLabel("<" + option.label() + ">");
        } else {
            builder.arity("0").type(boolean.class);
        }
        return builder.build();
    }

    private static PositionalParamSpec model(Option operand, int index) {
        return PositionalParamSpec.builder()
                .index(operand.repeatable() ? index + "..*" : Integer.toString(index))
                .paramLabel(operand.display())
                .hideParamSyntax(true)
                .arity(operand.repeatable() ? "0..*" : "0..1")
                .type(operand.repeatable() ? String[].class : String.class)
                .description(plain(operand.description()))
                .build();
    }
}
