// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.util.List;
import org.dmera.dmsetup.device.DeviceIo;
import org.junit.jupiter.api.Test;

/** How a client comes to its device. */
class NbdHandshakeTest {
    /** A client that has sent all that it will ever say. */
    private record Spoken(ByteBuffer words) implements ByteChannel {
        @Override
        public int read(ByteBuffer dst) {
            int n = Math.min(dst.remaining(), words.remaining());
            dst.put(words.slice(words.position(), n));
            words.position(words.position() + n);
            return n;
        }

        @Override
        public int write(ByteBuffer src) {
            int n = src.remaining();
            src.position(src.limit());
            return n;
        }

        @Override
        public boolean isOpen() {
            return true;
        }

        @Override
        public void close() {}
    }

    /** Counts those who have its device open, which there is no memory to tell of. */
    private static final class Exports implements ExportSource {
        int open;

        @Override
        public List<String> names() {
            return List.of();
        }

        @Override
        public OpenDevice open(String name) {
            open++;
            return new OpenDevice() {
                @Override
                public DeviceIo io() {
                    throw new OutOfMemoryError("for the test");
                }

                @Override
                public void close() {
                    open--;
                }
            };
        }
    }

    @Test
    void aDeviceThatAClientDidNotGetForWantOfMemoryIsNotOpen() {
        for (int option : new int[] {Nbd.OPT_EXPORT_NAME, Nbd.OPT_GO}) {
            ByteBuffer words = ByteBuffer.allocate(64).putInt(Nbd.FIXED_NEWSTYLE);
            words.putLong(Nbd.OPTION_MAGIC).putInt(option).putInt(6).putInt(0).putShort((short) 0);
            Exports exports = new Exports();
            NbdHandshake handshake = new NbdHandshake(new Spoken(words.flip()), exports, null, false);
            assertThrows(OutOfMemoryError.class, handshake::run);
            assertEquals(0, exports.open, "after option " + option);
        }
    }
}
