// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.Objects;
import org.dmera.dmsetup.control.Mangling;
import org.dmera.dmsetup.ioctl.DevNumber;

/** The fields that {@code info -c} can show, as in dmsetup's list: heading, least width, and where the value comes from. */
enum ReportField {
    NAME(Group.NAME, "Name", 16, false, "Name of mapped device."),
    MANGLED_NAME(Group.NAME, "MangledName", 16, false, "Mangled name of mapped device."),
    UNMANGLED_NAME(Group.NAME, "UnmangledName", 16, false, "Unmangled name of mapped device."),
    UUID(Group.NAME, "UUID", 32, false, "Unique (optional) identifier for mapped device."),
    MANGLED_UUID(Group.NAME, "MangledUUID", 32, false, "Mangled unique (optional) identifier for mapped device."),
    UNMANGLED_UUID(Group.NAME, "UnmangledUUID", 32, false, "Unmangled unique (optional) identifier for mapped device."),
    READ_AHEAD(Group.NAME, "RAhead", 6, true, "Read ahead value."),

    BLKDEVNAME(Group.INFO, "BlkDevName", 16, false, "Name of block device."),
    ATTR(Group.INFO, "Stat", 4, false, "(L)ive, (I)nactive, (s)uspended, (r)ead-only, read-(w)rite."),
    TABLES_LOADED(Group.INFO, "Tables", 6, false, "Which of the live and inactive table slots are filled."),
    SUSPENDED(Group.INFO, "Suspended", 9, false, "Whether the device is suspended."),
    READONLY(Group.INFO, "Read-only", 9, false, "Whether the device is read-only or writeable."),
    DEVNO(Group.INFO, "DevNo", 5, false, "Device major and minor numbers"),
    MAJOR(Group.INFO, "Maj", 3, true, "Block device major number."),
    MINOR(Group.INFO, "Min", 3, true, "Block device minor number."),
    OPEN(Group.INFO, "Open", 4, true, "Number of references to open device, if requested."),
    SEGMENTS(Group.INFO, "Targ", 4, true, "Number of segments in live table, if present."),
    EVENTS(Group.INFO, "Event", 6, true, "Number of most recent event."),

    DEVICE_COUNT(Group.DEPS, "#Devs", 5, true, "Number of devices used by this one."),
    DEVS_USED(Group.DEPS, "DevNamesUsed", 16, false, "List of names of mapped devices used by this one."),
    DEVNOS_USED(Group.DEPS, "DevNosUsed", 16, false, "List of device numbers of devices used by this one."),
    BLKDEVS_USED(Group.DEPS, "BlkDevNamesUsed", 16, false, "List of names of block devices used by this one."),
    DEVICE_REF_COUNT(Group.DEPS, "#Refs", 5, true, "Number of mapped devices referencing this one."),
    NAMES_USING_DEV(Group.DEPS, "RefNames", 8, false, "List of names of mapped devices using this one."),
    DEVNOS_USING_DEV(Group.DEPS, "RefDevNos", 9, false, "List of device numbers of mapped devices using this one."),

    SUBSYSTEM(Group.SPLITNAME, "Subsys", 6, false, "Userspace subsystem responsible for this device."),
    VG_NAME(Group.SPLITNAME, "VG", 4, false, "LVM Volume Group name."),
    LV_NAME(Group.SPLITNAME, "LV", 4, false, "LVM Logical Volume name."),
    LV_LAYER(Group.SPLITNAME, "LVLayer", 7, false, "LVM device layer.");

    /** The field's section in the list of fields. */
    enum Group {
        NAME("Mapped Device Name"),
        INFO("Mapped Device Information"),
        DEPS("Mapped Device Relationship Information"),
        SPLITNAME("Mapped Device Name Components");

        final String title;

        Group(String title) {
            this.title = title;
        }
    }

    final Group group;
    final String heading;
    final int width;
    final boolean number;
    final String help;

    ReportField(Group group, String heading, int width, boolean number, String help) {
        this.group = group;
        this.heading = heading;
        this.width = width;
        this.number = number;
        this.help = help;
    }

    /** The name by which {@code -o} and {@code --sort} know it. */
    String id() {
        return name().toLowerCase(java.util.Locale.ROOT);
    }

    /** The field of that name, or null. */
    static ReportField of(String id) {
        for (ReportField field : values()) {
            if (canonical(field.id()).equals(canonical(id))) {
                return field;
            }
        }
        return null;
    }

    /** As in dmsetup, the case of letters and underscores don't count. */
    private static String canonical(String id) {
        return id.replace("_", "").toLowerCase(java.util.Locale.ROOT);
    }

    /** Whether its value needs every device's dependencies. */
    boolean needsDependencies() {
        return group == Group.DEPS;
    }

    String value(Session session, DeviceState state, DeviceGraph graph) throws IOException {
        return switch (this) {
            case NAME -> state.name();
            case UNMANGLED_NAME -> Mangling.unmangle(state.rawName(), Mangling.Mode.AUTO);
            case MANGLED_NAME -> Mangling.mangledForm(state.rawName());
            case UUID -> state.uuid();
            case UNMANGLED_UUID -> Mangling.unmangle(state.rawUuid(), Mangling.Mode.AUTO);
            case MANGLED_UUID -> Mangling.mangledForm(state.rawUuid());
            case READ_AHEAD -> Integer.toString(InfoCommand.readAheadSectors(session, state));
            case BLKDEVNAME -> Objects.requireNonNullElse(DeviceNames.blockDeviceName(state.dev()), "");
            case ATTR -> state.attributes();
            case TABLES_LOADED -> state.tables();
            case SUSPENDED -> state.suspended() ? "Suspended" : "Active";
            case READONLY -> state.readOnly() ? "Read-only" : "Writeable";
            case DEVNO -> DevNumber.text(state.dev());
            case MAJOR -> Integer.toString(state.major());
            case MINOR -> Integer.toString(state.minor());
            case OPEN -> Integer.toString(state.openCount());
            case SEGMENTS -> Integer.toString(state.targetCount());
            case EVENTS -> Integer.toUnsignedString(state.eventNr());
            case DEVICE_COUNT -> Integer.toString(graph.below(state).size());
            case DEVS_USED -> graph.names(graph.below(state));
            case DEVNOS_USED -> DeviceGraph.numbers(graph.below(state));
            case BLKDEVS_USED -> DeviceGraph.blockDeviceNames(graph.below(state));
            case DEVICE_REF_COUNT -> Integer.toString(graph.above(state).size());
            case NAMES_USING_DEV -> graph.names(graph.above(state));
            case DEVNOS_USING_DEV -> DeviceGraph.numbers(graph.above(state));
            case SUBSYSTEM -> LvmName.subsystem(state.uuid());
            case VG_NAME -> LvmName.of(state).group();
            case LV_NAME -> LvmName.of(state).volume();
            case LV_LAYER -> LvmName.of(state).layer();
        };
    }
}
