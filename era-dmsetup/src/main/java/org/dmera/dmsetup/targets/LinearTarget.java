// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.util.List;

/** {@code linear DEVICE START}: the device's sectors from START on. */
final class LinearTarget extends AreaTarget {
    private LinearTarget(List<Area> areas) {
        super(Long.MAX_VALUE, areas);
    }

    /** As {@link TargetFactory#load}. */
    static Target load(long lengthSectors, List<String> arguments, TargetFactory.BackingOpener backings)
            throws TableException {
        if (arguments.size() != 2) {
            throw TableWords.invalid("Invalid argument count");
        }
        return new LinearTarget(
                open(arguments, lengthSectors, backings, "Invalid device sector", "Device lookup failed"));
    }

    @Override
    public String type() {
        return "linear";
    }

    @Override
    public String table() {
        return areas().substring(1);
    }

    @Override
    public String status() {
        return "";
    }
}
