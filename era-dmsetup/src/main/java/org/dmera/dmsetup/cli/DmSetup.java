// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.util.List;
import org.dmera.core.file.FileErrors;

/** The program: takes the command line apart, finds the command, runs it, says whether it failed. */
public final class DmSetup {
    private final InputStream in;
    private final PrintStream out;
    private final PrintStream err;
    private final Session.Connector connector;
    private boolean endsWithProcess;

    /** With the channels that users choose among. */
    public DmSetup(InputStream in, PrintStream out, PrintStream err) {
        this(in, out, err, new Channel());
    }

    /**
     * The same as the last work of its process, which closes the channel by its end: to close a socket, Java would load all
     * that it knows of networks.
     */
    public static DmSetup ofProcess(InputStream in, PrintStream out, PrintStream err) {
        DmSetup program = new DmSetup(in, out, err);
        program.endsWithProcess = true;
        return program;
    }

    /** With a channel of the caller's. */
    DmSetup(InputStream in, PrintStream out, PrintStream err, Session.Connector connector) {
        this.in = in;
        this.out = out;
        this.err = err;
        this.connector = connector;
    }

    /** How many words may follow a command's name, and whether it is run for each of several devices. */
    private record Entry(int least, int most, boolean repeated) {}

    private static final int ANY = Integer.MAX_VALUE;

    private static Entry entry(String name) {
        return switch (name) {
            case "create", "load", "reload", "wait" -> new Entry(0, 2, false);
            case "clear", "wipe_table", "suspend", "resume", "remove", "mknodes", "mangle" -> new Entry(0, ANY, true);
            case "checkpoint", "thaw", "uri", "attach", "detach" -> new Entry(0, ANY, true);
            case "remove_all", "ls", "targets", "version", "help", "engine" -> new Entry(0, 0, false);
            case "rename", "splitname" -> new Entry(1, 2, false);
            case "message" -> new Entry(2, ANY, false);
            case "status", "table", "info", "deps", "measure" -> new Entry(0, ANY, false);
            case "udevcreatecookie", "udevreleasecookie" -> new Entry(0, ANY, false);
            case "udevcomplete", "udevcomplete_all", "udevcookies" -> new Entry(0, ANY, false);
            case "activate", "deactivate", "freeze" -> new Entry(0, ANY, false);
            case "target-version" -> new Entry(1, ANY, true);
            case "setgeometry" -> new Entry(5, 5, false);
            case "udevflags" -> new Entry(1, 1, false);
            case "rollback" -> new Entry(1, ANY, false);
            case "monitor" -> new Entry(0, 1, false);
            default -> null;
        };
    }

