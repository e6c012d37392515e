// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

/** The commands of the control interface, by the numbers of {@code linux/dm-ioctl.h}. */
public enum DmCommand {
    VERSION(0),
    REMOVE_ALL(1),
    LIST_DEVICES(2),
    DEV_CREATE(3),
    DEV_REMOVE(4),
    DEV_RENAME(5),
    DEV_SUSPEND(6),
    DEV_STATUS(7),
    DEV_WAIT(8),
    TABLE_LOAD(9),
    TABLE_CLEAR(10),
    TABLE_DEPS(11),
    TABLE_STATUS(12),
    LIST_VERSIONS(13),
    TARGET_MSG(14),
    DEV_SET_GEOMETRY(15),
    DEV_ARM_POLL(16),
    GET_TARGET_VERSION(17);

    /** {@code _IOWR(0xfd, 0, struct dm_ioctl)}: direction, size 312, and type of the ioctl request. */
    private static final long REQUEST_BASE = 0xC138FD00L;

    private static final DmCommand[] BY_NUMBER = values();

    private final int number;

    DmCommand(int number) {
        this.number = number;
    }

    /** The command's number: the low byte of the ioctl request, and the word in a frame on the socket. */
    public int number() {
        return number;
    }

    /** The request argument of ioctl(2). */
    public long request() {
        return REQUEST_BASE | number;
    }

    /** The command of this number, or null: unknown ones answer ENOTTY. */
    public static DmCommand ofNumber(int number) {
        return number >= 0 && number < BY_NUMBER.length ? BY_NUMBER[number] : null;
    }
}
