// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class CodecTest {
    @Test
    void deviceNumbersUseTheKernelsHugeEncoding() {
        assertEquals(0xfd00, DevNumber.encode(253, 0));
        assertEquals(0x12300000L | 0xfd45, DevNumber.encode(253, 0x12345));
        assertEquals(253, DevNumber.major(0x1230fd45L));
        assertEquals(0x12345, DevNumber.minor(0x1230fd45L));
    }

    @Test
    void anAnswerThatDoesNotFitSetsBufferFullAndStillCounts() {
        DmIoctl io = DmIoctl.request(400);
        TargetSpec.encodeAnswer(io, List.of(new TargetSpec(0, 8, "linear", "x".repeat(60))));
        assertTrue(io.has(DmFlags.BUFFER_FULL));

        DmIoctl fits = DmIoctl.request(DmIoctl.HEADER_BYTES + 40 + 61);
        TargetSpec.encodeAnswer(fits, List.of(new TargetSpec(0, 8, "linear", "x".repeat(60))));
        assertFalse(fits.has(DmFlags.BUFFER_FULL));
    }

    @Test
    void everyListAnswerKnowsABufferThatIsTooSmall() {
        DmIoctl names = DmIoctl.request(330);
        DeviceEntry.encode(names, List.of(new DeviceEntry(1, "name", 0, null)));
        assertTrue(names.has(DmFlags.BUFFER_FULL));
        DmIoctl versions = DmIoctl.request(330);
        TargetVersion.encode(versions, List.of(new TargetVersion("era", 1, 0, 0)));
        assertTrue(versions.has(DmFlags.BUFFER_FULL));
        DmIoctl deps = DmIoctl.request(320);
        Dependencies.encode(deps, List.of(1L));
        assertTrue(deps.has(DmFlags.BUFFER_FULL));
        DmIoctl text = DmIoctl.request(314);
        TextPayload.encodeAnswer(text, "long");
        assertTrue(text.has(DmFlags.BUFFER_FULL | DmFlags.DATA_OUT));
    }

    @Test
    void deviceListsCarryUuidsWhenTheyAreAskedFor() throws Exception {
        DmIoctl io = DmIoctl.request(4096);
        List<DeviceEntry> entries = List.of(
                new DeviceEntry(DevNumber.encode(120, 0), "a", 7, "uuid-of-a"),
                new DeviceEntry(DevNumber.encode(120, 300), "b", 0, ""));
        DeviceEntry.encode(io, entries);
        assertEquals(entries, DeviceEntry.decode(io, true));
    }

    @Test
    void aTargetThatLeadsBackwardsIsRefused() {
        DmIoctl io = DmIoctl.request(1024);
        TargetSpec.encodeRequest(io, List.of(new TargetSpec(0, 8, "zero", ""), new TargetSpec(8, 8, "zero", "")));
        io.buffer().putInt(io.dataStart() + 20, 0);
        assertThrows(MalformedPayloadException.class, () -> TargetSpec.decodeRequest(io));
        io.buffer().putInt(io.dataStart() + 20, 0xfffffff8);
        assertThrows(MalformedPayloadException.class, () -> TargetSpec.decodeRequest(io));
    }

    @Test
    void aTextWithoutItsNulIsRefused() {
        DmIoctl io = DmIoctl.request(340);
        for (int at = io.dataStart(); at < 340; at++) {
            io.buffer().put(at, (byte) 'x');
        }
        assertThrows(MalformedPayloadException.class, () -> TextPayload.decode(io));
        assertThrows(MalformedPayloadException.class, () -> TextPayload.messageText(io));
    }

    @Test
    void aNameWithoutItsNulIsCutAsTheKernelCutsIt() {
        DmIoctl io = DmIoctl.request(512);
        for (int at = 48; at < 305; at++) {
            io.buffer().put(at, (byte) 'n');
        }
        assertEquals(127, io.name().length());
        assertEquals(128, io.uuid().length());
    }

    @Test
    void aHugeTargetCountReservesNothing() {
        DmIoctl io = DmIoctl.request(512);
        TargetSpec.encodeRequest(io, List.of(new TargetSpec(0, 8, "zero", "")));
        io.setTargetCount(-1);
        assertThrows(MalformedPayloadException.class, () -> TargetSpec.decodeRequest(io));
    }
}
