// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.LinkedHashSet;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/**
 * A command line as picocli, which thousands of programs use, takes it: a second opinion on {@link ArgumentParser}. To
 * picocli nothing is required; what is missing is looked for afterwards.
 */
final class PicocliReference {
    private PicocliReference() {}

    /**
     * Parses {@code args}.
     *
     * @return what was given, or null when picocli takes it for wrong, or for a request for help
     */
    static Arguments parse(Usage usage, String... args) {
        picocli.CommandLine parser = new picocli.CommandLine(HelpPages.spec(usage));
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
                if (option.choices() != null && !option.choices().contains(value)) {
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
            if (option.required() && !arguments.has(option.name())) {
                return false;
            }
        }
        int given = arguments.operands().size();
        return given >= usage.operands.size() || !usage.operands.get(given).required();
    }
}
