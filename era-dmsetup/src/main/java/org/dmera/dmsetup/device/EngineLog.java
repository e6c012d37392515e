// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.targets.FailureText;

/**
 * The engine's log: standard error, one line an event. What clients and disks say that is no printable character is written
 * as {@code \\xNN}, so that nobody can forge a line. Lines that a client's call leads to begin with who that is.
 *
 * @param limit lines that are less important are dropped
 */
public record EngineLog(PrintStream out, Level limit, Form form) {
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

        /** As {@code --log-level} has it. */
        public String word() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** What a line begins with. */
    public enum Form {
        /** The level as {@code <N>}: journald learns a line's priority so (sd-daemon(3)), and knows the time. */
        JOURNAL,
        /** The time: in a file nobody else notes it. */
        FILE,
        /** Neither. */
        PLAIN;

        private static final Path STANDARD_ERROR = Path.of("/proc/self/fd/2");

        /** What standard error asks for: a file's form for a file, the journal's only where {@code JOURNAL_STREAM} names it. */
        public static Form ofStandardError(Map<String, String> environment) {
            try {
                String device = Files.getAttribute(STANDARD_ERROR, "unix:dev") + ":"
                        + Files.getAttribute(STANDARD_ERROR, "unix:ino");
                if (device.equals(environment.get("JOURNAL_STREAM"))) {
                    return JOURNAL;
                }
                return Files.isRegularFile(STANDARD_ERROR) ? FILE : PLAIN;
            } catch (IOException e) {
                // It is closed: nobody reads it.
                return PLAIN;
            }
        }
    }

    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSxxx");

    /** Whose call this thread is busy with. */
    private static final ThreadLocal<Supplier<String>> CLIENT = new ThreadLocal<>();

    /** From now on this thread's lines, in whatever log, are the client's. The name is asked for when there is a line. */
    public static void serve(Supplier<String> client) {
        CLIENT.set(client);
    }

    /** A log that says nothing. */
    public static EngineLog silent() {
        return new EngineLog(null, Level.ERROR, Form.PLAIN);
    }

    public void error(String line) {
        log(Level.ERROR, line);
    }

    /** An error and, at debug level, its trace. */
    public void error(String line, Throwable cause) {
        error(line + ": " + FailureText.of(cause));
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
            String begin = switch (form) {
                case JOURNAL -> "<" + level.priority + ">";
                case FILE -> TIME.format(OffsetDateTime.now(ZoneId.systemDefault())) + " era-dmsetup: ";
                case PLAIN -> "era-dmsetup: ";
            };
            Supplier<String> client = CLIENT.get();
            out.println(begin + NativeText.printable(client == null ? line : client.get() + ": " + line));
        }
    }
}
