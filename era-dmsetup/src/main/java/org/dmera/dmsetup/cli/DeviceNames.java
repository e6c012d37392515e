// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DeviceEntry;

/** How a device is shown that is known by its number ({@code -o} of ls and deps). */
final class DeviceNames {
    enum Style {
        DEVNO,
        DEVNAME,
        BLKDEVNAME;

        /** What {@code -o} asks for; device numbers when it was not given, or is for a tree. */
        static Style of(Switches switches) throws CommandLineException {
            String word = switches.value(Switch.OPTIONS);
            if (word == null || switches.has(Switch.TREE)) {
                return DEVNO;
            }
            return switch (word) {
                case "devno" -> DEVNO;
                case "devname" -> DEVNAME;
                case "blkdevname" -> BLKDEVNAME;
                default -> throw new CommandLineException("Option not recognised: " + word + ".");
            };
        }
    }

    private final Session session;
    private final Style style;

    DeviceNames(Session session) throws CommandLineException {
        this.session = session;
        style = Style.of(session.switches());
    }

    /** For a device that deps lists: {@code 7, 1} or a name. */
    String ofDependency(long dev) throws IOException {
        String name = style == Style.DEVNO ? null : name(dev, style == Style.DEVNAME);
        return name == null ? DevNumber.major(dev) + ", " + DevNumber.minor(dev) : name;
    }

    /** For a device that ls lists, whose name it has printed already: {@code 253:0} or the block device's name. */
    String ofListed(long dev) {
        String name = style == Style.BLKDEVNAME ? blockDeviceName(dev) : null;
        return name == null ? DevNumber.text(dev) : name;
    }

    /** The mapped device's name, or the block device's; null when it has none. */
    private String name(long dev, boolean mapped) throws IOException {
        String ofKernel = mapped ? DevicePaths.kernelName(dev) : null;
        if (ofKernel != null) {
            return session.unmangle(ofKernel);
        }
        String blockDevice = blockDeviceName(dev);
        if (blockDevice == null && mapped) {
            for (DeviceEntry entry : session.client().list()) {
                if (entry.dev() == dev) {
                    return session.unmangle(entry.name());
                }
            }
        }
        return blockDevice;
    }

    /** The kernel's own name of a block device, as in {@code loop0}; null when it has none of that number. */
    static String blockDeviceName(long dev) {
        Path link = Path.of("/sys/dev/block", DevNumber.text(dev));
        if (!Files.isSymbolicLink(link)) {
            return null;
        }
        try {
            return Files.readSymbolicLink(link).getFileName().toString().replace('!', '/');
        } catch (IOException e) {
            // It went away between the two looks.
            return null;
        }
    }
}
