// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The numbers and structures of the kernel's ublk driver, {@code linux/ublk_cmd.h}: a block device {@code /dev/ublkbN} whose
 * requests a process takes and answers at {@code /dev/ublkcN}. All integers are in the machine's byte order.
 *
 * <p>Linux 6.0 has it. Since 6.4 a command's number may be encoded as an ioctl's is, and later kernels may be built to take
 * no other.
 */
final class Ublk {
    static final int SECTOR_BYTES = 512;

    // Commands to /dev/ublk-control.
    static final int GET_DEV_INFO = 0x02;
    static final int ADD_DEV = 0x04;
    static final int DEL_DEV = 0x05;
    static final int START_DEV = 0x06;
    static final int STOP_DEV = 0x07;
    static final int SET_PARAMS = 0x08;
    static final int START_USER_RECOVERY = 0x10;
    static final int END_USER_RECOVERY = 0x11;
    static final int GET_FEATURES = 0x13;

    // Commands to /dev/ublkcN.
    static final int FETCH_REQ = 0x20;
    static final int COMMIT_AND_FETCH_REQ = 0x21;

    /** What a device can do, and is asked to. */
    static final long F_USER_RECOVERY = 1 << 3;
    /** What was under way when the server died is sent to the next one; without, it fails. */
    static final long F_USER_RECOVERY_REISSUE = 1 << 4;

    static final long F_CMD_IOCTL_ENCODE = 1 << 6;

    static final int STATE_DEAD = 0;

    static final int OP_READ = 0;
    static final int OP_WRITE = 1;
    static final int OP_FLUSH = 2;
    static final int OP_DISCARD = 3;
    static final int OP_WRITE_ZEROES = 5;
    /** In the word that has the operation in its lowest byte. */
    static final int OP_MASK = 0xff;

    static final int IO_FUA = 1 << 13;
    static final int IO_NOUNMAP = 1 << 15;

    // struct ublksrv_ctrl_cmd, 32 bytes.
    static final int CONTROL_BYTES = 32;
    static final int CONTROL_ID = 0;
    static final int CONTROL_QUEUE = 4;
    static final int CONTROL_LENGTH = 6;
    static final int CONTROL_ADDRESS = 8;
    static final int CONTROL_DATA = 16;

    // struct ublksrv_io_cmd, 16 bytes.
    static final int IO_BYTES = 16;
    static final int IO_QUEUE = 0;
    static final int IO_TAG = 2;
    static final int IO_RESULT = 4;
    static final int IO_ADDRESS = 8;

    // struct ublksrv_io_desc.
    static final int DESCRIPTOR_BYTES = 24;
    static final int DESCRIPTOR_OPERATION = 0;
    static final int DESCRIPTOR_SECTORS = 4;
    static final int DESCRIPTOR_START = 8;

    // struct ublksrv_ctrl_dev_info.
    private static final int INFO_BYTES = 64;
    private static final int INFO_STATE = 4;
    private static final int INFO_ID = 12;
    private static final int INFO_FLAGS = 24;
    private static final int INFO_SERVER_FLAGS = 32;

    // struct ublk_params, up to what concerns discards.
    private static final int PARAMS_BYTES = 64;
    private static final int PARAM_BASIC = 1;
    private static final int PARAM_DISCARD = 2;
    private static final int ATTR_READ_ONLY = 1;
    private static final int ATTR_VOLATILE_CACHE = 4;
    private static final int ATTR_FUA = 8;
    private static final byte SECTOR_LOG2 = 9;
    private static final byte PAGE_LOG2 = 12;
    private static final int PAGE_BYTES = 1 << PAGE_LOG2;
    /** The longest discard or zeroing, 1 GiB. */
    private static final int MAX_ZAP_SECTORS = 1 << 21;

    private Ublk() {}

    /** A command's number as ioctl(2) would have it: both directions, the argument's size, the driver's letter. */
    static int encoded(int command, int argumentBytes) {
        return 3 << 30 | argumentBytes << 16 | 'u' << 8 | command;
    }

    /**
     * A device that is to be added: one queue of {@code depth} requests, each of {@code maxBytes} at most.
     *
     * @param id its number, −1 for a free one
     * @param flags what it is asked to do
     * @param serverFlags kept by the driver for whoever serves it
     */
    static ByteBuffer info(int id, int depth, int maxBytes, long flags, long serverFlags) {
        ByteBuffer info = emptyInfo();
        info.putShort(0, (short) 1).putShort(2, (short) depth);
        info.putInt(8, maxBytes).putInt(INFO_ID, id);
        return info.putLong(INFO_FLAGS, flags).putLong(INFO_SERVER_FLAGS, serverFlags);
    }

    /** For the driver to tell of a device. */
    static ByteBuffer emptyInfo() {
        return ByteBuffer.allocateDirect(INFO_BYTES).order(ByteOrder.nativeOrder());
    }

    static int state(ByteBuffer info) {
        return info.getShort(INFO_STATE);
    }

    static int id(ByteBuffer info) {
        return info.getInt(INFO_ID);
    }

    static long flags(ByteBuffer info) {
        return info.getLong(INFO_FLAGS);
    }

    static long serverFlags(ByteBuffer info) {
        return info.getLong(INFO_SERVER_FLAGS);
    }

    /** What the block device is to be: one with a volatile cache, that knows FUA, discards and zeroing. */
    static ByteBuffer params(long sizeBytes, int maxBytes, boolean readOnly) {
        ByteBuffer params = ByteBuffer.allocateDirect(PARAMS_BYTES).order(ByteOrder.nativeOrder());
        params.putInt(PARAMS_BYTES).putInt(PARAM_BASIC | PARAM_DISCARD);
        params.putInt(ATTR_VOLATILE_CACHE | ATTR_FUA | (readOnly ? ATTR_READ_ONLY : 0));
        // Logical and physical blocks, the best and the least length of a request.
        params.put(SECTOR_LOG2).put(PAGE_LOG2).put(PAGE_LOG2).put(PAGE_LOG2);
        params.putInt(maxBytes / SECTOR_BYTES).putInt(0);
        params.putLong(sizeBytes / SECTOR_BYTES).putLong(0);
        params.putInt(0).putInt(PAGE_BYTES).putInt(MAX_ZAP_SECTORS).putInt(MAX_ZAP_SECTORS);
        // One range in a discard.
        params.putShort((short) 1);
        return params.clear();
    }
}
