// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.PrintStream;

/**
 * The engine's log: standard error, one line an event. The level comes first as {@code <N>}, which is how journald learns
 * a line's priority from a stream (sd-daemon(3)), unless a person is reading.
 */
public final class EngineLog {
    /** How important a line is, with its syslog priority. */
    public enum Level {
        ERROR(3),
        WARNING(4),
        INFO(6),
        DEBUG(7);

        private final int priority;

        Level(int priority) {
            this.priority = priority;
        }
    }

    private final PrintStream out;
    private final Level limit;
    private final boolean withPriority;

    /**
     * @param limit lines that are less important are dropped
     * @param withPriority whether to write the priority for journald; else the level's name is written
     */
    public EngineLog(PrintStream out, Level limit, boolean withPriority) {
        this.out = out;
        this.limit = limit;
        this.withPriority = withPriority;
    }

    /** A log that says nothing. */
    public static EngineLog silent() {
        return new EngineLog(null, Level.ERROR, false);
    }

    public void error(String line) {
        log(Level.ERROR, line);
    }

    /** An error and, at debug level, its trace. */
    public void error(String line, Throwable cause) {
        error(line + ": " + cause);
        if (isLoggable(Level.DEBUG)) {
            cause.printStackTrace(out);
        }
    }

    public void warn(String line) {
        log(Level.WARNING, line);
    }

    public void info(String line) {
        log(Level.INFO, line);
    }

    public void debug(String line) {
        log(Level.DEBUG, line);
    }

    /** Whether a line of {@code level} would be written. */
    public boolean isLoggable(Level level) {
        return out != null && level.compareTo(limit) <= 0;
    }

    private void log(Level level, String line) {
        if (isLoggable(level)) {
            String oneLine = line.replace('\n', ' ');
            out.println(withPriority ? "<" + level.priority + ">" + oneLine : "era-dmsetup: " + oneLine);
        }
    }
}
