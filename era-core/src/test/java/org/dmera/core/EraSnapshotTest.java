// SPDX-License-Identifier: Apache-2.0
package org.dmera.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import javax.tools.ToolProvider;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.content.BlockSet;
import org.dmera.core.file.FileClaim;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Eras;
import org.dmera.core.format.Superblock;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.FileSpace;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.read.MetadataRoots;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** What a backup program asks of a device's metadata, and what it is told. */
class EraSnapshotTest {
    private static final int BLOCKS = 1000;
    private static final long BLOCK_BYTES = 4096;

    @TempDir
    private Path folder;

    private final MemoryBlockDevice device = new MemoryBlockDevice(512);

    private EraMetadata formatted(int nrBlocks) throws IOException {
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(nrBlocks);
        metadata.rollover();
        metadata.commit();
        return metadata;
    }

    private Path file() throws Exception {
        return Files.write(folder.resolve("meta"), device.bytes());
    }

    @Test
    void theProgramOfTheManualCopiesWhatWasWritten() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.mark(3);
        metadata.rollover();
        long era = metadata.currentEra();
        metadata.mark(7);
        metadata.mark(8);
        metadata.mark(BLOCKS - 1);
        metadata.takeSnapshot();
        metadata.commit();
        List<ByteRange> copied = new ArrayList<>();
        try (EraSnapshot snapshot = EraSnapshot.open(file())) {
            for (ByteRange range : snapshot.changedSince(era)) {
                copied.add(range);
            }
        }
        assertEquals(
                List.of(
                        new ByteRange(7 * BLOCK_BYTES, 2 * BLOCK_BYTES),
                        new ByteRange((BLOCKS - 1) * BLOCK_BYTES, BLOCK_BYTES)),
                copied);
    }

    @Test
    void damageIsNamedByRuleBlockStructureAndDevice() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.takeSnapshot();
        metadata.commit();
        long eraArray = MetadataRoots.readSnapshot(device).eraArrayRoot();
        Path file = file();
        breakBlock(file, eraArray);
        try (EraSnapshot snapshot = EraSnapshot.open(file)) {
            requireDamage(eraArray, "era array", file, () -> snapshot.changedSince(0));
            requireDamage(eraArray, "era array", file, snapshot::token);
        }
        breakBlock(file, 0);
        requireDamage(0, "superblock", file, () -> EraSnapshot.openOffline(file));
        try (BlockDevice broken = FileBlockDevice.open(file, true)) {
            requireDamage(0, "superblock", file, () -> EraMetadata.openOrFormat(broken, 8));
        }
    }

    private static void breakBlock(Path file, long blockNr) throws IOException {
        try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "rw")) {
            bytes.seek(blockNr * BlockDevice.BLOCK_BYTES + BlockDevice.BLOCK_BYTES - 1);
            bytes.write(0x55);
        }
    }

    private static void requireDamage(long blockNr, String structure, Path file, Executable reading) {
        DamagedMetadataException damage = assertThrows(DamagedMetadataException.class, reading);
        assertEquals(DamageKind.BAD_CHECKSUM, damage.kind());
        assertEquals(blockNr, damage.blockNr());
        assertEquals(structure, damage.structure());
        assertEquals(file.toString(), damage.device());
    }

    /** The program that the README shows is compiled as it stands there, and run. */
    @Test
    void theProgramOfTheReadmeCopiesWhatWasWritten() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.mark(7);
        metadata.takeSnapshot();
        metadata.commit();
        String readme = Files.readString(Fixtures.projectRoot().resolve("README.md"));
        String shown = readme.substring(readme.indexOf("## A library"));
        String program = shown.substring(shown.indexOf("```java\n") + 8, shown.indexOf("\n```\n"));
        assertTrue(program.contains("Path.of(\"/dev/vg/meta\")"), program);
        Path source = Files.writeString(
                folder.resolve("Program.java"),
                "import java.nio.file.Path;\nimport org.dmera.core.*;\npublic class Program {\n"
                        + "public static final StringBuilder COPIED = new StringBuilder();\n"
                        + "static void copy(long offset, long length) { COPIED.append(offset + \"+\" + length + \" \"); }\n"
                        + "public static void run(long era) throws java.io.IOException {\n"
                        + program.replace("/dev/vg/meta", file().toString()) + "\n}\n}\n");
        int code = ToolProvider.getSystemJavaCompiler()
                .run(null, null, null, "-proc:none", "-cp", classes(), "-d", folder.toString(), source.toString());
        assertEquals(0, code, program);
        try (URLClassLoader loader =
                new URLClassLoader(new URL[] {folder.toUri().toURL()}, EraSnapshotTest.class.getClassLoader())) {
            Class<?> compiled = loader.loadClass("Program");
            compiled.getMethod("run", long.class).invoke(null, metadata.currentEra() - 1);
            assertEquals(
                    7 * BLOCK_BYTES + "+" + BLOCK_BYTES + " ",
                    compiled.getField("COPIED").get(null).toString());
        }
    }

    private static String classes() throws Exception {
        return Path.of(EraSnapshot.class
                        .getProtectionDomain()
                        .getCodeSource()
                        .getLocation()
                        .toURI())
                .toString();
    }

    @Test
    void rangesAreThoseOfTheSetHoweverItsRunsLie() throws Exception {
        Random random = new Random(20);
        for (int trial = 0; trial < 300; trial++) {
            int size = 1 + random.nextInt(400);
            BlockSet set = new BlockSet(size);
            BitSet expected = new BitSet(size);
            for (int i = random.nextInt(4); i > 0; i--) {
                int from = random.nextInt(size);
                int to = Math.min(size, from + random.nextInt(200));
                for (int b = from; b < to; b++) {
                    set.add(b);
                    expected.set(b);
                }
            }
            BitSet visited = new BitSet(size);
            long[] last = {-1};
            set.forEachRange((begin, end) -> {
                assertTrue(begin > last[0] && end > begin && end <= size, begin + " to " + end);
                visited.set((int) begin, (int) end);
                last[0] = end;
            });
            assertEquals(expected, visited);
        }
    }

    @Test
    void anEraToComeIsRefused() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.takeSnapshot();
        metadata.commit();
        try (EraSnapshot snapshot = EraSnapshot.open(file())) {
            assertEquals(List.of(), blocks(snapshot.changedSince(snapshot.currentEra())));
            for (int later = 1; later <= 2; later++) {
                long tooLate = snapshot.currentEra() + later;
                IOException refusal = assertThrows(IOException.class, () -> snapshot.changedSince(tooLate));
                assertTrue(
                        refusal.getMessage().contains("current era is " + snapshot.currentEra()), refusal::getMessage);
            }
        }
        metadata.archive();
        metadata.commit();
        try (EraSnapshot atRest = EraSnapshot.openOffline(file())) {
            assertEquals(List.of(), blocks(atRest.changedSince(atRest.point().era())));
            assertThrows(IOException.class, () -> atRest.changedSince(atRest.currentEra() + 2));
        }
    }

    @Test
    void aPointKeptFromTheLastTimeFindsWhatWasWrittenSinceOrOnItsWayThen() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.mark(2);
        metadata.rollover();
        metadata.mark(3);
        metadata.takeSnapshot();
        metadata.commit();
        EraPoint point;
        String token;
        try (EraSnapshot snapshot = EraSnapshot.open(file())) {
            point = kept(snapshot.point());
            token = snapshot.token().toString();
        }
        metadata.dropSnapshot();
        metadata.rollover();
        metadata.mark(5);
        metadata.takeSnapshot();
        metadata.commit();
        try (EraSnapshot snapshot = EraSnapshot.open(file())) {
            assertEquals(List.of(3L, 5L), blocks(snapshot.changedSince(point)));
            assertEquals(List.of(3L, 5L), blocks(snapshot.changedSince(EraToken.parse(token))));
        }
    }

    @Test
    void aPointOfMetadataThatWasMadeAnewIsRefusedThoughItsEraHasPassed() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.mark(3);
        metadata.rollover();
        metadata.takeSnapshot();
        metadata.commit();
        EraPoint point;
        EraToken token;
        try (EraSnapshot snapshot = EraSnapshot.open(file())) {
            point = kept(snapshot.point());
            token = snapshot.token();
        }
        device.write(0, java.nio.ByteBuffer.allocate((int) (512 * BLOCK_BYTES)));
        EraMetadata anew = formatted(BLOCKS);
        for (int i = 0; i < 9; i++) {
            anew.rollover();
            anew.mark(4);
        }
        anew.takeSnapshot();
        anew.commit();
        try (EraSnapshot snapshot = EraSnapshot.open(file())) {
            IOException refusal = assertThrows(IOException.class, () -> snapshot.changedSince(point));
            assertTrue(refusal.getMessage().contains("made anew"), refusal::getMessage);
            refusal = assertThrows(IOException.class, () -> snapshot.changedSince(token));
            assertTrue(refusal.getMessage().contains("made anew"), refusal::getMessage);
        }
    }

    @Test
    void aSnapshotThatIsReplacedWhileItIsReadIsNoAnswer() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.takeSnapshot();
        metadata.commit();
        Path file = file();
        try (EraSnapshot snapshot = EraSnapshot.open(file)) {
            metadata.dropSnapshot();
            metadata.rollover();
            metadata.mark(1);
            metadata.takeSnapshot();
            metadata.commit();
            Files.write(file, device.bytes());
            assertThrows(IOException.class, () -> snapshot.changedSince(0));
        }
    }

    @Test
    void aSnapshotThatIsClosedSaysSo() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.mark(2);
        metadata.takeSnapshot();
        metadata.commit();
        EraSnapshot snapshot = EraSnapshot.open(file());
        EraPoint point = snapshot.point();
        EraToken token = snapshot.token();
        snapshot.close();
        for (Executable late : List.<Executable>of(
                () -> snapshot.changedSince(0),
                () -> snapshot.changedSince(point),
                () -> snapshot.changedSince(token),
                snapshot::point,
                snapshot::token)) {
            String said = assertThrows(IOException.class, late).getMessage();
            assertEquals(folder.resolve("meta") + ": this snapshot of it is closed, and can't be asked any more", said);
        }
        snapshot.close();
    }

    /** Options are the programs': what there is instead of one, the caller knows. */
    @Test
    void whatIsInUseIsToldWithoutAProgramsOption() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.commit();
        Path file = file();
        try (BlockDevice held = DeviceOpener.open(file, true, DeviceOpener.Claim.EXCLUSIVE)) {
            IOException refusal = assertThrows(IOException.class, () -> EraSnapshot.openOffline(file));
            assertEquals("File " + held.name() + " is in use (locked by another program)", refusal.getMessage());
        }
    }

    @Test
    void metadataAtRestStaysClaimedWhateverElseInTheProcessOpensIt() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.commit();
        Path file = file();
        try (EraSnapshot offline = EraSnapshot.openOffline(file)) {
            EraSnapshot.openOffline(file).close();
            assertThrows(IOException.class, () -> EraSnapshot.open(file));
            Files.readAllBytes(file);
            assertFalse(anEngineCanTake(file));
            assertEquals(BLOCKS, offline.nrBlocks());
        }
        assertTrue(anEngineCanTake(file));
    }

    private static boolean anEngineCanTake(Path file) throws IOException {
        int fd = FileDescriptors.open(file.toString(), FileDescriptors.O_RDWR);
        try {
            return FileSpace.tryLockByte(fd, FileClaim.CLAIM_BYTE, true);
        } finally {
            FileDescriptors.close(fd);
        }
    }

    @Test
    void metadataThatNobodyUsesIsReadWithoutASnapshotAndOnlyThen() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.mark(2);
        metadata.commit();
        Path file = file();
        assertThrows(IOException.class, () -> EraSnapshot.open(file).close());
        try (EraSnapshot offline = EraSnapshot.openOffline(file)) {
            assertEquals(List.of(2L), blocks(offline.changedSince(1)));
            assertEquals(BLOCKS, offline.nrBlocks());
            // As era_copy has it: a writeset that is open may still get writes.
            assertEquals(offline.currentEra(), offline.point().era());
            assertEquals(List.of(2L), blocks(offline.changedSince(offline.token())));
        }
    }

    @Test
    void metadataThatRestedAllTheTimeSaysThatNothingWasWritten() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.mark(2);
        metadata.archive();
        metadata.commit();
        Path file = file();
        EraPoint point;
        try (EraSnapshot offline = EraSnapshot.openOffline(file)) {
            point = kept(offline.point());
        }
        try (EraSnapshot offline = EraSnapshot.openOffline(file)) {
            assertEquals(List.of(), blocks(offline.changedSince(point)));
            assertEquals(List.of(), blocks(offline.changedSince(offline.token())));
        }
        metadata.rollover();
        metadata.mark(5);
        metadata.commit();
        Files.write(file, device.bytes());
        try (EraSnapshot offline = EraSnapshot.openOffline(file)) {
            assertEquals(List.of(5L), blocks(offline.changedSince(point)));
        }
    }

    @Test
    void whatACrashHasLeftIsNotTakenForOtherMetadata() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.rollover();
        metadata.mark(2);
        metadata.commit();
        EraPoint point;
        EraToken token;
        try (EraSnapshot offline = EraSnapshot.openOffline(file())) {
            point = kept(offline.point());
            token = EraToken.parse(offline.token().toString());
        }
        try (EraSnapshot offline = EraSnapshot.openOffline(file())) {
            assertEquals(List.of(2L), blocks(offline.changedSince(point)));
            assertEquals(List.of(2L), blocks(offline.changedSince(token)));
        }
        metadata.rollover();
        metadata.mark(5);
        metadata.commit();
        try (EraSnapshot offline = EraSnapshot.openOffline(file())) {
            assertEquals(List.of(2L, 5L), blocks(offline.changedSince(point)));
            assertEquals(List.of(2L, 5L), blocks(offline.changedSince(token)));
        }
    }

    @Test
    void aPointIsRefusedByMetadataFromBeforeIt() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.commit();
        Path before = Files.write(folder.resolve("before"), device.bytes());
        metadata.rollover();
        metadata.takeSnapshot();
        metadata.commit();
        try (EraSnapshot snapshot = EraSnapshot.open(file());
                EraSnapshot old = EraSnapshot.openOffline(before)) {
            EraPoint point = snapshot.point();
            IOException refusal = assertThrows(IOException.class, () -> old.changedSince(point));
            assertTrue(refusal.getMessage().contains("the era went back"), refusal::getMessage);
        }
    }

    /** No block shows it: nothing was written between the two. */
    @Test
    void aPointIsRefusedByMetadataThatRestedRightBeforeIt() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.mark(2);
        metadata.archive();
        metadata.commit();
        Path before = Files.write(folder.resolve("before"), device.bytes());
        metadata.rollover();
        metadata.takeSnapshot();
        metadata.commit();
        try (EraSnapshot snapshot = EraSnapshot.open(file());
                EraSnapshot old = EraSnapshot.openOffline(before)) {
            EraPoint point = kept(snapshot.point());
            IOException refusal = assertThrows(IOException.class, () -> old.changedSince(point));
            assertTrue(refusal.getMessage().contains("the era went back"), refusal::getMessage);
            EraToken token = snapshot.token();
            assertThrows(IOException.class, () -> old.changedSince(token));
        }
    }

    /** 2^32 − 1 is followed by 0, from which on everything counts as written. */
    @Test
    void atTheEndOfTheErasTheNextTokenAsksForEverything() throws Exception {
        EraMetadata metadata = formatted(BLOCKS);
        metadata.archive();
        metadata.commit();
        java.nio.ByteBuffer bytes = java.nio.ByteBuffer.wrap(device.bytes()).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        new Superblock().wrap(bytes, 0).currentEra(Eras.HIGHEST);
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        try (EraSnapshot offline = EraSnapshot.openOffline(file())) {
            EraToken token = offline.token();
            assertEquals(token, EraToken.parse(token.toString()));
            assertEquals(BLOCKS, blocks(offline.changedSince(token)).size());
            assertEquals(0, offline.point().era());
        }
    }

    private static List<Long> blocks(Iterable<ByteRange> ranges) {
        List<Long> blocks = new ArrayList<>();
        for (ByteRange range : ranges) {
            for (long at = range.offset(); at < range.offset() + range.length(); at += BLOCK_BYTES) {
                blocks.add(at / BLOCK_BYTES);
            }
        }
        return blocks;
    }

    private static EraPoint kept(EraPoint point) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        point.write(bytes);
        return EraPoint.read(new ByteArrayInputStream(bytes.toByteArray()));
    }
}
