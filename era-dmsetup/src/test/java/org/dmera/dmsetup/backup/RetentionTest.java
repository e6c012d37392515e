// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.dmera.tools.backup.apply.Applier;
import org.dmera.tools.backup.copy.CopyEngine;
import org.dmera.tools.backup.image.StreamImage;
import org.dmera.tools.backup.stream.StreamReader;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Older increments go into the full copy, and whatever happens meanwhile, what is to be kept can be restored. */
class RetentionTest {
    @TempDir
    Path dir;

    private final Random random = new Random(12);
    private final List<String> said = new ArrayList<>();
    /** What the origin held when the backup of that number was made; there is none of number 0. */
    private final List<byte[]> states = new ArrayList<>(List.of(new byte[0]));

    private FileEraDevice device;
    private Path streams;

    @BeforeEach
    void makeDevice() throws IOException {
        device = new FileEraDevice(dir, 600_000);
        streams = dir.resolve("streams");
        scribble(20);
    }

    @AfterEach
    void closeDevice() throws IOException {
        device.close();
    }

    private void scribble(int writes) {
        for (int i = 0; i < writes; i++) {
            byte[] bytes = new byte[1 + random.nextInt(20_000)];
            random.nextBytes(bytes);
            device.write(random.nextInt((int) device.sizeBytes() - bytes.length), bytes);
        }
    }

    /** Backs up, by an {@code f} for a full copy, an {@code i} for an increment. */
    private void backups(String kinds) throws IOException {
        for (int i = 0; i < kinds.length(); i++) {
            boolean full = kinds.charAt(i) == 'f';
            scribble(2);
            Backup.Options options = new Backup.Options(
                    streams, dir.resolve("state"), full, 0, 100, null, new CopyEngine.Options(2, 1, 0), true);
            try (Backup backup = new Backup(device, null, options, said::add)) {
                backup.run();
            }
            states.add(Files.readAllBytes(device.origin));
        }
    }

    private Retention retention(Path folder, int increments, Retention.Steps steps) {
        return new Retention(folder, device.name(), increments, 1, said::add, steps);
    }

    private List<String> names(Path folder) throws IOException {
        return StreamNames.all(folder, device.name()).stream()
                .map(stream -> stream.number() + (stream.full() ? "f" : "i"))
                .toList();
    }

    /** Every state from {@code first} on is what the names up to its number lead to, for those who apply and who look. */
    private void assertRestorable(Path folder, int first, String when) throws IOException {
        for (int number = first; number < states.size(); number++) {
            int last = number;
            List<Path> chain = StreamNames.all(folder, device.name()).stream()
                    .filter(stream -> stream.number() <= last)
                    .map(StreamNames.Named::file)
                    .toList();
            Path target = dir.resolve("target");
            List<StreamReader> readers = new ArrayList<>();
            try (Applier applier = new Applier(target, null)) {
                for (Path file : chain) {
                    readers.add(StreamReader.open(file.toString(), null));
                }
                applier.apply(readers, true, bytes -> {});
            } finally {
                for (StreamReader reader : readers) {
                    reader.close();
                }
            }
            assertEquals(-1, Arrays.mismatch(states.get(number), Files.readAllBytes(target)), when);
            try (StreamImage image = StreamImage.open(chain, 1 << 20, said::add)) {
                ByteBuffer bytes = ByteBuffer.allocate(states.get(number).length);
                image.read(image.states() - 1, 0, bytes);
                assertEquals(-1, Arrays.mismatch(states.get(number), bytes.array()), when);
            }
        }
    }

