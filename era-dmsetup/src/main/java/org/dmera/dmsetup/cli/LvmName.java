// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

/** The parts of a name that LVM has made: {@code GROUP-VOLUME[-LAYER]}, with hyphens within a part doubled. */
record LvmName(String group, String volume, String layer) {
    static final String SUBSYSTEM = "LVM";
    static final LvmName NONE = new LvmName("", "", "");

    /** The subsystem that made a uuid: what is before its first hyphen; empty without one. */
    static String subsystem(String uuid) {
        int hyphen = uuid.indexOf('-');
        return hyphen < 0 ? "" : uuid.substring(0, hyphen);
    }

    /** The parts of an LVM device's name; all empty for others. */
    static LvmName of(DeviceState state) {
        return subsystem(state.uuid()).equals(SUBSYSTEM) ? parse(state.name()) : NONE;
    }

    static LvmName parse(String name) {
        String[] parts = {"", "", ""};
        int part = 0;
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            boolean last = i == name.length() - 1;
            if (c == '-' && last) {
                // It separates nothing.
                text.append(c);
            } else if (c == '-' && name.charAt(i + 1) == '-') {
                text.append('-');
                i++;
            } else if (c == '-' && part == 2) {
                break;
            } else if (c == '-') {
                parts[part++] = text.toString();
                text.setLength(0);
            } else {
                text.append(c);
            }
        }
        parts[part] = text.toString();
        return new LvmName(parts[0], parts[1], parts[2]);
    }
}
