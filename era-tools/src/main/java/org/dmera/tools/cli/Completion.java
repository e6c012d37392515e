// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;

/**
 * The scripts by which shells complete what is typed, made of the same tables by which command lines are read. The one for
 * bash is here; zsh runs it with its own bashcompinit. fish has one of its own ({@link FishCompletion}).
 *
 * <p>To the script for bash a program is a line of words, one for each option: {@code --quiet} takes no value, {@code --output=} a
 * file, {@code --format=xml,json} one of these, {@code --level=#} what can't be guessed.
 */
public final class Completion {
    private static final String FUNCTIONS = """
            # Completion for the era tools, for bash; in zsh it needs bashcompinit, which is loaded here.
            if [ -n "${ZSH_VERSION-}" ]; then
              autoload -U +X compinit && autoload -U +X bashcompinit && bashcompinit
            fi

            # _era_value OPTION: sets takes to what the option takes, or to - for one that takes nothing, or that there is not.
            _era_value() {
              local word
              takes=-
              for word in $known; do
                case $word in "$1="*) takes=${word#*=} ;; esac
              done
            }

            # _era_fit WORDS: those that begin with what was typed.
            _era_fit() {
              local word
              for word in $1; do
                case $word in "$typed"*) COMPREPLY+=("$prefix$word") ;; esac
              done
            }

            _era_complete() {
              if [ -n "${ZSH_VERSION-}" ]; then setopt localoptions ksharrays shwordsplit nullglob; fi
              # Not called options and words: zsh has variables of its own by these names.
              local program=${COMP_WORDS[0]##*/} folder=${COMP_WORDS[0]%"${COMP_WORDS[0]##*/}"} typed=${COMP_WORDS[COMP_CWORD]} prefix= before= control= seen=0 ended=
              local known= operands= devices= takes=- word at=1
              COMPREPLY=()
              if [ "$program" = era-tools ] && [ "$COMP_CWORD" -gt 1 ]; then
                program=${COMP_WORDS[1]} at=2
              fi
              _era_program "$program"

              # What came before: whether operands were among it, or the end of options.
              while [ "$at" -lt "$COMP_CWORD" ]; do
                word=${COMP_WORDS[at]}
                _era_value "$word"
                case $word in
                  =) ;;
                  --) [ -n "$ended" ] || ended=1 ;;
                  --control=*) control=${word#*=} ;;
                  -?*)
                    if [ "$takes" != - ]; then
                      if [ "${COMP_WORDS[at+1]-}" = = ]; then at=$((at + 1)); fi
                      if [ "$word" = --control ]; then control=${COMP_WORDS[at+1]-}; fi
                      at=$((at + 1))
                      if [ "$at" -ge "$COMP_CWORD" ]; then before=$word; fi
                    fi
                    ;;
                  *) seen=$((seen + 1)) ;;
                esac
                at=$((at + 1))
              done

              # bash takes --format=js apart at the sign, zsh does not.
              case $typed in
                =) typed= ;;
                --*=*) if [ -z "$ended" ]; then before=${typed%%=*} prefix=${typed%%=*}= typed=${typed#*=}; fi ;;
              esac
              if [ -n "$before" ] && [ -z "$ended" ]; then
                _era_value "$before"
                case $takes in
                  '') if [ -n "$prefix" ]; then for word in "$typed"*; do [ -e "$word" ] && COMPREPLY+=("$prefix$word"); done; fi ;;
                  '#') compopt +o default 2>/dev/null ;;
                  *) _era_fit "${takes//,/ }" ;;
                esac
                return 0
              fi
              if [ -z "$ended" ] && [ "${typed#-}" != "$typed" ]; then
                for word in $known; do
                  case ${word%%=*} in "$typed"*) COMPREPLY+=("${word%%=*}") ;; esac
                done
              elif [ "$seen" -eq 0 ] && [ -n "$operands" ]; then
                _era_fit "$operands"
              elif [ -n "$devices" ]; then
                _era_fit "$(ERA_CONTROL=${control:-${ERA_CONTROL-}} "${folder}era-dmsetup" ls 2>/dev/null | cut -s -f 1)"
              fi
            }
            """;

    /** What an option takes: nothing; */
    public static final String NOTHING = "-";
    /** the name of a file; */
    public static final String FILE = "";
    /** what can't be guessed; */
    public static final String ANYTHING = "#";
    /** one of these words, or the path of a socket. Any others with commas between: one of those. */
    public static final String CHANNEL = "kernel,engine";

