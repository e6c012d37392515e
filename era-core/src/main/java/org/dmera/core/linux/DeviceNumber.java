// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

/** Linux's encoding of a device number in st_dev and st_rdev (glibc's makedev(3)), taken apart. */
public final class DeviceNumber {
    private DeviceNumber() {}

    public static long major(long number) {
        return number >>> 8 & 0xfff | number >>> 32 & ~0xfffL;
    }

    public static long minor(long number) {
        return (number & 0xff | number >>> 12 & ~0xffL) & 0xffffffffL;
    }
}
