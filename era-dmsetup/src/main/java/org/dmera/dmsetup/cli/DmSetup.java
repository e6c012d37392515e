// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.List;

/** The program: takes the command line apart, finds the command, runs it, says whether it failed. */
public final class DmSetup {
    private final InputStream in;
    private final PrintStream out;
    private final PrintStream err;
    private final java.util.function.Function<Switches, Session.Connector> connectors;

    /** With the channels that users choose among. */
    public DmSetup(InputStream in, PrintStream out, PrintStream err) {
        this(in, out, err, Channel::new);
    }

    /** With a channel of the caller's. */
    DmSetup(
            InputStream in,
            PrintStream out,
            PrintStream err,
            java.util.function.Function<Switches, Session.Connector> connectors) {
        this.in = in;
        this.out = out;
        this.err = err;
        this.connectors = connectors;
    }

    /** A command's name, how many words may follow it, and whether it is run for each of several devices. */
    private record Entry(int least, int most, boolean repeated, Command command) {}

    private static final int ANY = Integer.MAX_VALUE;

    private static Entry entry(String name) {
        return switch (name) {
            case "create" -> new Entry(0, 2, false, new CreateCommand());
            case "load", "reload" -> new Entry(0, 2, false, TableCommands::load);
            case "clear" -> new Entry(0, ANY, true, TableCommands::clear);
            case "wipe_table" -> new Entry(0, ANY, true, TableCommands::wipe);
            case "suspend" -> new Entry(0, ANY, true, StateCommands::suspend);
            case "resume" -> new Entry(0, ANY, true, StateCommands::resume);
            case "remove" -> new Entry(0, ANY, true, StateCommands::remove);
            case "remove_all" -> new Entry(0, 0, false, StateCommands::removeAll);
            case "rename" -> new Entry(1, 2, false, StateCommands::rename);
            case "message" -> new Entry(2, ANY, false, StateCommands::message);
            case "mknodes" -> new Entry(0, ANY, true, StateCommands::makeNodes);
            case "status" -> new Entry(0, ANY, false, new StatusCommand(StatusCommand.Of.STATUS));
            case "table" -> new Entry(0, ANY, false, new StatusCommand(StatusCommand.Of.TABLE));
            case "info" -> new Entry(0, ANY, false, new InfoCommand());
            case "ls" -> new Entry(0, 0, false, new ListCommand());
            case "deps" -> new Entry(0, ANY, false, new DepsCommand());
            case "wait" -> new Entry(0, 2, false, new WaitCommand());
            case "targets" -> new Entry(0, 0, false, MiscCommands::targets);
            case "target-version" -> new Entry(1, ANY, true, MiscCommands::targetVersion);
            case "version" -> new Entry(0, 0, false, MiscCommands::version);
            case "help" -> new Entry(0, 0, false, MiscCommands::help);
            case "splitname" -> new Entry(1, 2, false, new SplitNameCommand());
            case "setgeometry" -> new Entry(5, 5, false, MiscCommands::setGeometry);
            case "measure" -> new Entry(0, ANY, false, new StatusCommand(StatusCommand.Of.MEASUREMENT));
            case "mangle" -> new Entry(0, ANY, true, StateCommands::mangle);
            case "udevflags" -> new Entry(1, 1, false, MiscCommands::udevFlags);
            case "udevcreatecookie", "udevreleasecookie", "udevcomplete", "udevcomplete_all", "udevcookies" ->
                new Entry(0, ANY, false, MiscCommands::noCookies);
            case "activate" -> new Entry(0, ANY, false, ActivationCommands::activate);
            case "deactivate" -> new Entry(0, ANY, false, ActivationCommands::deactivate);
            case "checkpoint" -> new Entry(0, ANY, true, MiscCommands::checkpoint);
            case "rollback" -> new Entry(1, ANY, false, new RollbackCommand());
            case "monitor" -> new Entry(0, 1, false, new MonitorCommand());
            case "uri" -> new Entry(0, ANY, true, MiscCommands::uri);
            case "attach" -> new Entry(0, ANY, true, Attachments::attach);
            case "detach" -> new Entry(0, ANY, true, Attachments::detach);
            case "engine" -> new Entry(0, 0, false, new EngineCommand());
            default -> null;
        };
    }

