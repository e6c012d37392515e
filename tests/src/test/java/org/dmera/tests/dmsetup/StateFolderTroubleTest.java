// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A state folder in which nothing can be kept any more: each command that changes what is remembered fails in a line and
 * changes nothing, and once the trouble is over an engine finds all of it, and each command works.
 */
@Timeout(600)
@Alone
class StateFolderTroubleTest {
    private static final int SECTORS = 2048;
    private static final String EPERM = "Operation not permitted";

    @TempDir
    Path folder;

    private Program program;
    private final List<String[]> undo = new ArrayList<>();

    @BeforeEach
    void makeProgram() {
        Program.need(Program.isRoot(), "attributes of files and mounts need root");
        program = new Program(folder);
    }

    @AfterEach
    void end() throws Exception {
        program.kill();
        for (int i = undo.size() - 1; i >= 0; i--) {
            program.run(List.of(undo.get(i)));
        }
    }

    private void host(String... command) throws Exception {
        program.run(List.of(command)).ok();
    }

    /** One that is also done at the end of a test that fails. */
    private void atTheEnd(String... command) {
        undo.add(command);
    }

    private String table(String file) {
        return "0 " + SECTORS + " linear " + folder.resolve(file) + " 0";
    }

    /** Not in the background: its log would be in the folder. */
    private void begin() throws Exception {
        Path log = Files.createTempFile(folder, "engine", ".log");
        Process engine = program.beginEngine(log);
        while (!Files.readString(log).contains(" answers at ")) {
            assertTrue(engine.isAlive(), () -> log.toString());
            Thread.sleep(10);
        }
        Program.awaitBack(() -> Files.readString(log));
    }

    private void makeDevices() throws Exception {
        program.file("a", SECTORS);
        program.file("b", SECTORS);
        for (String name : List.of("vol", "quiet", "held", "gone", "forced", "wiped")) {
            program.run("create", name, "--table", table("a"), "-u", "uuid-" + name)
                    .ok();
        }
        program.run("load", "vol", "--table", table("b")).ok();
        program.run("suspend", "quiet").ok();
        program.run("create", "bare", "-n").ok();
        program.run("create", "top", "--table", "0 " + SECTORS + " linear engine:held 0")
                .ok();
    }

    /** Each is of one device of those above, and can be done after those before it. */
    private List<List<String>> changes() {
        return List.of(
                List.of("create", "new", "--table", table("b")),
                List.of("create", "new2", "-n"),
                List.of("load", "bare", "--table", table("b")),
                List.of("rename", "bare", "--setuuid", "uuid-bare"),
                List.of("clear", "vol"),
                List.of("load", "vol", "--table", table("b")),
                List.of("suspend", "vol"),
                List.of("resume", "vol"),
                List.of("rename", "vol", "other"),
                List.of("resume", "quiet"),
                List.of("remove", "--deferred", "held"),
                List.of("wipe_table", "wiped"),
                List.of("remove", "gone"),
                List.of("remove", "--force", "forced"),
                List.of("remove_all"));
    }

    /** What can be seen of all devices. */
    private String seen() throws Exception {
        return program.run("info", "-c", "--noheadings", "-o", "name,attr,uuid,suspended,open")
                        .ok()
                        .out()
                + program.run("table").ok().out()
                + program.run("table", "--inactive").ok().out();
    }

    /** No change is made, and each refusal is a line that says {@code why}. */
    private void assertNothingChanges(String why) throws Exception {
        assertNothingChanges(why, changes());
    }

    private void assertNothingChanges(String why, List<List<String>> changes) throws Exception {
        String before = seen();
        for (List<String> change : changes) {
            Program.Result result = program.run(change.toArray(String[]::new));
            assertEquals(1, result.exit(), () -> change + result.out());
            // Of these, one puts an error table in first, and one tries one device after another.
            List<String> lines = new ArrayList<>(result.err().lines().toList());
            assertEquals("Command failed.", lines.remove(lines.size() - 1), result.err());
            boolean several = change.contains("--force") || change.contains("remove_all");
            assertTrue(several || lines.size() == 1, () -> change + "\n" + result.err());
            for (String line : lines) {
                assertTrue(line.endsWith(why), () -> change + "\n" + result.err());
            }
        }
        assertEquals(before, seen());
    }

