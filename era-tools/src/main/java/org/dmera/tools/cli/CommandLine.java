// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.util.concurrent.locks.LockSupport;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.InUseException;
import org.dmera.core.linux.NativeText;

/**
 * Runs a command and turns whatever happens into an exit code and at most one message: 0 fine, 1 errors found or the
 * command failed. No stack trace is shown unless the environment has {@code ERA_DEBUG}.
 */
public final class CommandLine {
    private static final String SNAPSHOT_HINT =
            ". To read the metadata snapshot of a live device, use --metadata-snapshot";

    private CommandLine() {}

    /** Runs {@code command} with {@code args[from]} and what follows, on the process's own streams. */
    public static int run(Command command, String[] args, int from) {
        Usage usage = command.usage();
        return run(command, args, from, Console.ofProcess(usage.program, asksForQuiet(usage, args, from)));
    }

    /**
     * Ends the process, without its shutdown hooks: newer JVMs look for a logger to tell of an orderly exit, which takes
     * 100 ms. A command that has a hook must exit in the orderly way. Where a signal ends the process, whose hooks made the
     * command fail, the exit code is the signal's.
     */
    public static void leave(int code) {
        System.out.flush();
        System.err.flush();
        while (isEnding()) {
            Thread.interrupted();
            LockSupport.park();
        }
        Runtime.getRuntime().halt(code);
    }

    private static boolean isEnding() {
        try {
            return Runtime.getRuntime().removeShutdownHook(Thread.currentThread());
        } catch (IllegalStateException e) {
            return true;
        }
    }

    /** As {@link #run(Command, String[], int)}, on streams of the caller's. */
    public static int run(Command command, String[] args, InputStream in, OutputStream out, PrintStream err) {
        Usage usage = command.usage();
        return run(command, args, 0, Console.of(usage.program, in, out, err, asksForQuiet(usage, args, 0)));
    }

    private static int run(Command command, String[] args, int from, Console console) {
        Usage usage = command.usage();
        try {
            for (String arg : args) {
                NativeText.requireSayable(arg);
            }
            return command.run(ArgumentParser.parse(usage, args, from), console);
        } catch (ArgumentParser.HelpRequest request) {
            return help(usage, request, console);
        } catch (UsageException e) {
            console.raw(e.getMessage());
        } catch (Arguments.InvalidValueException e) {
            console.raw(UsageException.of("invalid value '" + e.value + "' for '"
                            + usage.byName(e.option).display() + "': " + e.reason)
                    .getMessage());
        } catch (InUseException e) {
            boolean otherwise = e.wasToBeRead() && usage.byName("metadata-snapshot") != null;
            return report(otherwise ? new IOException(e.getMessage() + SNAPSHOT_HINT, e) : e, console);
        } catch (Throwable t) {
            return report(t, console);
        }
        return 1;
    }

    /** Says what ended a command, on one line; returns the exit code. */
    static int report(Throwable t, Console console) {
        Throwable cause = t instanceof java.io.UncheckedIOException ? t.getCause() : t;
        for (Throwable reason = t; reason != null; reason = reason.getCause()) {
            // Whatever library it came through.
            if (reason instanceof Console.ClosedPipeException) {
                return 1;
            }
        }
        if (System.getenv("ERA_DEBUG") != null) {
            console.trace(t);
        }
        if (cause instanceof IOException failure) {
            console.error(message(failure));
        } else if (cause instanceof OutOfMemoryError) {
            console.error("out of memory: " + oneLine(String.valueOf(cause.getMessage()))
                    + "; ERA_JAVA_OPTS=-Xmx4g lets Java take 4 GiB, say");
        } else if (cause instanceof NoClassDefFoundError || cause instanceof UnsatisfiedLinkError) {
            console.error(
                    "couldn't load a part of the program or of Java: " + oneLine(String.valueOf(cause.getMessage()))
                            + "; a file of theirs is missing, or can't be read, or too many are open (ulimit -n)");
        } else {
            console.error("internal error: " + oneLine(t.toString())
                    + " (run it again with ERA_DEBUG=1 to see where, and report it)");
        }
        return 1;
    }

    private static String message(IOException e) {
        if (e instanceof FileSystemException file && file.getReason() == null && FileErrors.reason(file) != null) {
            return FileErrors.reason(file) + ": " + file.getFile();
        }
        String message = e.getMessage();
        return message == null ? e.getClass().getSimpleName() : oneLine(message);
    }

    private static String oneLine(String text) {
        return text.replace('\n', ' ');
    }

    private static int help(Usage usage, ArgumentParser.HelpRequest request, Console console) {
        try {
            // The version is bare, as thin-provisioning-tools print it: scripts compare it.
            // --help is an answer to print even when --quiet stands beside it.
            console.answer(
                    request.version ? (Version.current() + "\n").getBytes(StandardCharsets.UTF_8) : HelpText.of(usage));
            return 0;
        } catch (IOException e) {
            return report(e, console);
        }
    }

    /** Looked for before the parser runs, because a wrong command line is to be silent under {@code -q} too. */
    private static boolean asksForQuiet(Usage usage, String[] args, int from) {
        Option quiet = usage.byName("quiet");
        if (quiet == null || quiet.takesValue()) {
            return false;
        }
        for (int i = from; i < args.length && !args[i].equals("--"); i++) {
            boolean isLong = args[i].startsWith("--");
            if (isLong
                    ? quiet.name().equals(usage.wholeName(args[i].substring(2)))
                    : isCluster(args[i]) && hasFlag(usage, args[i], quiet.letter())) {
                return true;
            }
        }
        return false;
    }

    private static boolean isCluster(String arg) {
        return arg.length() > 1 && arg.charAt(0) == '-';
    }

    private static boolean hasFlag(Usage usage, String cluster, char letter) {
        for (int i = 1; i < cluster.length(); i++) {
            if (cluster.charAt(i) == letter) {
                return true;
            }
            Option option = usage.byLetter(cluster.charAt(i));
            if (option != null && option.takesValue()) {
                return false;
            }
        }
        return false;
    }
}
