// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.List;
import java.util.stream.Stream;
import org.dmera.dmsetup.activation.Eratab;
import org.dmera.dmsetup.activation.EratabEntry;
import org.dmera.testkit.Alone;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The units fit the distribution, wherever that lies. */
@Alone
class SystemdUnitsTest {

    private static final String ANALYZE = "/usr/bin/systemd-analyze";

    @TempDir
    Path folder;

    private static void needAnalyze() {
        boolean there = Files.isExecutable(Path.of(ANALYZE));
        assertTrue(there || !"true".equals(System.getenv("CI")), "this machine lacks systemd-analyze");
        assumeTrue(there, "this machine lacks systemd-analyze (setup/packages.txt)");
    }

    static List<Path> services() throws IOException {
        try (Stream<Path> units = Files.list(Distribution.FOLDER.resolve("systemd"))) {
            return units.filter(unit -> unit.toString().endsWith(".service")).toList();
        }
    }

    private static String command(Path unit) throws IOException {
        List<String> starts = Files.readAllLines(unit).stream()
                .filter(line -> line.startsWith("ExecStart="))
                .toList();
        assertEquals(1, starts.size(), unit.toString());
        return starts.get(0).substring("ExecStart=".length());
    }

    @ParameterizedTest
    @MethodSource("services")
    void aServiceNamesALauncherWithoutAFolder(Path unit) throws IOException {
        String program = command(unit).replaceFirst(" .*", "");
        assertFalse(program.contains("/"), program);
        assertTrue(Files.isExecutable(Distribution.BIN.resolve(program)), program);
    }

    /** As systemd itself reads them, with the launcher where this distribution has it. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "era-backup@data.timer",
                "era-backup@data.service",
                "era-engine.socket",
                "era-engine-nbd.socket",
                "era-engine.service",
                "era-activate@data.service"
            })
    void systemdFindsNothingWrongWithAUnit(String unit) throws Exception {
        needAnalyze();
        try (Stream<Path> units = Files.list(Distribution.FOLDER.resolve("systemd"))) {
            for (Path each : units.filter(file -> file.toString().matches(".*\\.(service|socket|timer)"))
                    .toList()) {
                Files.writeString(
                        folder.resolve(each.getFileName()),
                        Files.readString(each).replaceAll("(Exec\\w+=)", "$1" + Distribution.BIN + "/"));
            }
        }
        assertEquals("", said(ANALYZE, "verify", "--man=no", folder.resolve(unit)));
    }

    @Test
    void theEnginesUnitIsNotExposed() throws Exception {
        needAnalyze();
        said(
                ANALYZE,
                "security",
                "--offline=yes",
                "--threshold=40",
                "--no-pager",
                Distribution.FOLDER.resolve("systemd/era-engine.service"));
    }

    /** What the generator makes of eratab: units that come after their devices, and before what is mounted on them. */
    @Test
    void theGeneratorOrdersEachDevice() throws Exception {
        needAnalyze();
        Path table = Files.writeString(folder.resolve("eratab"), """
                # NAME METADATA ORIGIN BLOCK-SIZE OPTIONS
                srv /dev/vg/srv_era ID=wwn-1 128 kernel,check
                img /images/50%\\040\\134new"meta /dev/vg/img 128 engine,attach,nofail
                net /dev/a /dev/b 8 _netdev
                by-hand /dev/c /dev/d 8 noauto
                """);
        Path made = Files.createDirectory(folder.resolve("made"));
        said("env", "ERA_TAB=" + table, Distribution.FOLDER.resolve("systemd/era-generator"), made, made, made);
        List<String> srv = Files.readAllLines(made.resolve("era-activate@srv.service.d/eratab.conf"));
        assertTrue(
                srv.containsAll(List.of(
                        "Before=blockdev@dev-mapper-srv.target",
                        "After=dev-vg-srv_era.device",
                        "After=dev-disk-by\\x2did-wwn\\x2d1.device",
                        "Before=local-fs.target")),
                srv.toString());
        List<String> img = Files.readAllLines(made.resolve("era-activate@img.service.d/eratab.conf"));
        assertTrue(
                img.containsAll(List.of(
                        "Before=blockdev@dev-era-img.target",
                        "RequiresMountsFor=\"/images/50%% \\\\new\\\"meta\"",
                        "Requires=era-engine.socket",
                        "After=era-engine.socket era-engine.service")),
                img.toString());
        assertFalse(img.contains("Before=local-fs.target"), img.toString());
        assertEquals(
                List.of("[Unit]", "Requires=era-activate@srv.service", "Wants=era-activate@img.service"),
                Files.readAllLines(made.resolve("local-fs.target.d/eratab.conf")));
        assertEquals(
                List.of("[Unit]", "Requires=era-activate@net.service"),
                Files.readAllLines(made.resolve("remote-fs.target.d/eratab.conf")));
        assertFalse(Files.exists(made.resolve("era-activate@by-hand.service.d")));
        // A local mount may wait for the engine, so that does not wait for the mounts.
        assertFalse(Files.exists(made.resolve("era-engine.service.d")));
    }

