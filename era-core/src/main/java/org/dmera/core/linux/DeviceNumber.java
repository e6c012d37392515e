// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Linux's encoding of a device number in st_dev and st_rdev (glibc's makedev(3)), taken apart. */
public final class DeviceNumber {
    private DeviceNumber() {}

    /** The folder in sysfs of the block device that a path leads to. */
    public static Path sysfs(Path device) throws IOException {
        long number = (long) Files.getAttribute(device, "unix:rdev");
        return Path.of("/sys/dev/block", major(number) + ":" + minor(number));
    }

    public static long major(long number) {
        return number >>> 8 & 0xfff | number >>> 32 & ~0xfffL;
    }

    public static long minor(long number) {
        return (number & 0xff | number >>> 12 & ~0xffL) & 0xffffffffL;
    }
}
