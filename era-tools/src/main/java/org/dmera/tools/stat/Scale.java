// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

/** A unit in which the largest amount of an axis has one to four digits. */
record Scale(double bytes, String unit) {
    private static final String[] UNITS = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};

    static Scale of(long largest) {
        int i = 0;
        double unit = 1;
        while (largest / unit >= 2048 && i < UNITS.length - 1) {
            unit *= 1024;
            i++;
        }
        return new Scale(unit, UNITS[i]);
    }

    double in(long amount) {
        return amount / bytes;
    }
}
