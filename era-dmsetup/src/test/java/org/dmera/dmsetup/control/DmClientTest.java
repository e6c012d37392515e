// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TextPayload;
import org.junit.jupiter.api.Test;

class DmClientTest {
    private static final int DEVICES = 200;

    /** An engine that freezes whatever it is told to, each time anew. */
    private static final class Freezing implements Control {
        private int frozen;

        @Override
        public int call(int command, ByteBuffer buffer) throws IOException {
            DmIoctl io = DmIoctl.over(buffer);
            if (command == DmCommand.TARGET_MSG.number()) {
                frozen++;
                StringBuilder answer = new StringBuilder();
                for (int i = 0; i < DEVICES; i++) {
                    answer.append("4294967295 ").append(name(i)).append("\n");
                }
                TextPayload.encodeAnswer(io, answer.toString());
            }
            io.setDev(DevNumber.encode(120, 1_000_000));
            return 0;
        }

        /** As long as any can be. */
        private static String name(int i) {
            String era = i + "@4294967295";
            return "n".repeat(DmIoctl.NAME_BYTES - 1 - era.length()) + era;
        }

        @Override
        public String describe() {
            return "a test";
        }
    }

    @Test
    void devicesAreFrozenOnceThoughTheAnswerIsLongerThanMostAre() throws IOException {
        Freezing engine = new Freezing();
        List<DeviceId> devices = new ArrayList<>();
        for (int i = 0; i < DEVICES; i++) {
            devices.add(DeviceId.ofName("n" + i));
        }
        List<DmClient.View> views = new DmClient(engine).freeze(devices, Path.of("/cow"), true, List.of());
        assertEquals(DEVICES, views.size());
        assertEquals(new DmClient.View(Freezing.name(7), 4_294_967_295L), views.get(7));
        assertEquals(1, engine.frozen);
    }
}
