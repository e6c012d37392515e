// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

/** The bits of {@code dm_ioctl.flags}, and those that travel in the high half of {@code event_nr}. */
public final class DmFlags {
    public static final int READONLY = 1;
    /** In: suspend (resume when clear). Out: the device is suspended. */
    public static final int SUSPEND = 1 << 1;
    /** Old interfaces' "the device exists"; libdevmapper sets it in every call, so we do. */
    public static final int EXISTS = 1 << 2;
    /** {@code dev} is given. */
    public static final int PERSISTENT_DEV = 1 << 3;
    /** TABLE_STATUS gives the table rather than the status. */
    public static final int STATUS_TABLE = 1 << 4;

    public static final int ACTIVE_PRESENT = 1 << 5;
    public static final int INACTIVE_PRESENT = 1 << 6;
    /** Out: the call succeeded but its payload did not fit; call again with a larger buffer. */
    public static final int BUFFER_FULL = 1 << 8;

    public static final int SKIP_BDGET = 1 << 9;
    public static final int SKIP_LOCKFS = 1 << 10;
    public static final int NOFLUSH = 1 << 11;
    public static final int QUERY_INACTIVE_TABLE = 1 << 12;
    public static final int UEVENT_GENERATED = 1 << 13;
    /** DEV_RENAME: the payload is a uuid. LIST_DEVICES: give uuids too. */
    public static final int UUID = 1 << 14;

    /** In: what the call carries is a secret, and is wiped. */
    public static final int SECURE_DATA = 1 << 15;
    /** Out: a message's answer is in the payload. */
    public static final int DATA_OUT = 1 << 16;

    public static final int DEFERRED_REMOVE = 1 << 17;
    public static final int INTERNAL_SUSPEND = 1 << 18;
    public static final int IMA_MEASUREMENT = 1 << 19;

    /** How far udev's flags are shifted in {@code event_nr}; the low half is the cookie. */
    public static final int UDEV_FLAGS_SHIFT = 16;

    public static final int UDEV_DISABLE_DM_RULES = 1;
    public static final int UDEV_DISABLE_SUBSYSTEM_RULES = 1 << 1;
    /** The event's origin is a call of ours, not a synthesized one: rules act only when it is set. */
    public static final int UDEV_PRIMARY_SOURCE = 1 << 6;

    private DmFlags() {}
}
