// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.DeviceStore;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whatever moment an engine is killed at, the next one knows whose each ublk device is. */
class UblkNotesTest {
    private static final UblkNode.Identity IDENTITY = new UblkNode.Identity(7, 0x1122334455667788L);

    @TempDir
    Path folder;

    private final List<String> log = new ArrayList<>();
    private MappedDevice device;
    private Path note;

    @BeforeEach
    void makeDevice() throws IOException {
        DeviceRegistry registry = new DeviceRegistry(
                List.of(),
                (any, readOnly, found) -> name -> null,
                task -> new Thread(task).start(),
                DeviceStore.NONE,
                EngineLog.silent());
        device = registry.create("vol", "", OptionalInt.empty());
        note = folder.resolve("ublk-7");
    }

    private UblkNotes notes() throws IOException {
        UblkNotes notes = new UblkNotes(folder, log::add);
        notes.read();
        return notes;
    }

    @Test
    void aNoteIsReplacedAsAWholeAndNeverEmptiedFirst() throws IOException {
        UblkNotes writer = notes();
        writer.starting(IDENTITY, device);
        Path before = Files.createLink(folder.resolve("before"), note);
        writer.started(IDENTITY, device);
        String line = "1122334455667788 %s 0 " + device.id() + "\n";
        assertEquals(line.formatted("starting"), Files.readString(before));
        assertEquals(line.formatted("started"), Files.readString(note));
        assertEquals(List.of(new UblkNotes.Left(IDENTITY, true, 0, device.id())), notes().leftFor(device));
        writer.gone(IDENTITY);
        assertEquals(List.of(), notes().leftFor(device));
        assertEquals(List.of(), log);
    }

    @Test
    void aNoteThatAKilledEngineHadNotFinishedIsTakenAwayAndTheOneBeforeItHolds() throws IOException {
        notes().starting(IDENTITY, device);
        Path unfinished = Files.createFile(folder.resolve("ublk-7.new"));
        assertEquals(List.of(new UblkNotes.Left(IDENTITY, false, 0, device.id())), notes().leftFor(device));
        assertFalse(Files.exists(unfinished));
        assertEquals(List.of(), log);
    }

    @Test
    void aNodeThatIsStillOpenHidesNotTheOneThatTookItsPlace() throws IOException {
        UblkNotes writer = notes();
        Set<UblkNode.Identity> identities = new HashSet<>();
        for (int id = 0; id < 4; id++) {
            identities.add(new UblkNode.Identity(id, id));
            writer.started(new UblkNode.Identity(id, id), device);
        }
        UblkNotes next = notes();
        assertEquals(
                identities,
                next.leftFor(device).stream().map(UblkNotes.Left::identity).collect(Collectors.toSet()));
        for (UblkNode.Identity each : identities) {
            assertTrue(next.isLeft(each.node()), "its link stays");
        }
        assertEquals(List.of(), next.takeAllBut(List.of(device), List.of()));
        next.settled(next.leftFor(device).get(0));
        assertEquals(
                identities.size() - 1, next.takeAllBut(List.of(), List.of()).size());
        assertEquals(List.of(), next.leftFor(device));
    }

    @Test
    void theNoteOfADeviceThatHasTheNumberOfOneThatIsGoneStays() throws IOException {
        UblkNotes writer = notes();
        writer.started(new UblkNode.Identity(7, 1), device);
        writer.started(IDENTITY, device);
        writer.gone(new UblkNode.Identity(7, 1));
        assertEquals(List.of(new UblkNotes.Left(IDENTITY, true, 0, device.id())), notes().leftFor(device));
        writer.gone(IDENTITY);
        assertFalse(Files.exists(note));
        assertEquals(List.of(), log);
    }

    @Test
    void aFileThatCanNotBeTakenAwayKeepsNoOtherNoteFromBeingRead() throws Exception {
        List<UblkNode.Identity> identities = new ArrayList<>();
        for (int id = 0; id < 8; id++) {
            identities.add(new UblkNode.Identity(id, id));
            Files.writeString(
                    folder.resolve("ublk-" + id), String.format("%016x started %d id-%d%n", (long) id, id, id));
        }
        try (ImmutableFile stubborn = new ImmutableFile(folder.resolve("ublk-3.new"))) {
            List<UblkNotes.Left> left = notes().takeAllBut(List.of(), List.of());
            assertEquals(
                    new HashSet<>(identities),
                    left.stream().map(UblkNotes.Left::identity).collect(Collectors.toSet()));
            assertEquals(1, log.size(), log::toString);
            assertTrue(log.get(0).contains(stubborn.path().toString()), log::toString);
        }
    }
}
