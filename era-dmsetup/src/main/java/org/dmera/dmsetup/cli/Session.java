// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.control.Control;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.ioctl.DeviceEntry;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;

/** One run of the program: its options, its streams, and the way to device-mapper, opened when it is first wanted. */
final class Session {
    private static final String MAPPER_FOLDER = "/dev/mapper/";

    /** Opens the way to device-mapper. */
    interface Connector {
        /** {@code creating}: the caller makes a device, so an engine that the user asked for may be started. */
        Control connect(boolean creating) throws IOException;
    }

    private final Switches switches;
    private final InputStream in;
    private final PrintStream out;
    private final PrintStream err;
    private final Connector connector;
    private final Mangling.Mode mangling;
    private DmClient client;
    private DeviceNodes nodes;
    private String driverVersion;

    Session(Switches switches, InputStream in, PrintStream out, PrintStream err, Connector connector)
            throws CommandLineException {
        this.switches = switches;
        this.in = in;
        this.out = out;
        this.err = err;
        this.connector = connector;
        mangling = switches.has(Switch.MANGLENAME)
                ? Mangling.Mode.of(switches.value(Switch.MANGLENAME))
                : Mangling.Mode.AUTO;
    }

    Switches switches() {
        return switches;
    }

    boolean has(Switch s) {
        return switches.has(s);
    }

    InputStream in() {
        return in;
    }

    PrintStream out() {
        return out;
    }

    PrintStream err() {
        return err;
    }

    /** Opens the way to device-mapper for a command that makes a device. */
    void openForCreation() throws IOException {
        open(true);
    }

    private void open(boolean creating) throws IOException {
        if (client == null) {
            client = new DmClient(connector.connect(creating));
            driverVersion = client.version();
            nodes = DeviceNodes.of(client.control(), switches);
            if (switches.verbosity() > 0) {
                err.println("Control: " + client.control().describe());
            }
        }
    }

    DmClient client() throws IOException {
        open(false);
        return client;
    }

    /** The driver's version, as {@code 4.47.0}. */
    String driverVersion() throws IOException {
        open(false);
        return driverVersion;
    }

    /** The nodes in /dev/mapper, which an engine's devices don't have. */
    DeviceNodes nodes() throws IOException {
        open(false);
        return nodes;
    }

    Control control() throws IOException {
        return client().control();
    }

    /** Ends the session. */
    void close() throws IOException {
        if (client != null) {
            client.close();
        }
    }

    /** The name or uuid as device-mapper has it. */
    String mangle(String text) {
        return Mangling.mangle(text, mangling);
    }

    /** The name or uuid as people have it. */
    String unmangle(String text) {
        return Mangling.unmangle(text, mangling);
    }

    /** Fails for a name that no device may have. */
    static void checkName(String name) throws CommandLineException {
        if (name.indexOf('/') >= 0) {
            throw new CommandLineException("Name \"" + name + "\" invalid. It contains \"/\".");
        }
        if (name.length() >= DmIoctl.NAME_BYTES) {
            throw new CommandLineException("Name \"" + name + "\" too long.");
        }
    }

    /** Fails for a name that no device may get. One that has it, on a kernel that allows it, can still be named. */
    static void checkNewName(String name) throws CommandLineException {
        checkName(name);
        if (DmIoctl.NO_DEVICE_NAMES.contains(name)) {
            throw new CommandLineException(
                    "Name \"" + name + "\" invalid. It must not be \"control\", \".\" or \"..\".");
        }
    }

    /**
     * The device that the command is about: by the operand's name or path, or by -u, or by -j and -m.
     *
     * @param operand null when there is none
     */
    DeviceId device(String operand) throws IOException, CommandLineException {
        if (operand != null) {
            return named(operand);
        }
        if (has(Switch.UUID)) {
            return DeviceId.ofUuid(mangle(switches.value(Switch.UUID)));
        }
        if (has(Switch.MINOR)) {
            return DeviceId.ofNumber(switches.number(Switch.MAJOR), switches.number(Switch.MINOR));
        }
        throw new CommandLineException("No device specified.");
    }

    private DeviceId named(String operand) throws IOException, CommandLineException {
        String name = operand.startsWith(MAPPER_FOLDER) ? operand.substring(MAPPER_FOLDER.length()) : operand;
        if (name.indexOf('/') >= 0) {
            // As with dmsetup, a device-mapper that does not answer is the first thing to complain of.
            client();
            throw new CommandLineException("Device " + operand + " not found");
        }
        checkName(name);
        return DeviceId.ofName(mangle(name));
    }

    /** Whether the device is told by -u or by -j and -m. */
    boolean deviceBySwitch() {
        return has(Switch.UUID) || has(Switch.MINOR);
    }

    /** Every device, or none and a word about it. */
    List<DeviceEntry> devices() throws IOException {
        List<DeviceEntry> devices = client().list();
        if (devices.isEmpty() && !has(Switch.JSON)) {
            out.println("No devices found");
        }
        return devices;
    }

    /** The state of a device, or null when there is no such device. */
    DmIoctl info(DeviceId device) throws IOException {
        try {
            return DmCall.of("info", DmCommand.DEV_STATUS, device)
                    .flag(DmFlags.QUERY_INACTIVE_TABLE, has(Switch.INACTIVE))
                    .run(control());
        } catch (DmException e) {
            if (e.is(Errno.ENXIO)) {
                return null;
            }
            throw e;
        }
    }
}