    /**
     * Runs a command line.
     *
     * @param program how complaints about options name the program
     * @return the exit code: 0, or 1 after a failure
     */
    public int run(String program, List<String> args) {
        int code;
        try {
            code = runUnflushed(program, args);
        } catch (RuntimeException | Error e) {
            complain(e);
            code = 1;
        }
        out.flush();
        err.flush();
        return code;
    }

    private int runUnflushed(String program, List<String> args) {
        Switches switches;
        Session session;
        try {
            switches = Switches.parse(program, args);
            switches.check();
            ListCommand.check(switches);
            session = new Session(switches, in, out, err, connectors.apply(switches));
        } catch (CommandLineException e) {
            err.println(e.getMessage());
            err.println("Couldn't process command line.");
            return 1;
        }
        List<String> words = switches.operands();
        if (switches.has(Switch.HELP)) {
            return command(session, new Entry(0, ANY, false, MiscCommands::help), List.of());
        }
        if (switches.has(Switch.VERSION)) {
            return command(session, new Entry(0, ANY, false, MiscCommands::version), List.of());
        }
        if (words.isEmpty()) {
            Usage.print(err);
            return 1;
        }
        Entry entry = entry(words.get(0));
        List<String> operands = words.subList(1, words.size());
        if (entry == null) {
            err.println("Unknown command.");
            return 1;
        }
        if (operands.size() < entry.least || operands.size() > entry.most) {
            err.println("Incorrect number of arguments.");
            Usage.print(err);
            return 1;
        }
        try {
            SwitchRules.check(switches, words.get(0));
        } catch (CommandLineException e) {
            err.println(e.getMessage());
            err.println("Couldn't process command line.");
            return 1;
        }
        return command(session, entry, operands);
    }

    private int command(Session session, Entry entry, List<String> operands) {
        boolean done = false;
        try {
            done = runEach(session, entry, operands);
        } catch (IOException | CommandLineException | RuntimeException | Error e) {
            complain(e);
        }
        try {
            session.close();
        } catch (IOException e) {
            complain(e);
            done = false;
        }
        if (!done) {
            err.println("Command failed.");
        }
        return done ? 0 : 1;
    }

    /** Whatever ended a command is one line, never a stack trace (unless the environment has {@code ERA_DEBUG}). */
    private void complain(Throwable e) {
        if (System.getenv("ERA_DEBUG") != null) {
            e.printStackTrace(err);
        }
        String text = e instanceof FileSystemException file ? ofFile(file) : e.getMessage();
        if (!(e instanceof IOException || e instanceof CommandLineException || e instanceof UncheckedIOException)) {
            err.println("era-dmsetup: internal error: " + oneLine(e.toString())
                    + " (run it again with ERA_DEBUG=1 to see where, and report it)");
        } else if (text == null) {
            err.println(e.getClass().getSimpleName());
        } else if (!text.isEmpty()) {
            err.println(oneLine(text));
        }
    }

    /** Java leaves the two commonest reasons out. */
    private static String ofFile(FileSystemException e) {
        return e instanceof NoSuchFileException
                ? e.getFile() + ": No such file or directory"
                : e instanceof AccessDeniedException ? e.getFile() + ": Permission denied" : e.getMessage();
    }

    private static String oneLine(String text) {
        return text.replace('\n', ' ');
    }

    private static boolean runEach(Session session, Entry entry, List<String> operands)
            throws IOException, CommandLineException {
        if (!entry.repeated || operands.size() < 2) {
            return entry.command.run(session, operands);
        }
        for (String operand : operands) {
            if (!entry.command.run(session, List.of(operand))) {
                return false;
            }
        }
        return true;
    }
}
