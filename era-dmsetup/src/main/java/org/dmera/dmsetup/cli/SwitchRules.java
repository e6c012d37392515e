// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.util.Set;

/**
 * Options that would change nothing, though who gives them means something by it, are refused. As in dmsetup, an option of
 * dmsetup's may stand with a command that has no use for it.
 */
final class SwitchRules {
    private static final Set<String> WITH_TARGETS = Set.of("ls", "status", "table");
    /** Those that only ask. */
    private static final Set<String> REPEATED =
            Set.of("status", "table", "info", "ls", "deps", "targets", "target-version", "version", "measure");

    private static final Set<String> WITH_JSON =
            Set.of("ls", "info", "status", "table", "checkpoint", "freeze", "monitor");

    private static final String FOR_DMSTATS = "is for dmstats, which there is none of here";

    private SwitchRules() {}

    /** Those of our own for which nothing can be said of a device's table or node: activate makes them as eratab(5) has them. */
    private static final Set<String> WITHOUT_DEVICE_OPTIONS =
            Set.of("activate", "attach", "deactivate", "detach", "engine", "freeze", "rollback", "thaw");

    /** Refuses the first option that {@code command}, which there is, would not act on. */
    static void check(Switches switches, String command) throws CommandLineException {
        for (Switch s : Switch.values()) {
            if (!switches.has(s)) {
                continue;
            }
            String why = s.isOurs() && s.hasValue() && switches.value(s).isEmpty()
                    ? "needs a value" // An unset variable of a script: as a path it would be the current folder.
                    : refusal(s, command, switches);
            if (why != null) {
                throw new CommandLineException("--" + s.longName() + " " + why + ".");
            }
        }
    }

    /** Why the option is refused; null when the command acts on it. */
    private static String refusal(Switch s, String command, Switches given) {
        return switch (s) {
            case ALIAS, ALLDEVICES, ALLPROGRAMS, ALLREGIONS, AREAS, AREASIZE, BOUNDS, CLEAR, FILEMAP -> FOR_DMSTATS;
            case FOLLOW, GROUPID, HISTOGRAM, LENGTH, NOGROUP, NOMONITOR, NOSUFFIX, NOTIMESUFFIX, PRECISE -> FOR_DMSTATS;
            case PROGRAMID, REGIONID, REGIONS, RELATIVE, SEGMENTS, START, UNITS, USERDATA -> FOR_DMSTATS;
            case SELECT -> "is not supported";
            case UDEVCOOKIE -> "is not supported: nodes are waited for without a cookie";
            // Of nodes that udev did not make we always make sure; prompts there are none.
            case VERIFYUDEV, YES -> null;
            case HELP, VERSION, VERBOSE, CONTROL, MANGLENAME -> null;
            case CHECKS, FORCE, INACTIVE, NOFLUSH, NOLOCKFS, NOOPENCOUNT, NOUDEVRULES, NOUDEVSYNC, RETRY -> null;
            case ADDNODEONCREATE, ADDNODEONRESUME, DEFERRED, MAJOR, MINOR, NOTABLE -> null;
            case SETUUID, SHOWKEYS, TABLE, UUID -> null;
            case READAHEAD -> only(command.equals("attach") || !WITHOUT_DEVICE_OPTIONS.contains(command), command);
            case READONLY -> only(!WITHOUT_DEVICE_OPTIONS.contains(command), command);
            // The node of an engine's device goes to somebody else after it, with the owner that it has then.
            case GID, MODE, UID ->
                given.has(Switch.ATTACH)
                        ? "has no effect on --attach"
                        : only(!WITHOUT_DEVICE_OPTIONS.contains(command), command);
            case COLUMNS, HEADINGS, NAMEPREFIXES, NOHEADINGS, ROWS, SEPARATOR, SORT, UNBUFFERED, UNQUOTED -> null;
            case OPTIONS -> command.equals("info") && given.has(Switch.JSON) ? "has no effect on --json" : null;
            case COUNT, INTERVAL -> only(repeats(command, given), command);
            case EXEC ->
                given.has(Switch.TREE) || given.has(Switch.JSON) || given.has(Switch.CONCISE)
                        ? "has no effect on --tree, --json and --concise"
                        : only(WITH_TARGETS.contains(command), command);
            case TARGET ->
                given.has(Switch.TREE) ? "has no effect on --tree" : only(WITH_TARGETS.contains(command), command);
            case TREE -> only(command.equals("ls"), command);
            case CONCISE -> only(command.equals("create") || command.equals("table"), command);
            case JSON ->
                given.has(Switch.TREE) || given.has(Switch.CONCISE)
                        ? "has no effect on --tree and --concise"
                        : only(WITH_JSON.contains(command), command);
            case ATTACH ->
                given.has(Switch.CONCISE) ? "has no effect on --concise" : only(command.equals("create"), command);
            case ALL -> only(command.equals("activate") || command.equals("deactivate"), command);
            case ENROLL ->
                given.has(Switch.CONCISE) ? "has no effect on --concise" : only(command.equals("create"), command);
            case ERATAB ->
                only(
                        command.equals("activate")
                                || command.equals("deactivate")
                                || command.equals("create") && given.has(Switch.ENROLL),
                        command);
            case DETACH -> only(command.equals("engine"), command);
            case COW -> only(command.equals("freeze"), command);
            case DRY_RUN, SINCE -> only(command.equals("rollback"), command);
            case STATE -> only(Set.of("engine", "create", "rollback").contains(command), command);
            case LOG_LEVEL, NBD, NBD_PLAIN, NBD_TLS, NBD_TLS_ALLOW ->
                // Who creates a device may start the engine.
                only(command.equals("engine") || command.equals("create"), command);
        };
    }

    /** Whether the whole command is run again and again by {@code --count} and {@code --interval}. */
    static boolean repeatsWhole(String command, Switches given) {
        boolean report = command.equals("info") && given.has(Switch.COLUMNS);
        return REPEATED.contains(command)
                && !report
                && !given.has(Switch.JSON)
                && (given.has(Switch.COUNT) || given.has(Switch.INTERVAL));
    }

    private static boolean repeats(String command, Switches given) {
        boolean report = command.equals("info") && given.has(Switch.COLUMNS) && !given.has(Switch.JSON);
        return report || repeatsWhole(command, given) || command.equals("splitname") || command.equals("monitor");
    }

    private static String only(boolean acted, String command) {
        return acted ? null : "has no effect on " + command;
    }
}
