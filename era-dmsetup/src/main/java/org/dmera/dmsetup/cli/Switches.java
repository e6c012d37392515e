// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.dmera.dmsetup.control.Mangling;
import org.dmera.dmsetup.ioctl.DevNumber;

/**
 * A command line taken apart as getopt_long(3) does: options anywhere among the operands, long ones abbreviated as far as
 * they stay unique, {@code --} ends them. Complaints are getopt's, word for word.
 */
final class Switches {
    /** The highest major and minor of a device, and the highest user and group. */
    private static final long MAX_MAJOR = 4095;

    private static final long MAX_MINOR = DevNumber.MINOR_LIMIT - 1;
    private static final long MAX_ID = 0xffff_fffeL;

    private final Map<Switch, String> given = new EnumMap<>(Switch.class);
    private final List<String> operands = new ArrayList<>();
    private final List<String> allowedClients = new ArrayList<>();
    private int verbosity;

    private Switches() {}

    /** Takes {@code args} apart; complaints begin with {@code program}. */
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
            // An abbreviation that dmsetup takes means here what it means there.
            if (s.longName().startsWith(name)
                    && (matches.isEmpty() || !s.isOurs() || matches.get(0).isOurs())) {
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
        if (s == Switch.NBD_TLS_ALLOW) {
            allowedClients.add(value);
        }
        verbosity += s == Switch.VERBOSE ? 1 : 0;
    }

    boolean has(Switch s) {
        return given.containsKey(s);
    }

    /** The option's argument, or null when it was not given. */
    String value(Switch s) {
        return given.get(s);
    }

    /** The names of every {@code --nbd-tls-allow}, which may be given several times. */
    List<String> allowedClients() {
        return allowedClients;
    }

    /** How often -v was given. */
    int verbosity() {
        return verbosity;
    }

    /** What is left: the command and what it works on. */
    List<String> operands() {
        return operands;
    }

    /** The option's argument, which {@link #check} has found to be a number. */
    int number(Switch s) throws CommandLineException {
        return (int) Numbers.decimal(s.longName(), given.get(s), most(s));
    }

    private static long most(Switch s) {
        return switch (s) {
            case MAJOR -> MAX_MAJOR;
            case MINOR -> MAX_MINOR;
            case UID, GID -> MAX_ID;
            default -> Integer.MAX_VALUE;
        };
    }

    /** The permissions of {@code --mode}. */
    int mode() {
        return Integer.parseInt(value(Switch.MODE), 8);
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
        if (has(Switch.MODE) && !isMode(value(Switch.MODE))) {
            throw new CommandLineException("Invalid argument for --mode: " + value(Switch.MODE) + ". ");
        }
        if (has(Switch.MANGLENAME) && Mangling.Mode.of(value(Switch.MANGLENAME)) == null) {
            throw new CommandLineException("Unknown name mangling mode.");
        }
        if (has(Switch.COUNT) && value(Switch.COUNT).trim().startsWith("-")) {
            throw new CommandLineException("Count must be zero or greater.");
        }
        if (has(Switch.INTERVAL) && isNotPositive(value(Switch.INTERVAL))) {
            throw new CommandLineException("Interval must be a positive integer.");
        }
        for (Switch s :
                new Switch[] {Switch.MAJOR, Switch.MINOR, Switch.UID, Switch.GID, Switch.COUNT, Switch.INTERVAL}) {
            if (has(s)) {
                number(s);
            }
        }
        if (has(Switch.HEADINGS) && has(Switch.NOHEADINGS)) {
            throw new CommandLineException("Only one of --headings and --noheadings permitted.");
        }
        if (has(Switch.HEADINGS)) {
            Report.Headings.of(this);
        }
        if (has(Switch.OPTIONS) && !hasColumns() && !has(Switch.TREE) && !has(Switch.JSON)) {
            DeviceNames.Style.of(this);
        }
        if (has(Switch.READAHEAD)) {
            ReadAhead.parse(value(Switch.READAHEAD));
        }
    }

    private boolean hasColumns() {
        return has(Switch.COLUMNS) || !operands.isEmpty() && operands.get(0).equals("splitname");
    }

    private static boolean isNotPositive(String text) throws CommandLineException {
        return text.trim().startsWith("-") || Numbers.decimal("interval", text, Integer.MAX_VALUE) == 0;
    }

    /** Octal, and no more than mode bits. */
    private static boolean isMode(String text) {
        return text.matches("0*[0-7]{1,4}");
    }
}