    private void assertAllIsThereAndWorks(String before) throws Exception {
        program.kill();
        begin();
        assertEquals(before, seen());
        for (List<String> change : changes()) {
            program.run(change.toArray(String[]::new)).ok();
            if (change.contains("--deferred")) {
                // What can be seen before all is gone.
                String changed = seen();
                assertNotEquals(before, changed);
                program.kill();
                begin();
                assertEquals(changed, seen());
            }
        }
        assertEquals("No devices found\n", program.run("ls").ok().out());
        try (Stream<Path> left = Files.list(program.state)) {
            assertEquals(
                    List.of("lock"),
                    left.map(file -> file.getFileName().toString())
                            .filter(name -> !name.equals("lost+found"))
                            .toList());
        }
    }

    @Test
    void whatCanNotBeRememberedInAnImmutableFolderOrInOneThatIsGoneIsNotDone() throws Exception {
        Files.createDirectories(program.state);
        Program.Result attribute = program.run(List.of("chattr", "+i", program.state.toString()));
        Program.need(attribute.exit() == 0, "this file system has no immutable files: " + attribute.err());
        host("chattr", "-i", program.state.toString());
        begin();
        makeDevices();
        String before = seen();
        atTheEnd("chattr", "-R", "-i", program.state.toString());

        host("chattr", "+i", program.state.toString());
        assertNothingChanges(EPERM);
        host("chattr", "-i", program.state.toString());

        Path away = folder.resolve("away");
        Files.move(program.state, away);
        assertNothingChanges("No such file or directory");
        // Somebody has made it again.
        Files.createDirectory(program.state);
        assertNothingChanges("No such file or directory");
        Files.delete(program.state);
        Files.move(away, program.state);

        assertAllIsThereAndWorks(before);
    }

    @Test
    void norIsItInAFileSystemThatTurnedReadOnly() throws Exception {
        Program.need(Files.exists(Path.of("/dev/loop-control")), "needs loop devices");
        assumeTrue(Boolean.getBoolean("era.nightly"), "takes half a minute: -Dera.nightly=true");
        String image = program.file("ext4", 32768).toString();
        String mounted = program.state.toString();
        host("mkfs.ext4", "-q", image);
        Files.createDirectories(program.state);
        host("mount", "-o", "loop,errors=remount-ro", image, mounted);
        atTheEnd("umount", mounted);
        host("chmod", "700", mounted);
        begin();
        makeDevices();
        String before = seen();
        String device = program.run(List.of("findmnt", "-no", "SOURCE", mounted))
                .ok()
                .out()
                .strip();
        // As the file system does by itself when it finds that it is damaged.
        Path trigger = Path.of("/sys/fs/ext4", Path.of(device).getFileName().toString())
                .resolve("trigger_fs_error");
        Program.need(Files.exists(trigger), "this kernel has no " + trigger);
        Files.writeString(trigger, "1");
        assertNothingChanges("Read-only file system");
        program.kill();
        host("umount", mounted);
        program.run(List.of("e2fsck", "-fy", image));
        host("mount", "-o", "loop", image, mounted);
        assertAllIsThereAndWorks(before);
    }

    @Test
    void norIsItInAFileSystemThatIsFull() throws Exception {
        assumeTrue(Boolean.getBoolean("era.nightly"), "takes half a minute: -Dera.nightly=true");
        Files.createDirectories(program.state);
        host("mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "state", program.state.toString());
        atTheEnd("umount", program.state.toString());
        begin();
        makeDevices();
        String before = seen();
        Path filler = program.state.resolve("filler");
        assertEquals(
                1,
                program.run(List.of("dd", "if=/dev/zero", "of=" + filler, "bs=4k"))
                        .exit());
        // Removal needs no space.
        List<List<String>> changes = changes().stream()
                .filter(change -> !change.contains("gone") && !change.contains("remove_all"))
                .filter(change -> !change.contains("--force"))
                .toList();
        assertNothingChanges("No space left on device", changes);
        Files.delete(filler);
        assertAllIsThereAndWorks(before);
    }
}
