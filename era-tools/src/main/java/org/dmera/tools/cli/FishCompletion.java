// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.ArrayList;
import java.util.List;

/**
 * The script by which fish completes what is typed. fish wants a line for each option of each program, and shows what an
 * option is for beside it; it has its own ways for all that the other shells' script does in functions.
 */
final class FishCompletion {
    private static final String FUNCTIONS = """
            # Completion for the era tools, for fish.

            # __era_operands: what was typed before this word and is neither an option nor the value of one.
            function __era_operands
                set -l value no
                set -l ended no
                for word in (commandline -opc)[2..]
                    if test $value = yes
                        set value no
                    else if test $ended = no; and string match -q -- '-?*' $word
                        test $word = --; and set ended yes
                        contains -- $word @VALUED@
                        and set value yes
                    else
                        echo -- $word
                    end
                end
            end

            # __era_first: whether this word is the first operand.
            function __era_first
                test (count (__era_operands)) -eq 0
            end

            # __era_after WORDS: whether the first operand was one of these.
            function __era_after
                set -l operands (__era_operands)
                test (count $operands) -gt 0; and contains -- $operands[1] $argv
            end

            # __era_devices: those that era-dmsetup lists; the one beside the command that is typed, and by its --control.
            function __era_devices
                set -l words (commandline -opc)
                set -l lister (string replace -r -- '[^/]*$' '' $words[1])era-dmsetup
                set -l control $ERA_CONTROL
                for at in (seq (count $words))
                    if test $words[$at] = --control; and test $at -lt (count $words)
                        set control $words[(math $at + 1)]
                    else if string match -q -- '--control=*' $words[$at]
                        set control (string replace -- --control= '' $words[$at])
                    end
                end
                set -lx ERA_CONTROL $control
                command -sq $lister
                and $lister ls 2>/dev/null | string match -r -- '^[^\\t]+(?=\\t)'
            end
            """;

    private FishCompletion() {}

    static String script(List<Completion.Known> programs) {
        StringBuilder lines = new StringBuilder("\n# The file may be read once for each of the commands.\n");
        List<String> valued = new ArrayList<>();
        for (Completion.Known program : programs) {
            if (program.hasLauncher()) {
                lines.append("complete -c ").append(program.name()).append(" -e\n");
            }
            if (!program.words().isEmpty()) {
                valued.addAll(valued(program));
            }
        }
        for (Completion.Known program : programs) {
            lines.append('\n');
            if (program.hasLauncher()) {
                append(lines, "complete -c " + program.name(), program);
            }
            if (program.isCommand()) {
                String names = String.join(" ", Completion.names(program.name()));
                append(lines, "complete -c era-tools -n '__era_after " + names + "'", program);
            }
        }
        return FUNCTIONS.replace("@VALUED@", String.join(" ", valued)) + lines;
    }

    /** What is followed by a value, where that is not to be taken for an operand. */
    private static List<String> valued(Completion.Known program) {
        List<String> valued = new ArrayList<>();
        for (Completion.Item option : program.options()) {
            if (!option.takes().equals(Completion.NOTHING)) {
                valued.add("--" + option.name());
                if (option.letter() != 0) {
                    valued.add("-" + option.letter());
                }
            }
        }
        return valued;
    }

    private static void append(StringBuilder lines, String command, Completion.Known program) {
        boolean hasWords = !program.words().isEmpty();
        for (Completion.Item option : program.options()) {
            lines.append(command);
            if (option.letter() != 0) {
                lines.append(" -s ").append(option.letter());
            }
            lines.append(" -l ").append(option.name());
            lines.append(
                    switch (option.takes()) {
                        case Completion.NOTHING -> "";
                        case Completion.FILE -> " -r -F";
                        case Completion.ANYTHING -> " -x";
                        case Completion.CHANNEL -> " -r -F -a " + words(option.takes());
                        default -> " -x -a " + words(option.takes());
                    });
            if (!option.description().isEmpty()) {
                lines.append(" -d ").append(quoted(option.description()));
            }
            lines.append('\n');
        }
        if (hasWords) {
            lines.append(command)
                    .append(" -n __era_first -f -a ")
                    .append(quoted(String.join(" ", program.words())))
                    .append('\n');
        }
        if (program.takesDevices()) {
            lines.append(command)
                    .append(hasWords ? " -n 'not __era_first'" : "")
                    .append(" -a '(__era_devices)'\n");
        }
    }

    private static String words(String withCommas) {
        return quoted(withCommas.replace(',', ' '));
    }

    /** Between single quotes, where fish reads only the backslash as a sign. */
    private static String quoted(String text) {
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'";
    }
}
