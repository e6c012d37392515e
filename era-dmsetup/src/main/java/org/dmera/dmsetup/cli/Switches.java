// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * A command line taken apart as getopt_long(3) does: options anywhere among the operands, long ones abbreviated as far as
 * they stay unique, {@code --} ends them. Complaints are getopt's, word for word.
 */
final class Switches {
    private final Map<Switch, String> given = new EnumMap<>(Switch.class);
    private final List<String> operands = new ArrayList<>();
    private int verbosity;

    private Switches() {}

    /**
     * Takes {@code args} apart.
     *
     * @param program the name that complaints begin with
     */
    static Switches parse(String program, List<String> args) throws CommandLineException {
        Switches switches = new Switches();
        for (int i = 0; i < args.size(); i++) {
            String arg = args.get(i);
            if (arg.equals("--")) {
                switches.operands.addAll(args.subList(i + 1, args.size()));
                break;
            }
            if (arg.startsWith("--")) {
                i = switches.parseLong(program, args, i);
            } else if (arg.startsWith("-") && arg.length() > 1) {
                i = switches.parseLetters(program, args, i);
            } else {
                switches.operands.add(arg);
            }
        }
        return switches;
    }

    private int parseLong(String program, List<String> args, int at) throws CommandLineException {
        String arg = args.get(at);
        int equals = arg.indexOf('=');
        String name = arg.substring(2, equals < 0 ? arg.length() : equals);
        Switch s = find(program, name);
        if (!s.hasValue()) {
            if (equals >= 0) {
                throw new CommandLineException(program + ": option '--" + s.longName() + "' doesn't allow an argument");
            }
            put(s, "");
            return at;
        }
        if (equals >= 0) {
            put(s, arg.substring(equals + 1));
            return at;
        }
        if (at + 1 == args.size()) {
            throw new CommandLineException(program + ": option '--" + s.longName() + "' requires an argument");
        }
        put(s, args.get(at + 1));
        return at + 1;
    }

    private static Switch find(String program, String name) throws CommandLineException {
        List<Switch> matches = new ArrayList<>();
        for (Switch s : Switch.values()) {
            if (s.longName().equals(name)) {
                return s;
            }
            if (s.longName().startsWith(name)) {
                matches.add(s);
            }
        }
        if (matches.isEmpty()) {
            throw new CommandLineException(program + ": unrecognized option '--" + name + "'");
        }
        if (matches.size() > 1) {
            StringBuilder all = new StringBuilder();
            for (Switch s : matches) {
                all.append(" '--").append(s.longName()).append('\'');
            }
            throw new CommandLineException(program + ": option '--" + name + "' is ambiguous; possibilities:" + all);
        }
        return matches.get(0);
    }

    private int parseLetters(String program, List<String> args, int at) throws CommandLineException {
        String arg = args.get(at);
        for (int i = 1; i < arg.length(); i++) {
            Switch s = Switch.ofLetter(arg.charAt(i));
            if (s == null) {
                throw new CommandLineException(program + ": invalid option -- '" + arg.charAt(i) + "'");
            }
            if (!s.hasValue()) {
                put(s, "");
                continue;
            }
            if (i + 1 < arg.length()) {
                put(s, arg.substring(i + 1));
                return at;
            }
            if (at + 1 == args.size()) {
                throw new CommandLineException(program + ": option requires an argument -- '" + arg.charAt(i) + "'");
            }
            put(s, args.get(at + 1));
            return at + 1;
        }
        return at;
    }

    private void put(Switch s, String value) {
        given.put(s, value);
        verbosity += s == Switch.VERBOSE ? 1 : 0;
    }

    boolean has(Switch s) {
        return given.containsKey(s);
    }

    /** The option's argument, or null when it was not given. */
    String value(Switch s) {
        return given.get(s);
    }

    /** How often -v was given. */
    int verbosity() {
        return verbosity;
    }

    /** What is left: the command and what it works on. */
    List<String> operands() {
        return operands;
    }

    /** The option's argument as C's atoi(3) reads it. */
    int number(Switch s) {
        String text = given.get(s).trim();
        int end = text.startsWith("-") || text.startsWith("+") ? 1 : 0;
        while (end < text.length() && Character.isDigit(text.charAt(end))) {
            end++;
        }
        try {
            return Integer.parseInt(text.substring(0, end));
        } catch (NumberFormatException e) {
            return 0;
        }
    }

    /** The combinations that dmsetup refuses before it looks at the command. */
    void check() throws CommandLineException {
        if (has(Switch.MAJOR) != has(Switch.MINOR)) {
            throw new CommandLineException("Please specify both major number and minor number.");
        }
        if (has(Switch.TABLE) && has(Switch.NOTABLE)) {
            throw new CommandLineException("--table and --notable are incompatible.");
        }
        if (has(Switch.ADDNODEONRESUME) && has(Switch.ADDNODEONCREATE)) {
            throw new CommandLineException("--addnodeonresume and --addnodeoncreate are incompatible.");
        }
        if (has(Switch.MODE) && !isOctal(value(Switch.MODE))) {
            throw new CommandLineException("Invalid argument for --mode: " + value(Switch.MODE) + ". ");
        }
        if (has(Switch.MANGLENAME)) {
            Mangling.Mode.of(value(Switch.MANGLENAME));
        }
        if (has(Switch.COUNT) && number(Switch.COUNT) < 0) {
            throw new CommandLineException("Count must be zero or greater.");
        }
        if (has(Switch.INTERVAL) && number(Switch.INTERVAL) <= 0) {
            throw new CommandLineException("Interval must be a positive integer.");
        }
        if (has(Switch.SELECT)) {
            throw new CommandLineException("--select is not supported.");
        }
    }

    private static boolean isOctal(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) < '0' || text.charAt(i) > '7') {
                return false;
            }
        }
        return !text.isEmpty();
    }
}
