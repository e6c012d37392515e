// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.time.Duration;
import java.util.List;
import org.dmera.dmsetup.control.Control;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.ImpatientControl;
import org.dmera.dmsetup.control.KernelControl;
import org.dmera.dmsetup.control.Mangling;
import org.dmera.dmsetup.ioctl.DeviceEntry;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;

/** One run of the program: its options, its streams, and the way to device-mapper, opened when it is first wanted. */
final class Session {

    /** Opens the way to device-mapper. */
    interface Connector {
        /** {@code creating}: the caller makes a device, so an engine that the user asked for may be started. */
        Control connect(Switches switches, boolean creating) throws IOException;
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

    Session(Switches switches, InputStream in, PrintStream out, PrintStream err, Connector connector) {
        this.switches = switches;
        this.in = in;
        this.out = out;
        this.err = err;
        this.connector = connector;
        mangling = switches.has(Switch.MANGLENAME)
                ? Mangling.Mode.of(switches.value(Switch.MANGLENAME))
                : Mangling.Mode.ofEnvironment(System.getenv());
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
            Control control = connect(creating);
            client = new DmClient(control.isKernel() ? impatient(control) : control);
            driverVersion = client.version();
            nodes = DeviceNodes.of(client.control(), switches);
            if (switches.verbosity() > 0) {
                err.println("Control: " + client.control().describe());
            }
        }
    }

    /** Where there is no driver, all of the lines that libdevmapper has for that are printed. */
    private Control connect(boolean creating) throws IOException {
        try {
            return connector.connect(switches, creating);
        } catch (KernelControl.NoDriverException e) {
            err.println(e.getMessage());
            err.println("Failure to communicate with kernel device-mapper driver.");
            if ("root".equals(System.getProperty("user.name"))) {
                err.println("Check that device-mapper is available in the kernel.");
            }
            throw new IOException(
                    "Incompatible libdevmapper " + MiscCommands.LIBRARY_VERSION
                            + " and kernel driver (unknown version).",
                    e);
        }
    }

    private Control impatient(Control control) {
        return new ImpatientControl(
                control,
                line -> {
                    err.println("era-dmsetup: " + line);
                    err.flush();
                },
                Duration.ofNanos(Long.MAX_VALUE));
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

    /** A new device's name, as device-mapper gets it. */
    String createdName(String text) throws IOException {
        checkNewName(text);
        return Mangling.mangle(Mangling.Kind.NAME, text, mangling);
    }

    /** A device's name, as device-mapper has it. */
    private String mangledName(String text) throws IOException {
        checkName(text);
        return Mangling.mangle(Mangling.Kind.NAME, text, mangling);
    }

    /** The name that a device is to have instead of its own, or its uuid. */
    String mangledNew(boolean isUuid, String text) throws IOException {
        if (!isUuid) {
            checkNewName(text);
        }
        return Mangling.mangle(isUuid ? Mangling.Kind.NEW_UUID : Mangling.Kind.NEW_NAME, text, mangling);
    }

    static void checkName(String name) throws CommandLineException {
        if (name.indexOf('/') >= 0) {
            throw new CommandLineException("Name \"" + name + "\" invalid. It contains \"/\".");
        }
    }

    /** A uuid, as device-mapper gets it. */
    String mangledUuid(String text) throws IOException {
        return Mangling.mangle(Mangling.Kind.UUID, text, mangling);
    }

    /** The name or uuid as people have it. */
    String unmangle(String text) {
        return Mangling.unmangle(text, mangling);
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
    DeviceId device(String operand) throws IOException {
        if (operand != null) {
            return named(operand);
        }
        if (has(Switch.UUID)) {
            return DeviceId.ofUuid(mangledUuid(switches.value(Switch.UUID)));
        }
        if (has(Switch.MINOR)) {
            return DeviceId.ofNumber(switches.number(Switch.MAJOR), switches.number(Switch.MINOR));
        }
        throw new CommandLineException("No device specified.");
    }

    /** The same, by the first operand, if there is one: of commands that are run once for each of several devices. */
    DeviceId deviceOf(List<String> operands) throws IOException {
        return device(operands.isEmpty() ? null : operands.get(0));
    }

    private DeviceId named(String operand) throws IOException {
        if (operand.indexOf('/') < 0) {
            return DeviceId.ofName(mangledName(operand));
        }
        // As with dmsetup, a device-mapper that does not answer is the first thing to complain of.
        client();
        String name = DevicePaths.nameOf(operand);
        if (name == null) {
            throw new CommandLineException("Device " + operand + " not found");
        }
        return DeviceId.ofName(mangledName(name));
    }

    /** Whether the device is named by -u or by -j and -m. */
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
        return DmCall.of("info", DmCommand.DEV_STATUS, device)
                .flag(DmFlags.QUERY_INACTIVE_TABLE, has(Switch.INACTIVE))
                .flag(DmFlags.SKIP_BDGET, has(Switch.NOOPENCOUNT))
                .runIfThere(control());
    }
}
