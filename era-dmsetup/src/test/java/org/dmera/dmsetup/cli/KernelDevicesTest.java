// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.control.Control;
import org.dmera.dmsetup.control.KernelControl;
import org.dmera.dmsetup.ioctl.Dependencies;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DeviceEntry;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.junit.jupiter.api.Test;

/** What only the kernel's device-mapper answers; the lines are what dmsetup prints of the same answers. */
class KernelDevicesTest {
    private static final long TOP = DevNumber.encode(253, 0);
    private static final long DISK = DevNumber.encode(4000, 0);

    /** Knows one device, on a disk, that the kernel itself has suspended for a moment. */
    private static final class OneDevice implements Control {
        @Override
        public int call(int command, ByteBuffer buffer) {
            DmIoctl io = DmIoctl.over(buffer);
            io.setVersion(4, 47, 0);
            if (command == DmCommand.LIST_DEVICES.number()) {
                DeviceEntry.encode(io, List.of(new DeviceEntry(TOP, "top", 0, "")));
                return 0;
            }
            io.setFlags(io.flags() | DmFlags.ACTIVE_PRESENT | DmFlags.INTERNAL_SUSPEND);
            io.setName("top");
            io.setDev(TOP);
            if (command == DmCommand.TABLE_DEPS.number()) {
                Dependencies.encode(io, List.of(DISK));
            } else if (command != DmCommand.DEV_STATUS.number() && command != DmCommand.VERSION.number()) {
                return -Errno.ENOTTY.number();
            }
            return 0;
        }

        @Override
        public String describe() {
            return "a test";
        }

        @Override
        public void close() {}
    }

    private static List<String> run(String... words) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = new DmSetup(
                        new ByteArrayInputStream(new byte[0]),
                        new PrintStream(out, false, StandardCharsets.ISO_8859_1),
                        new PrintStream(err, false, StandardCharsets.ISO_8859_1),
                        (switches, creating) -> new OneDevice())
                .run("dmsetup", List.of(words));
        assertEquals(0, code, () -> err.toString(StandardCharsets.ISO_8859_1));
        return out.toString(StandardCharsets.ISO_8859_1).lines().toList();
    }

    @Test
    void aDiskAtTheRootOfATreeStandsBehindABlank() {
        assertEquals(List.of(" (4000:0)", " `-top (253:0)"), run("ls", "--tree", "-o", "ascii,inverted"));
        assertEquals(List.of("top (253:0)", " `- (4000:0)"), run("ls", "--tree", "-o", "ascii"));
        assertEquals(List.of(" (4000:0)---top (253:0)"), run("ls", "--tree", "-o", "ascii,inverted,compact"));
        assertEquals(List.of("top (253:0)--- (4000:0)"), run("ls", "--tree", "-o", "ascii,compact"));
    }

    @Test
    void aDiskWithoutAnythingToShowIsInNoTree() {
        assertEquals(List.of("top"), run("ls", "--tree", "-o", "ascii,nodevice"));
        assertEquals(List.of(" `-top"), run("ls", "--tree", "-o", "ascii,nodevice,inverted"));
    }

    @Test
    void aKernelWithoutDeviceMapperIsToldInLibdevmappersLines() {
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = new DmSetup(
                        new ByteArrayInputStream(new byte[0]),
                        new PrintStream(new ByteArrayOutputStream(), false, StandardCharsets.ISO_8859_1),
                        new PrintStream(err, false, StandardCharsets.ISO_8859_1),
                        (switches, creating) -> {
                            throw new KernelControl.NoDriverException(
                                    "/dev/mapper/control: open failed: No such device", null);
                        })
                .run("dmsetup", List.of("ls"));
        assertEquals(1, code);
        List<String> expected = new ArrayList<>(List.of(
                "/dev/mapper/control: open failed: No such device",
                "Failure to communicate with kernel device-mapper driver.",
                "Check that device-mapper is available in the kernel.",
                "Incompatible libdevmapper 1.02.185 (2022-05-18) and kernel driver (unknown version).",
                "Command failed."));
        if (!"root".equals(System.getProperty("user.name"))) {
            expected.remove(2);
        }
        assertEquals(expected, err.toString(StandardCharsets.ISO_8859_1).lines().toList());
    }

    @Test
    void whatTheKernelItselfHasSuspendedIsActiveForItsUsers() {
        assertEquals(List.of("top:L--w:Active"), run("info", "-c", "--noheadings", "-o", "name,attr,suspended"));
    }
}
