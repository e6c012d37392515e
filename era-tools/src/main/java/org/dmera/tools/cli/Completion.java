// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import org.dmera.tools.Command;
import org.dmera.tools.Commands;
import org.dmera.tools.backup.BackupUsage;
import org.dmera.tools.backup.ServeUsage;

/**
 * The script by which bash completes what is typed, made of the same tables by which command lines are read. zsh runs it
 * with its own bashcompinit.
 *
 * <p>To the script a program is a line of words, one for each option: {@code --quiet} takes no value, {@code --output=} a
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

    private Completion() {}

    /** A program of another module, found by {@link ServiceLoader}. */
    public interface Program {
        /** What users type. */
        String name();

        /** Its options, in the script's form: {@code --quiet}, {@code -o=}, {@code --output=}, {@code --format=xml,json}. */
        List<String> options();

        /** What the first operand may be. */
        List<String> words();

        /** Whether operands are mapped devices. */
        boolean takesDevices();
    }

    /** The script for all programs: those with a launcher of their own, and era-tools with all as its commands. */
    public static String script() {
        StringBuilder cases = new StringBuilder();
        List<String> programs = new ArrayList<>(List.of("era-tools"));
        cases.append(entry("era-tools", List.of("-h", "--help", "-V", "--version"), Commands.names(), false));
        for (String name : Commands.names()) {
            Command command = Commands.find(name);
            cases.append(entry(name, options(command.usage()), List.of(), false));
            if (name.startsWith("era_")) {
                programs.add(name);
            }
        }
        cases.append(entry("era_backup", options(BackupUsage.usage()), List.of(), true));
        cases.append(entry("era_serve", options(ServeUsage.usage()), List.of(), false));
        programs.addAll(List.of("era_backup", "era_serve"));
        for (Program program : ServiceLoader.load(Program.class)) {
            cases.append(entry(program.name(), program.options(), program.words(), program.takesDevices()));
            programs.add(program.name());
        }
        return FUNCTIONS + "\n# _era_program NAME: sets what is to know of a program.\n_era_program() {\n  case $1 in\n"
                + cases + "  esac\n}\n\ncomplete -o default -F _era_complete " + String.join(" ", programs) + "\n";
    }

    private static String entry(String name, List<String> options, List<String> words, boolean devices) {
        String pattern = name.startsWith("era_") ? name + "|" + name.substring("era_".length()) : name;
        StringBuilder entry = new StringBuilder("    ").append(pattern).append(")\n");
        entry.append("      known='").append(String.join(" ", options)).append("'\n");
        if (!words.isEmpty()) {
            entry.append("      operands='").append(String.join(" ", words)).append("'\n");
        }
        if (devices) {
            entry.append("      devices=1\n");
        }
        return entry.append("      ;;\n").toString();
    }

    private static List<String> options(Usage usage) {
        List<String> options = new ArrayList<>();
        for (Option option : usage.options) {
            if (!option.hidden) {
                String takes = takes(option);
                if (option.letter != 0) {
                    options.add("-" + option.letter + takes);
                }
                options.add("--" + option.name + takes);
            }
        }
        options.addAll(List.of("-h", "--help", "-V", "--version"));
        return options;
    }

    private static String takes(Option option) {
        if (!option.takesValue()) {
            return "";
        }
        if (option.choices != null) {
            return "=" + String.join(",", option.choices);
        }
        return switch (option.label) {
            case "FILE", "DEV", "DIR", "STREAM", "PATH" -> "=";
            case "CHANNEL" -> "=kernel,engine";
            default -> "=#";
        };
    }
}
