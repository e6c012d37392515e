// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.format.Superblock;
import org.dmera.tools.input.MetadataInput;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Devices of eratab: made when all is right with them, refused with the reason when a record would be lost. */
class ActivationTest {
    private static final long SECTORS = 8192;

    @TempDir
    Path folder;

    private TestEngine engine;
    private DmSetupOnEngine dmsetup;
    private Path eratab;

    @BeforeEach
    void twoEnrolledDevices() throws Exception {
        engine = new TestEngine(folder);
        dmsetup = new DmSetupOnEngine(engine);
        eratab = folder.resolve("eratab");
        StringBuilder lines = new StringBuilder("# two\n\n");
        for (String name : List.of("a", "b")) {
            engine.file(name + "_meta", 2048);
            engine.file(name + "_origin", SECTORS);
            create(name, "--enroll").ok();
            lines.append(line(name, "engine"));
        }
        // Different histories: a has seen more eras.
        command("checkpoint", "a").ok();
        command("checkpoint", "a").ok();
        Files.writeString(eratab, lines);
        run("deactivate", "--all").ok();
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
    }

    /** What a command did. */
    private record Done(int exit, String out, String err) {
        Done ok() {
            assertEquals(0, exit, err);
            return this;
        }
    }

    private Done command(String... words) {
        DmSetupOnEngine.Result result = dmsetup.run(List.of(words), "");
        return new Done(result.exit(), String.join("\n", result.stdout()), String.join("\n", result.stderr()));
    }

    private String line(String name, String options) {
        return name + "\t" + folder.resolve(name + "_meta") + " " + folder.resolve(name + "_origin") + " 8 " + options
                + "\n";
    }

    private String table(String name) {
        return "0 " + SECTORS + " era " + folder.resolve(name + "_meta") + " " + folder.resolve(name + "_origin")
                + " 8";
    }

    private Done create(String name, String option) throws Exception {
        return command("create", name, "--table", table(name), option, "--eratab", eratab.toString());
    }

    private Done run(String... words) throws Exception {
        String[] all = new String[words.length + 2];
        System.arraycopy(words, 0, all, 0, words.length);
        all[words.length] = "--eratab";
        all[words.length + 1] = eratab.toString();
        return command(all);
    }

    private List<String> devices() throws Exception {
        return command("ls")
                .ok()
                .out()
                .lines()
                .map(line -> line.replaceFirst("\t.*", ""))
                .toList();
    }

    /** A device that is made anew is in another era. */
    private String eraOf(String name) {
        return command("status", name).ok().out().replaceFirst(".*/[0-9]+ ", "");
    }

    private void assertRefused(String name, String why) throws Exception {
        byte[] before = Files.readAllBytes(folder.resolve(name + "_meta"));
        Done result = run("activate", name);
        assertEquals(1, result.exit(), result.err());
        assertTrue(result.err().startsWith(name + ": "), result.err());
        assertTrue(result.err().contains(why), result.err());
        assertTrue(!devices().contains(name), "made all the same");
        assertTrue(java.util.Arrays.equals(before, Files.readAllBytes(folder.resolve(name + "_meta"))), "touched");
    }

    @Test
    void allAreMadeAndTakenAwayAndOnceMoreChangesNothing() throws Exception {
        run("activate", "--all").ok();
        assertEquals(List.of("a", "b"), devices());
        assertEquals(table("a"), command("table", "a").ok().out());
        String status = eraOf("a");
        run("activate", "a", "b").ok();
        assertEquals(status, eraOf("a"));
        run("deactivate", "--all").ok();
        assertEquals(List.of("No devices found"), devices());
        run("deactivate", "--all").ok();
    }

    @Test
    void whetherADeviceIsThereIsNotGuessedWhereNoEngineCanBeAsked() throws Exception {
        // A socket that is gone, or that a killed engine left, has none behind it.
        run("deactivate", "a", "--control", folder.resolve("none").toString()).ok();
        Path left = Files.createFile(folder.resolve("left"));
        run("deactivate", "a", "--control", left.toString()).ok();

        for (String command : List.of("activate", "deactivate")) {
            Done result = run(command, "a", "--control", left.resolve("socket").toString());
            assertEquals(1, result.exit(), result.err());
            assertTrue(result.err().startsWith("a: no engine answers at " + left + "/socket: "), result.err());
        }
        assertEquals(List.of("No devices found"), devices());
    }

    @Test
    void metadataOfTwoDevicesThatWereMixedUpIsRefused() throws Exception {
        Path other = folder.resolve("other");
        Files.move(folder.resolve("a_meta"), other);
        Files.move(folder.resolve("b_meta"), folder.resolve("a_meta"));
        Files.move(other, folder.resolve("b_meta"));
        assertRefused("a", "is not the metadata device that was enrolled");
        assertRefused("b", "is not the metadata device that was enrolled");
    }

    @Test
    void anotherOriginIsRefused() throws Exception {
        Files.copy(folder.resolve("a_origin"), folder.resolve("copy"));
        Files.move(folder.resolve("copy"), folder.resolve("a_origin"), StandardCopyOption.REPLACE_EXISTING);
        assertRefused("a", "is not the origin that was enrolled");
    }

    @Test
    void anOldCopyOfTheMetadataIsRefused() throws Exception {
        byte[] old = Files.readAllBytes(folder.resolve("a_meta"));
        run("activate", "a").ok();
        command("checkpoint", "a").ok();
        run("deactivate", "a").ok();
        overwrite("a_meta", old);
        assertRefused("a", "the era went back from");
    }

    /** The target would take zeroes for a new device. */
    @Test
    void metadataThatWasWipedIsRefusedAndStaysWiped() throws Exception {
        overwrite("a_meta", new byte[2048 * 512]);
        assertRefused("a", "bad checksum in superblock (it is all zeroes)");
    }

