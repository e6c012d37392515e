// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Each buffer that the real dmsetup and the real kernel exchanged, decoded and encoded again. */
class RecordedTrafficTest {
    static Stream<Recording.Run> runs() {
        return Recording.runs().stream();
    }

    @ParameterizedTest
    @MethodSource("runs")
    void everyRequestIsDecodedAndEncodedToTheSameBytes(Recording.Run run) throws Exception {
        for (Recording.Call call : run.calls()) {
            DmIoctl from = call.sent();
            DmIoctl to = DmIoctl.over(ByteBuffer.allocate(call.before().length));
            copyHeader(from, to);
            switch (call.command()) {
                case TABLE_LOAD -> {
                    List<TargetSpec> specs = TargetSpec.decodeRequest(from);
                    TargetSpec.encodeRequest(to, specs);
                    assertTrue(DmIoctl.HEADER_BYTES + TargetSpec.encodedBytes(specs) <= call.before().length);
                }
                case TARGET_MSG ->
                    TextPayload.encodeMessage(to, TextPayload.messageSector(from), TextPayload.messageText(from));
                case DEV_RENAME -> TextPayload.encode(to, TextPayload.decode(from));
                default -> {}
            }
            assertArrayEquals(call.before(), to.buffer().array(), call.command() + " of " + run);
        }
    }

    @ParameterizedTest
    @MethodSource("runs")
    void everyAnswerIsDecodedAndEncodedOverItsRequestToTheSameBytes(Recording.Run run) throws Exception {
        for (Recording.Call call : run.calls()) {
            DmIoctl from = call.answer();
            DmIoctl to = call.sent();
            copyHeader(from, to);
            // As an engine has it when it encodes the payload: the whole buffer is free.
            to.setDataSize(to.buffer().limit());
            if (call.result() == 0) {
                switch (call.command()) {
                    case TABLE_STATUS, DEV_WAIT -> TargetSpec.encodeAnswer(to, TargetSpec.decodeAnswer(from));
                    case LIST_DEVICES -> DeviceEntry.encode(to, withoutUuids(DeviceEntry.decode(from, true)));
                    case LIST_VERSIONS -> TargetVersion.encode(to, TargetVersion.decode(from));
                    case TABLE_DEPS -> Dependencies.encode(to, Dependencies.decode(from));
                    default -> to.setDataSize(from.dataSize());
                }
            }
            if (from.dataSize() == DmIoctl.USED_HEADER_BYTES) {
                to.setDataSize(from.dataSize());
            }
            assertArrayEquals(call.after(), to.buffer().array(), call.command() + " of " + run);
        }
    }

    /** The recorded kernel was not asked for uuids; its entries carry flags of 0. */
    private static List<DeviceEntry> withoutUuids(List<DeviceEntry> entries) {
        entries.forEach(entry -> assertEquals(null, entry.uuid()));
        return entries;
    }

    private static void copyHeader(DmIoctl from, DmIoctl to) {
        to.setVersion(from.versionMajor(), from.versionMinor(), from.versionPatch());
        to.setDataSize(from.dataSize());
        to.setDataStart(from.dataStart());
        to.setTargetCount(from.targetCount());
        to.setOpenCount(from.openCount());
        to.setFlags(from.flags());
        to.setEventNr(from.eventNr());
        to.setDev(DevNumber.encode(DevNumber.major(from.dev()), DevNumber.minor(from.dev())));
        to.setName(from.name());
        to.setUuid(from.uuid());
    }

    @Test
    void requestNumbersAreTheRecordedOnes() {
        Set<DmCommand> seen = EnumSet.noneOf(DmCommand.class);
        for (Recording.Run run : Recording.runs()) {
            for (Recording.Call call : run.calls()) {
                assertEquals(call.request(), call.command().request());
                seen.add(call.command());
            }
        }
        assertEquals(15, seen.size(), "commands in the recording: " + seen);
    }
}