    private static final List<Item> FOR_EVERYTHING =
            List.of(new Item('h', "help", NOTHING, "Print help"), new Item('V', "version", NOTHING, "Print version"));

    private Completion() {}

    /**
     * An option.
     *
     * @param letter its short form, or NUL
     * @param takes {@link #NOTHING}, {@link #FILE}, {@link #ANYTHING}, {@link #CHANNEL} or words with commas between
     * @param description one line, or nothing
     */
    public record Item(char letter, String name, String takes, String description) {}

    /** A program of another module, found by {@link ServiceLoader}. */
    public interface Program {
        /** What users type. */
        String name();

        List<Item> options();

        /** What the first operand may be. */
        List<String> words();

        /** Whether operands are mapped devices. */
        boolean takesDevices();
    }

    /**
     * All that is to be known of a program, or of a command of era-tools, which has no launcher unless its name begins as
     * theirs do.
     *
     * @param isCommand whether era-tools has it as a command
     */
    public record Known(String name, List<Item> options, List<String> words, boolean takesDevices, boolean isCommand) {
        /** A program whose first operand is one of {@code commands}. */
        public static Known ofCommands(String name, List<String> commands) {
            return new Known(name, FOR_EVERYTHING, commands, false, false);
        }

        /** A command of era-tools. */
        public static Known ofCommand(String name, Usage usage) {
            return new Known(name, items(usage), List.of(), false, true);
        }

        /** Another program. */
        public static Known ofProgram(String name, Usage usage, boolean takesDevices) {
            return new Known(name, items(usage), List.of(), takesDevices, false);
        }

        boolean hasLauncher() {
            return !isCommand || name.startsWith("era_");
        }
    }

    /**
     * The script for {@code shell}, or null when there is none for it: of {@code programs}, and of those that other modules
     * provide.
     */
    public static String script(String shell, List<Known> programs) {
        List<Known> all = new ArrayList<>(programs);
        for (Program program : ServiceLoader.load(Program.class)) {
            all.add(new Known(program.name(), program.options(), program.words(), program.takesDevices(), false));
        }
        return switch (shell) {
            case "bash", "zsh" -> script(all);
            case "fish" -> FishCompletion.script(all);
            default -> null;
        };
    }

    private static String script(List<Known> programs) {
        StringBuilder cases = new StringBuilder();
        List<String> launchers = new ArrayList<>();
        for (Known program : programs) {
            cases.append(entry(program));
            if (program.hasLauncher()) {
                launchers.add(program.name());
            }
        }
        return FUNCTIONS + "\n# _era_program NAME: sets what is to know of a program.\n_era_program() {\n  case $1 in\n"
                + cases + "  esac\n}\n\ncomplete -o default -F _era_complete " + String.join(" ", launchers) + "\n";
    }

    /** The name and the short name, if it has one, as a command of era-tools. */
    static List<String> names(String name) {
        return name.startsWith("era_") ? List.of(name, name.substring("era_".length())) : List.of(name);
    }

    private static String entry(Known program) {
        List<String> words = new ArrayList<>();
        for (Item option : program.options()) {
            String takes = option.takes().equals(NOTHING) ? "" : "=" + option.takes();
            if (option.letter() != 0) {
                words.add("-" + option.letter() + takes);
            }
            words.add("--" + option.name() + takes);
        }
        StringBuilder entry = new StringBuilder("    ")
                .append(String.join("|", names(program.name())))
                .append(")\n");
        entry.append("      known='").append(String.join(" ", words)).append("'\n");
        if (!program.words().isEmpty()) {
            entry.append("      operands='")
                    .append(String.join(" ", program.words()))
                    .append("'\n");
        }
        if (program.takesDevices()) {
            entry.append("      devices=1\n");
        }
        return entry.append("      ;;\n").toString();
    }

    private static List<Item> items(Usage usage) {
        List<Item> items = new ArrayList<>();
        for (Option option : usage.options) {
            if (!option.hidden()) {
                items.add(new Item(option.letter(), option.name(), takes(option), option.description()));
            }
        }
        items.addAll(FOR_EVERYTHING);
        return items;
    }

    private static String takes(Option option) {
        if (!option.takesValue()) {
            return NOTHING;
        }
        if (option.choices() != null) {
            return String.join(",", option.choices());
        }
        return switch (option.label()) {
            case "FILE", "DEV", "DIR", "STREAM", "PATH" -> FILE;
            case "CHANNEL" -> CHANNEL;
            default -> ANYTHING;
        };
    }
}