    /** A node has the name as device-mapper has it, and its mount is by that. */
    @Test
    void aMountOfADeviceWithABlankInItsNameComesAfterIt() throws Exception {
        needAnalyze();
        Path table = Files.writeString(folder.resolve("eratab"), """
                a\\040b'\\303\\244 /dev/e /dev/f 8
                c\\134x20d /dev/g /dev/h 8
                """);
        Path made = Files.createDirectory(folder.resolve("made"));
        said("env", "ERA_TAB=" + table, Distribution.FOLDER.resolve("systemd/era-generator"), made, made, made);
        for (String[] of :
                new String[][] {{"a\\x20b\\x27\\xc3\\xa4", "a\\x20b\\x27\\xc3\\xa4"}, {"c\\x5cx20d", "c\\x20d"}}) {
            String unit = said("systemd-escape", "--path", "--template=blockdev@.target", "/dev/mapper/" + of[1])
                    .strip();
            List<String> lines = Files.readAllLines(made.resolve("era-activate@" + of[0] + ".service.d/eratab.conf"));
            assertTrue(lines.contains("Before=" + unit), unit + " in " + lines);
        }
    }

    /** A table as an editor of another system leaves it, or one that ends no last line: for all that read it. */
    @Test
    void theLastLineCountsWhateverEndsItAndBackslashesAreWhatTheyAre() throws Exception {
        needAnalyze();
        Path table = Files.writeString(folder.resolve("eratab"), """
                by-hand /dev/c /dev/disk/by-partlabel/my\\134x20part 8 noauto\r
                raw /dev/e /dev/disk/by-partlabel/a\\x20b\\tc 8\r
                last /dev/a /dev/b 8""");
        assertEquals(
                List.of("by-hand", "raw", "last"),
                Eratab.read(table).entries().stream().map(EratabEntry::name).toList());

        Path made = Files.createDirectory(folder.resolve("made"));
        said("env", "ERA_TAB=" + table, Distribution.FOLDER.resolve("systemd/era-generator"), made, made, made);
        assertEquals(
                List.of("[Unit]", "Requires=era-activate@raw.service", "Requires=era-activate@last.service"),
                Files.readAllLines(made.resolve("local-fs.target.d/eratab.conf")));

        Path udev = Distribution.FOLDER.resolve("udev/era-udev");
        for (EratabEntry entry : Eratab.read(table).entries()) {
            String links = "DEVLINKS=" + entry.origin() + " /dev/disk/by-uuid/7";
            assertEquals(
                    entry.origin().substring("/dev/".length()) + " ",
                    said("env", "ERA_TAB=" + table, links, udev, "origin", "/dev/sdz"));
        }
    }

    @Test
    void theEngineTellsTheServiceManagerWhenItIsReadyAndWhenItStops() throws Exception {
        Path python = Path.of("/usr/bin/python3");
        Program.need(Files.isExecutable(python), "this machine lacks python3 (setup/packages.txt)");
        String script = """
                import os, socket, subprocess, sys
                manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                manager.bind(sys.argv[1])
                manager.settimeout(60)
                engine = subprocess.Popen(sys.argv[2:], env=dict(os.environ, NOTIFY_SOCKET=sys.argv[1]))
                print(manager.recv(100).decode())
                engine.terminate()
                print(manager.recv(100).decode())
                print(engine.wait())
                """;
        Program program = new Program(folder);
        assertEquals(
                "READY=1\nSTOPPING=1\n0\n",
                said(
                        python,
                        "-c",
                        script,
                        folder.resolve("notify"),
                        Distribution.FOLDER.resolve("bin/era-dmsetup"),
                        "engine",
                        "--log-level",
                        "error",
                        "--control",
                        program.socket,
                        "--state",
                        program.state));
    }

    @Test
    void theTimerElapsesEachNight() throws Exception {
        needAnalyze();
        String when = Files.readAllLines(Distribution.FOLDER.resolve("systemd/era-backup@.timer")).stream()
                .filter(line -> line.startsWith("OnCalendar="))
                .findFirst()
                .orElseThrow()
                .substring("OnCalendar=".length());
        List<String> days = said(ANALYZE, "calendar", "--iterations=3", when)
                .lines()
                .filter(line -> line.contains("Next elapse:") || line.contains("Iter"))
                .map(line -> line.replaceFirst(".*: [A-Z][a-z]+ ", ""))
                .toList();
        assertEquals(3, days.size(), days.toString());
        for (int i = 0; i < 3; i++) {
            assertEquals(
                    LocalDate.parse(days.get(0).substring(0, 10)).plusDays(i).toString(),
                    days.get(i).substring(0, 10),
                    days.toString());
        }
    }

    private String said(Object... command) throws Exception {
        Path out = folder.resolve("said");
        Process process = new ProcessBuilder(
                        Stream.of(command).map(Object::toString).toList())
                .redirectErrorStream(true)
                .redirectOutput(out.toFile())
                .start();
        assertEquals(0, process.waitFor(), () -> read(out));
        return read(out);
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Test
    void theEnginesCommandWorksThroughALinkWithTheSocketOfItsUnit() throws Exception {
        Path link =
                Files.createSymbolicLink(folder.resolve("era-dmsetup"), Distribution.FOLDER.resolve("bin/era-dmsetup"));
        String command = command(Distribution.FOLDER.resolve("systemd/era-engine.service"));
        String socket = Files.readAllLines(Distribution.FOLDER.resolve("systemd/era-engine.socket")).stream()
                .filter(line -> line.startsWith("ListenStream="))
                .findFirst()
                .orElseThrow()
                .substring("ListenStream=".length());
        assertTrue(command.contains("--control " + socket + " "), command);
        Program program = new Program(folder);
        String here = command.replace("era-dmsetup", link.toString())
                .replace(socket, program.socket.toString())
                .replace("/var/lib/era", program.state.toString());
        try (program) {
            program.run(List.of((here + " --detach").split(" ", -1))).ok();
            program.run("create", "vol", "--table", "0 8 zero").ok();
        }
    }
}