    /** Runs a command. No method references: to link the first one of a process takes as long as the command itself. */
    private static boolean run(String name, Session session, List<String> operands) throws IOException {
        return switch (name) {
            case "create" -> new CreateCommand().run(session, operands);
            case "load", "reload" -> TableCommands.load(session, operands);
            case "clear" -> TableCommands.clear(session, operands);
            case "wipe_table" -> TableCommands.wipe(session, operands);
            case "suspend" -> StateCommands.suspend(session, operands);
            case "resume" -> StateCommands.resume(session, operands);
            case "remove" -> StateCommands.remove(session, operands);
            case "remove_all" -> StateCommands.removeAll(session, operands);
            case "rename" -> StateCommands.rename(session, operands);
            case "message" -> StateCommands.message(session, operands);
            case "mknodes" -> StateCommands.makeNodes(session, operands);
            case "status" -> new StatusCommand(StatusCommand.Of.STATUS).run(session, operands);
            case "table" -> new StatusCommand(StatusCommand.Of.TABLE).run(session, operands);
            case "info" -> new InfoCommand().run(session, operands);
            case "ls" -> new ListCommand().run(session, operands);
            case "deps" -> new DepsCommand().run(session, operands);
            case "wait" -> StateCommands.await(session, operands);
            case "targets" -> MiscCommands.targets(session, operands);
            case "target-version" -> MiscCommands.targetVersion(session, operands);
            case "version" -> MiscCommands.version(session, operands);
            case "help" -> MiscCommands.help(session, operands);
            case "splitname" -> MiscCommands.splitName(session, operands);
            case "setgeometry" -> MiscCommands.setGeometry(session, operands);
            case "measure" -> new StatusCommand(StatusCommand.Of.MEASUREMENT).run(session, operands);
            case "mangle" -> StateCommands.mangle(session, operands);
            case "udevflags" -> MiscCommands.udevFlags(session, operands);
            case "udevcreatecookie", "udevreleasecookie", "udevcomplete", "udevcomplete_all", "udevcookies" ->
                MiscCommands.noCookies(session, operands);
            case "activate" -> ActivationCommands.activate(session, operands);
            case "deactivate" -> ActivationCommands.deactivate(session, operands);
            case "checkpoint" -> MiscCommands.checkpoint(session, operands);
            case "freeze" -> FreezeCommands.freeze(session, operands);
            case "thaw" -> FreezeCommands.thaw(session, operands);
            case "rollback" -> new RollbackCommand().run(session, operands);
            case "monitor" -> new MonitorCommand().run(session, operands);
            case "uri" -> MiscCommands.uri(session, operands);
            case "attach" -> Attachments.attach(session, operands);
            case "detach" -> Attachments.detach(session, operands);
            case "engine" -> new EngineCommand().run(session, operands);
            default -> throw new IllegalArgumentException(name);
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
            session = new Session(switches, in, out, err, connector);
        } catch (CommandLineException e) {
            return refuse(e);
        }
        List<String> words = switches.operands();
        if (switches.has(Switch.HELP)) {
            return command(session, "help", List.of());
        }
        if (switches.has(Switch.VERSION)) {
            return command(session, "version", List.of());
        }
        if (words.isEmpty()) {
            return explain();
        }
        Entry entry = entry(words.get(0));
        List<String> operands = words.subList(1, words.size());
        if (entry == null) {
            err.println("Unknown command.");
            return 1;
        }
        if (operands.size() < entry.least || operands.size() > entry.most) {
            err.println("Incorrect number of arguments.");
            return explain();
        }
        try {
            SwitchRules.check(switches, words.get(0));
        } catch (CommandLineException e) {
            return refuse(e);
        }
        return command(session, words.get(0), operands);
    }

    private int refuse(CommandLineException e) {
        err.println(e.getMessage());
        err.println("Couldn't process command line.");
        return 1;
    }

    /** How it is used, for who has used it wrongly. */
    private int explain() {
        try {
            Usage.print(err);
        } catch (IOException e) {
            complain(e);
        }
        return 1;
    }

    private int command(Session session, String name, List<String> operands) {
        boolean done = false;
        try {
            done = SwitchRules.repeatsWhole(name, session.switches())
                    ? Repetition.run(session, "", () -> runEach(session, name, operands))
                    : runEach(session, name, operands);
        } catch (IOException | RuntimeException | Error e) {
            complain(e);
        }
        try {
            if (!endsWithProcess) {
                session.close();
            }
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
        if (!(e instanceof IOException || e instanceof UncheckedIOException)) {
            err.println("era-dmsetup: internal error: " + oneLine(e.toString())
                    + " (run it again with ERA_DEBUG=1 to see where, and report it)");
        } else if (text == null) {
            err.println(e.getClass().getSimpleName());
        } else if (!text.isEmpty()) {
            err.println(oneLine(text));
        }
    }

    private static String ofFile(FileSystemException e) {
        String reason = FileErrors.reason(e);
        return reason == null || e.getReason() != null ? e.getMessage() : e.getFile() + ": " + reason;
    }

    private static String oneLine(String text) {
        return text.replace('\n', ' ');
    }

    private static boolean runEach(Session session, String name, List<String> operands) throws IOException {
        if (operands.size() < 2 || !entry(name).repeated) {
            return run(name, session, operands);
        }
        for (String operand : operands) {
            if (!run(name, session, List.of(operand))) {
                return false;
            }
        }
        return true;
    }
}