    private void overwrite(String name, byte[] bytes) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(folder.resolve(name).toFile(), "rw")) {
            file.write(bytes);
        }
    }

    @Test
    void aDeviceThatNobodyEnrolledIsRefused() throws Exception {
        engine.file("c_meta", 2048);
        engine.file("c_origin", SECTORS);
        command("create", "c", "--table", table("c")).ok();
        command("remove", "c").ok();
        Files.writeString(eratab, line("c", "engine"));
        assertRefused("c", "create the device once with --enroll");
    }

    @Test
    void damagedMetadataIsRefusedWhereItIsToBeChecked() throws Exception {
        Path meta = folder.resolve("a_meta");
        byte[] bytes = Files.readAllBytes(meta);
        assertTrue(isSound(meta));
        countOneTooMany(bytes);
        overwrite("a_meta", bytes);
        assertFalse(isSound(meta));
        Files.writeString(eratab, line("a", "engine,check"));
        assertRefused("a", "is damaged (0 fatal, ");
        Files.writeString(eratab, line("a", "engine,repair=counts"));
        run("activate", "a").ok();
        run("deactivate", "a").ok();
        assertTrue(isSound(meta));
    }

    private static boolean isSound(Path meta) throws IOException {
        try (BlockDevice device = MetadataInput.open(meta, false)) {
            return MetadataChecker.check(device).isClean();
        }
    }

    /** The number of allocated blocks that the superblock tells: of the kind that can be mended where it is. */
    private static void countOneTooMany(byte[] metadata) {
        ByteBuffer block = ByteBuffer.wrap(metadata, 0, 4096).slice().order(ByteOrder.LITTLE_ENDIAN);
        block.putLong(Superblock.SM_NR_ALLOCATED, block.getLong(Superblock.SM_NR_ALLOCATED) + 1);
        new BlockSeal().seal(BlockType.SUPERBLOCK, block, 0, 0);
    }

    @Test
    void oneThatFailsKeepsNoOtherFromComing() throws Exception {
        Files.delete(folder.resolve("a_origin"));
        Done result = run("activate", "--all");
        assertEquals(1, result.exit());
        assertTrue(result.err().startsWith("a: " + folder.resolve("a_origin") + ": No such file"), result.err());
        assertEquals(List.of("b"), devices());
        run("deactivate", "b").ok();
        Files.writeString(eratab, line("a", "engine,nofail") + line("b", "engine"));
        assertTrue(run("activate", "--all").ok().err().startsWith("a: "));
        assertEquals(List.of("b"), devices());
    }

    @Test
    void oneThatIsNotForTheBootIsMadeByNameAlone() throws Exception {
        Files.writeString(eratab, line("a", "engine,noauto") + line("b", "engine"));
        run("activate", "--all").ok();
        assertEquals(List.of("b"), devices());
        run("activate", "a").ok();
        run("deactivate", "--all").ok();
        assertEquals(List.of("No devices found"), devices());
    }

    @Test
    void anotherDeviceOfTheNameIsNotTakenForIt() throws Exception {
        command("create", "a", "--table", "0 8 zero").ok();
        Done result = run("activate", "a");
        assertEquals("a: there is another device of that name\nCommand failed.", result.err());
        assertEquals(1, run("deactivate", "a").exit());
        assertEquals(List.of("a"), devices());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "a /m /o | expected NAME METADATA ORIGIN BLOCK-SIZE [OPTIONS], found 3 fields",
                "a /m /o 8 engine more | expected NAME METADATA ORIGIN BLOCK-SIZE [OPTIONS], found 6 fields",
                "a/b /m /o 8 | \"a/b\" can't be the name of a device",
                "control /m /o 8 | \"control\" can't be the name of a device",
                "a m /o 8 | metadata m: expected a path from /, ID= or PARTUUID=",
                "a /m UUID=1 8 | origin UUID=1: a file system's name leads to the era device as well as to its origin: "
                        + "name the disk, by ID=, PARTUUID= or a path",
                "a /m /o 0 | block size 0: expected a number of sectors of 512 bytes",
                "a /m /o 64k | block size 64k: expected a number of sectors of 512 bytes",
                "a /m /o 8 engine,kernel | options engine and kernel exclude each other",
                "a /m /o 8 attach | option attach: the kernel's devices have nodes of their own; it goes with engine",
                "a /m /o 8 nofial | option \"nofial\": expected _netdev, attach, check, defaults, engine, kernel, noauto, "
                        + "nofail, repair=counts, repair=never",
                "x /m /o 8 | there is a device x in an earlier line",
                "y /n /o 8 | /n is the metadata of x, too",
            })
    void aLineThatMakesNoSenseIsRefusedWithItsNumber(String line, String why) throws Exception {
        Files.writeString(eratab, "# one\nx /n /p 8\n" + line + "\n");
        Done done = run("activate", "--all");
        assertEquals(1, done.exit());
        assertEquals(eratab + ": line 3: " + why + "\nCommand failed.", done.err());
    }

    @Test
    void blanksInNamesAreWrittenAsInFstab() throws Exception {
        Path meta = folder.resolve("a #meta");
        Files.move(folder.resolve("a_meta"), meta);
        Files.writeString(eratab, line("a", "engine").replace("a_meta", "a\\040#meta"));
        run("activate", "a").ok();
        run("activate", "a").ok();
        assertEquals(List.of("a"), devices());
    }

    @Test
    void aDeviceThatCantBeEnrolledIsNotMade() throws Exception {
        Done result = command("create", "z", "--table", "0 8 zero", "--enroll");
        assertEquals("--enroll: expected a table of one era target.\nCommand failed.", result.err());
        assertEquals(List.of("No devices found"), devices());
    }
}
