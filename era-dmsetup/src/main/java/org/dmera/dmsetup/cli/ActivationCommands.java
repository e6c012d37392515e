// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.net.ConnectException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.activation.Eratab;
import org.dmera.dmsetup.activation.EratabEntry;
import org.dmera.dmsetup.activation.Preparation;
import org.dmera.dmsetup.control.ControlChoice;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DevicePaths;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.ioctl.Words;
import org.dmera.dmsetup.targets.StorageId;

/** {@code activate} and {@code deactivate}: the devices of eratab, and {@code create --enroll}, which lets them in there. */
final class ActivationCommands {
    private ActivationCommands() {}

    /** What is done with the device of a line. */
    private interface Step {
        void run(Session session, EratabEntry entry) throws IOException;
    }

    static Path eratab(Session session) throws IOException {
        String given = session.switches().value(Switch.ERATAB);
        return given == null ? Eratab.DEFAULT : NativeText.path(given);
    }

    static boolean activate(Session session, List<String> operands) throws IOException {
        return forEach(session, "activate", operands, false, ActivationCommands::activate);
    }

    static boolean deactivate(Session session, List<String> operands) throws IOException {
        return forEach(session, "deactivate", operands, true, ActivationCommands::deactivate);
    }

    /** Does it with each device that is named; one that fails does not keep the others from it. */
    private static boolean forEach(Session session, String command, List<String> operands, boolean lastFirst, Step step)
            throws IOException {
        boolean all = session.has(Switch.ALL);
        if (all != operands.isEmpty()) {
            throw new CommandLineException(command + ": expected names of devices in eratab, or --all.");
        }
        Eratab table = Eratab.read(eratab(session));
        List<EratabEntry> entries = new ArrayList<>();
        for (String name : operands) {
            entries.add(table.entry(name));
        }
        if (all) {
            table.entries().stream()
                    .filter(entry -> lastFirst || !entry.isManual())
                    .forEach(entries::add);
        }
        if (lastFirst) {
            Collections.reverse(entries);
        }
        boolean done = true;
        for (EratabEntry entry : entries) {
            try {
                step.run(session, entry);
            } catch (IOException e) {
                session.err().println(entry.name() + ": " + e.getMessage());
                done &= all && entry.mayFail();
            }
        }
        return done;
    }

    private static void activate(Session session, EratabEntry entry) throws IOException {
        Preparation preparation = new Preparation(entry, Eratab.enrollmentFolder(eratab(session)));
        if (isActive(session, entry)) {
            return;
        }
        String table = preparation.table();
        List<String> words = new ArrayList<>(List.of("--control", control(session, entry), "--table", table));
        if (entry.isAttached()) {
            words.add("--attach");
        }
        words.addAll(List.of("--", "create", entry.name()));
        run(session, words);
    }

    private static void deactivate(Session session, EratabEntry entry) throws IOException {
        if (!isActive(session, entry)) {
            return;
        }
        run(session, List.of("--control", control(session, entry), "--retry", "--", "remove", entry.name()));
        // The later the point, the more old copies it distinguishes. The device is stopped all the same.
        try {
            new Preparation(entry, Eratab.enrollmentFolder(eratab(session))).enrollAgain();
        } catch (IOException e) {
            session.err().println(entry.name() + ": the enrollment stays as it was: " + e.getMessage());
        }
    }

    /** A command of this program's; what it complains of is on standard error by then. */
    private static void run(Session session, List<String> words) throws CommandLineException {
        if (new DmSetup(session.in(), session.out(), session.err()).run("era-dmsetup", words) != 0) {
            throw new CommandLineException("not " + (words.contains("create") ? "activated." : "deactivated."));
        }
    }

    private static String control(Session session, EratabEntry entry) {
        if (!entry.isEngines()) {
            return "kernel";
        }
        String given = session.switches().value(Switch.CONTROL);
        if (given == null) {
            given = System.getenv().getOrDefault(ControlChoice.VARIABLE, "");
        }
        return given.isEmpty() || given.equals("kernel") ? "engine" : given;
    }

    /** Whether there is the device that the line is about; fails when the name is another device's. */
    private static boolean isActive(Session session, EratabEntry entry) throws IOException {
        ControlChoice choice = ControlChoice.of(control(session, entry), System.getenv());
        DmClient client;
        try {
            client = new DmClient(choice.connect());
        } catch (IOException e) {
            if (!entry.isEngines() || !isNobodyThere(choice, e)) {
                throw e;
            }
            // No engine runs, so it has no devices; who creates one starts it.
            return false;
        }
        try (client) {
            DeviceId id = DeviceId.ofName(session.createdName(entry.name()));
            if (!client.exists(id)) {
                return false;
            }
            List<TargetSpec> lines = client.table(id);
            if (TargetSpec.isOne("era", lines)) {
                List<String> words = Words.split(lines.get(0).params());
                if (isSame(words.get(0), entry.metadata()) && isSame(words.get(1), entry.origin())) {
                    return true;
                }
            }
        }
        throw new IOException("there is another device of that name");
    }

    /** Other than that an engine is there that can't be reached: nothing can be said of its devices. */
    private static boolean isNobodyThere(ControlChoice choice, IOException why) {
        return why.getCause() instanceof ConnectException || Files.notExists(choice.socket());
    }

    private static boolean isSame(String word, String path) throws IOException {
        return StorageId.of(DevicePaths.of(word)).equals(StorageId.of(NativeText.path(path)));
    }

    /** Fails unless the table is one that can be enrolled. */
    static void requireEra(List<TargetSpec> specs) throws CommandLineException {
        if (specs == null || !TargetSpec.isOne("era", specs)) {
            throw new CommandLineException("--enroll: expected a table of one era target.");
        }
    }

    /** Writes down that the metadata of the device, which is there, belongs to its origin. */
    static void enroll(Session session, String name, TargetSpec spec) throws IOException {
        List<String> words = Words.split(spec.params());
        Preparation.enroll(
                DevicePaths.of(words.get(0)),
                DevicePaths.of(words.get(1)),
                Eratab.enrollmentFolder(eratab(session)),
                name);
    }
}
