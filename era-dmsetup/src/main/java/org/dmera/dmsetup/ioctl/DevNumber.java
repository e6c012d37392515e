// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

/**
 * Device numbers. In the control interface they are the kernel's {@code huge_encode_dev}: the minor's low byte, the
 * major above it, the rest of the minor above bit 20.
 */
public final class DevNumber {
    /** Minors are below this (20 bits). */
    public static final int MINOR_LIMIT = 1 << 20;

    private DevNumber() {}

    /** Encodes a major (12 bits) and a minor (20 bits). */
    public static long encode(int major, int minor) {
        return (minor & 0xffL) | ((long) major << 8) | ((minor & ~0xffL) << 12);
    }

    public static int major(long dev) {
        return (int) ((dev & 0xfff00) >>> 8);
    }

    public static int minor(long dev) {
        return (int) ((dev & 0xff) | ((dev >>> 12) & 0xfff00));
    }

    /** {@code major:minor}. */
    public static String text(long dev) {
        return major(dev) + ":" + minor(dev);
    }
}
