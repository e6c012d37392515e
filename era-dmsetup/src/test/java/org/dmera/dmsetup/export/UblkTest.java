// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** What the driver is sent is what its header says: numbers and offsets as a C compiler has them from linux/ublk_cmd.h. */
class UblkTest {
    private static String hex(ByteBuffer structure) {
        byte[] bytes = new byte[structure.capacity()];
        structure.get(0, bytes);
        return HexFormat.of().formatHex(bytes);
    }

    @Test
    void commandsAreEncodedAsIoctlsAre() {
        // _IOWR('u', UBLK_CMD_ADD_DEV, struct ublksrv_ctrl_cmd)
        assertEquals(0xc0207504, Ublk.encoded(Ublk.ADD_DEV, Ublk.CONTROL_BYTES));
        // _IOWR('u', UBLK_IO_COMMIT_AND_FETCH_REQ, struct ublksrv_io_cmd)
        assertEquals(0xc0107521, Ublk.encoded(Ublk.COMMIT_AND_FETCH_REQ, Ublk.IO_BYTES));
    }

    @Test
    void aDeviceToBeAddedHasItsFieldsWhereTheDriverLooks() {
        ByteBuffer info = Ublk.info(-1, 32, 131072, 0x18, 0x1122334455667788L);
        assertEquals(
                // One queue, its depth, the state, padding; the longest request; the number; the server; padding.
                "0100" + "2000" + "0000" + "0000" + "00000200" + "ffffffff" + "00000000" + "00000000"
                        // Flags, and those of the server.
                        + "1800000000000000" + "8877665544332211" + "00".repeat(24),
                hex(info));
        assertEquals(-1, Ublk.id(info));
        assertEquals(0x18, Ublk.flags(info));
        assertEquals(0x1122334455667788L, Ublk.serverFlags(info));
        assertEquals(Ublk.STATE_DEAD, Ublk.state(info));
    }

    @Test
    void theBlockDevicesParametersAreWhereTheDriverLooks() {
        String types = "40000000" + "03000000";
        // Blocks of 512 and 4096 bytes; 256 sectors, no chunks; 2048 sectors, no boundary.
        String basic = "090c0c0c" + "00010000" + "00000000" + "0008000000000000" + "0000000000000000";
        String discard = "00000000" + "00100000" + "00002000" + "00002000" + "0100" + "0000" + "00000000";
        assertEquals(types + "0c000000" + basic + discard, hex(Ublk.params(1 << 20, 131072, false)));
        assertEquals(types + "0d000000" + basic + discard, hex(Ublk.params(1 << 20, 131072, true)));
    }

    @Test
    void allRequestsTogetherFitIntoOneBufferOfThePool() {
        assertTrue((long) UblkQueue.DEPTH * UblkQueue.MAX_BYTES <= BufferPool.LARGEST_BYTES);
        assertEquals(0, UblkQueue.MAX_BYTES % 4096);
    }
}