    private Path copyOf(Path folder, String name) throws IOException {
        Path copy = Files.createDirectory(dir.resolve(name));
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.copy(file, copy.resolve(file.getFileName()));
            }
        }
        return copy;
    }

    @Test
    void olderIncrementsAreMergedIntoTheFullCopy() throws IOException {
        backups("fiiiii");
        retention(streams, 2, step -> {}).keep();
        assertEquals(List.of("4f", "5i", "6i"), names(streams));
        assertRestorable(streams, 4, "after");
        retention(streams, 2, step -> {}).keep();
        assertEquals(List.of("4f", "5i", "6i"), names(streams));
        backups("i");
        retention(streams, 2, step -> {}).keep();
        assertEquals(List.of("5f", "6i", "7i"), names(streams));
        assertRestorable(streams, 5, "one more");
        retention(streams, 0, step -> {}).keep();
        assertEquals(List.of("7f"), names(streams));
        assertRestorable(streams, 7, "all in one");
    }

    @Test
    void whatIsMergedWhileAllAreVerifiedIsNoFault() throws IOException {
        backups("fiiii");
        List<String> verified = new ArrayList<>();
        boolean sound = new StoredBackups(streams, device.name()).verify(line -> {
            if (verified.isEmpty()) {
                retention(streams, 2, step -> {}).keep();
            }
            verified.add(line.replaceAll("(?s).*\\.0*([0-9]+)\\.(.).*erastream: (sound).*", "$1$2 $3"));
        });
        assertTrue(sound, verified.toString());
        assertEquals(List.of("1f sound", "3f sound", "4i sound", "5i sound"), verified);
    }

    @Test
    void anotherFullCopyAmongThemIsTheBeginningOfWhatIsKept() throws IOException {
        backups("fifii");
        retention(streams, 4, step -> {}).keep();
        assertEquals(List.of("1f", "2i", "3f", "4i", "5i"), names(streams), "there are no more than that");
        retention(streams, 2, step -> {}).keep();
        assertEquals(List.of("3f", "4i", "5i"), names(streams));
        retention(streams, 1, step -> {}).keep();
        assertEquals(List.of("4f", "5i"), names(streams));
        assertRestorable(streams, 4, "after");
    }

    @Test
    void anotherDevicesStreamsOfTheSameNameAreNeitherMergedNorDeleted() throws IOException {
        FileEraDevice ours = device;
        backups("f");
        try (FileEraDevice other = new FileEraDevice(Files.createDirectory(dir.resolve("other")), 300_000)) {
            device = other;
            backups("ff");
            device = ours;
            backups("fii");
            device = other;
            backups("f");
        }
        device = ours;
        backups("i");
        retention(streams, 1, step -> {}).keep();
        // The last is a full one because both have the same state file.
        assertEquals(List.of("2f", "3f", "6f", "7f", "8f"), names(streams));
        List<Path> merged = List.of(streams.resolve(StreamNames.of(ours.name(), 6, true)));
        try (StreamImage image = StreamImage.open(merged, 1 << 20, said::add)) {
            ByteBuffer bytes = ByteBuffer.allocate(states.get(6).length);
            image.read(0, 0, bytes);
            assertEquals(-1, Arrays.mismatch(states.get(6), bytes.array()));
        }
    }

    @Test
    void killedBetweenAnyTwoStepsItLeavesAChainThatTheNextRunFinishes() throws IOException {
        backups("fifii");
        List<Path> left = new ArrayList<>();
        List<String> steps = new ArrayList<>();
        retention(streams, 1, step -> {
                    // What a kill would leave now: nothing is closed or taken away.
                    left.add(copyOf(streams, "left" + left.size()));
                    steps.add(step);
                })
                .keep();
        assertEquals(6, steps.size(), steps.toString());
        for (int i = 0; i < left.size(); i++) {
            String when = "killed before: " + steps.get(i);
            assertRestorable(left.get(i), 4, when);
            backupAndKeepIn(left.get(i));
            assertEquals(List.of("4f", "5i"), names(left.get(i)), when);
            assertRestorable(left.get(i), 4, when);
            try (Stream<Path> files = Files.list(left.get(i))) {
                assertTrue(files.noneMatch(file -> file.toString().endsWith(".partial")), when);
            }
        }
        assertEquals(List.of("4f", "5i"), names(streams));
    }

    private void backupAndKeepIn(Path folder) throws IOException {
        retention(folder, 1, step -> {}).keep();
        for (Path partial : StreamNames.partial(folder, device.name())) {
            org.dmera.core.file.FileReplacement.deleteLeftOver(partial);
        }
    }

    @Test
    void aDamagedStreamStopsItBeforeAnyIsDeleted() throws IOException {
        backups("fiii");
        List<String> before = names(streams);
        for (StreamNames.Named stream : StreamNames.all(streams, device.name()).subList(0, 3)) {
            byte[] sound = Files.readAllBytes(stream.file());
            byte[] bytes = sound.clone();
            bytes[bytes.length / 2] ^= 1;
            Files.write(stream.file(), bytes);
            assertThrows(
                    IOException.class, () -> retention(streams, 1, step -> {}).keep());
            assertEquals(before, names(streams));
            Files.write(stream.file(), sound);
        }
        // A full copy whose predecessors are about to go must be sound, too.
        backups("fi");
        Path full = streams.resolve(StreamNames.of(device.name(), 5, true));
        byte[] bytes = Files.readAllBytes(full);
        bytes[bytes.length / 2] ^= 1;
        Files.write(full, bytes);
        assertThrows(IOException.class, () -> retention(streams, 1, step -> {}).keep());
        assertEquals(6, names(streams).size());
    }

    @Test
    void withoutAFullCopyNothingIsTouched() throws IOException {
        backups("fiii");
        Files.delete(streams.resolve(StreamNames.of(device.name(), 1, true)));
        assertThrows(IOException.class, () -> retention(streams, 1, step -> {}).keep());
        assertEquals(List.of("2i", "3i", "4i"), names(streams));
    }
}
