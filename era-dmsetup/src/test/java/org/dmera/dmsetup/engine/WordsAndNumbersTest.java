// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.control.Control;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.control.SocketControl;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the command line makes of odd names, numbers and tables: what was meant, or one line and nothing done. */
class WordsAndNumbersTest {
    private static final int NAME_AT = 48;

    @TempDir
    Path folder;

    private TestEngine engine;
    private DmSetupOnEngine dmsetup;

    @BeforeEach
    void start() throws IOException {
        engine = new TestEngine(folder);
        dmsetup = new DmSetupOnEngine(engine);
        good("create", "vol", "--table", "0 8 zero");
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
    }

    private List<String> good(String... words) {
        DmSetupOnEngine.Result result = dmsetup.run(List.of(words), "");
        assertEquals(0, result.exit(), () -> result.stderr().toString());
        return result.stdout();
    }

    /** One line on standard error, besides dmsetup's closing one; and the devices are as before. */
    private String refused(String... words) {
        List<String> before = good("info");
        DmSetupOnEngine.Result result = dmsetup.run(List.of(words), "");
        assertEquals(1, result.exit(), List.of(words).toString());
        assertEquals(2, result.stderr().size(), () -> result.stderr().toString());
        String closing = result.stderr().get(1);
        assertTrue(closing.equals("Command failed.") || closing.equals("Couldn't process command line."), closing);
        assertFalse(
                result.stderr().get(0).contains("internal error"),
                result.stderr().get(0));
        assertEquals(before, good("info"));
        return result.stderr().get(0);
    }

    @Test
    void anInterruptInACallIsTheEndOfThatCallOnly() throws IOException {
        byte[] name = {'v', 'o', 'l'};
        SocketControl control = SocketControl.connect(engine.socket);
        try (control) {
            Thread.currentThread().interrupt();
            assertThrows(ClosedByInterruptException.class, () -> call(control, DmCommand.DEV_CREATE, name));
            assertTrue(Thread.interrupted());
            assertEquals(-Errno.ENXIO.number(), call(control, DmCommand.DEV_STATUS, new byte[] {'n', 'o'}));
        }
        assertThrows(ClosedChannelException.class, () -> call(control, DmCommand.DEV_STATUS, name));
    }

    @Test
    void rawFramesTellNamesApartThatAreNoText() throws IOException {
        byte[] one = {(byte) 0xff, (byte) 0xfe};
        byte[] other = {(byte) 0xfd, (byte) 0xfd};
        try (Control control = SocketControl.connect(engine.socket)) {
            assertEquals(0, call(control, DmCommand.DEV_CREATE, one));
            assertEquals(-Errno.ENXIO.number(), call(control, DmCommand.DEV_REMOVE, other));
            assertEquals(0, call(control, DmCommand.DEV_CREATE, other));
            assertEquals(0, call(control, DmCommand.DEV_REMOVE, one));
            assertEquals(-Errno.ENXIO.number(), call(control, DmCommand.DEV_STATUS, one));
            assertEquals(0, call(control, DmCommand.DEV_STATUS, other));
        }
        try (DmClient client = engine.client()) {
            assertEquals(
                    List.of("vol", "\u00fd\u00fd"),
                    client.list().stream().map(entry -> entry.name()).toList());
        }
    }

    @Test
    void anEngineItselfRefusesTheNamesThatNoNodeCanHave() throws IOException {
        try (DmClient client = engine.client()) {
            for (String name : new String[] {"control", ".", "..", "a/b"}) {
                byte[] bytes = name.getBytes(StandardCharsets.US_ASCII);
                assertEquals(-Errno.EINVAL.number(), call(client.control(), DmCommand.DEV_CREATE, bytes), name);
                DmException renaming = assertThrows(
                        DmException.class,
                        () -> DmCall.of("rename", DmCommand.DEV_RENAME, DeviceId.ofName("vol"))
                                .text(name)
                                .run(client.control()),
                        name);
                assertTrue(renaming.is(Errno.EINVAL), renaming.getMessage());
            }
            assertEquals(
                    List.of("vol"),
                    client.list().stream().map(entry -> entry.name()).toList());
        }
    }

    private static int call(Control control, DmCommand command, byte[] name) throws IOException {
        DmIoctl io = DmIoctl.request(DmIoctl.INITIAL_BUFFER_BYTES);
        io.setVersion(4, 0, 0);
        io.buffer().put(NAME_AT, name);
        return control.call(command.number(), io.buffer());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "remove -j 120 -m 99999999999",
                "remove -j 120 -m x",
                "remove -j 120 -m -0",
                "remove -j 120 -m 1048576",
                "remove -j 4096 -m 0",
                "remove -j 120 -m 0x0",
                "remove -j 120x -m 0",
                "info -j 18446744073709551736 -m 0",
                "create new -n -m 4294967296 -j 120",
                "create new --uid 99999999999 -n",
                "create new --gid staff -n",
                "create new --mode 77777777777777 -n",
                "create new --mode 0x1ff -n",
                "create new --readahead lots -n",
                "info -c --count 1x",
                "info -c --count 99999999999",
                "info -c --interval 1.5",
                "message vol 0x0 hello",
                "message vol 1sector hello",
                "message vol -1 hello",
                "message vol 99999999999999999999999 hello",
                "wait vol event",
                "create --concise new,,-1,,",
                "create --concise new,,4294967296,,",
                "setgeometry vol a b c d",
                "udevflags 4x",
            })
    void aNumberThatCanNotBeReadIsNeverZero(String line) {
        refused(line.split(" ", -1));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "-1 8 zero",
                "0 -8 zero",
                "0x0 8 zero",
                "0 8x zero",
                "0 99999999999999999999999 zero",
                "18446744073709551616 8 zero",
                "0 8 striped 99999999999 8 7:0 0",
                "0 8 linear 7:0 99999999999999999999999",
                "0 8",
                "0 8 zero\0x",
            })
    void aTablesNumberThatCanNotBeReadMakesNoDevice(String table) {
        refused("create", "new", "--table", table);
    }

    @Test
    void eventNumbersAreReadAsAtoiDoes() {
        for (String number : new String[] {"3abc", "-1", "4294967295", " +7", "99999999999"}) {
            good("wait", "--", "vol", number);
        }
    }

    @Test
    void everyByteButAFewIsMangled() {
        good("create", "sp ace\u00c3\u00b6$", "-n", "-u", "a/b");
        assertEquals(List.of("sp\\x20ace\\xc3\\xb6\\x24:a\\x2fb"), raw("sp"));
        good("info", "sp ace\u00c3\u00b6$");
        good("info", "sp\\x20ace\\xc3\\xb6\\x24");
        good("info", "-u", "a/b");
        good("rename", "sp ace\u00c3\u00b6$", "\u00ff");
        assertEquals(List.of("\\xff:a\\x2fb"), raw("\\\\xff"));
        good("remove", "\u00ff");
    }

    private List<String> raw(String start) {
        return good("info", "-c", "--noheadings", "--manglename", "none", "-o", "name,uuid").stream()
                .filter(line -> line.matches(start + ".*"))
                .toList();
    }

    @Test
    void namesThatCanNotBeMangledAreRefused() {
        assertTrue(
                refused("create", "mi\\x20xed up", "-n").contains("contains mixed mangled and unmangled characters"));
        assertTrue(refused("create", "\\x2", "-n").contains("mangled improperly"));
        assertTrue(refused("create", "new", "-u", "a\\x20b c", "-n").startsWith("The UUID "));
        assertTrue(refused("create", " ".repeat(40), "-n").startsWith("Mangled form of the name too long"));
        assertTrue(
                refused("create", "new", "-u", "/".repeat(40), "-n").startsWith("Mangled form of the UUID too long"));
        assertTrue(refused("rename", "vol", " ".repeat(40)).startsWith("Mangled form of the new name too long"));
        assertTrue(refused("create", "n".repeat(128), "-n").endsWith("too long."));
        assertTrue(refused("create", "\u00f6".repeat(32), "-n").startsWith("Mangled form of the name too long"));
        assertTrue(refused("create", "a\\x5cx20b", "-n").contains("mangled more than once"));
        good("create", "n".repeat(127), "-n");
        good("create", "\u00f6".repeat(31), "-n");
    }

    @Test
    void clientsOfNbdFindADeviceByEitherName() throws IOException {
        good("create", "sp ace", "--table", "0 8 zero");
        RegistryExports exports = new RegistryExports(engine.registry());
        exports.open("sp ace").close();
        exports.open("sp\\x20ace").close();
        assertThrows(IOException.class, () -> exports.open("sp  ace"));
        assertThrows(IOException.class, () -> exports.open(" ".repeat(40)));
        good("create", "on it", "--table", "0 8 linear engine:sp\\ ace 0");
    }

    @Test
    void otherThanSmallTextsAreRefusedInALine() throws IOException {
        refused("create", "new", "/dev/full");
        refused("create", "new", folder.toString());
        refused("create", "new", "no/such/table");
        refused("create", "new", "--table", "0 8 " + "t".repeat(5000));
        refused("create", "new", "--table", "0 8 linear " + "/x".repeat(3000) + " 0");
        refused("load", "vol", "/dev/full");
    }

    @Test
    void wordsOfATableMayHaveAnyBlanksBetweenAndWithin() throws IOException {
        // A table that is printed could be loaded again, also where a path has what begins a comment, or ends a line.
        Path file = engine.file("sp ace\\#\n1", 8);
        String word = folder + "/sp\\ ace\\\\\\#\\\n1";
        good("create", "new", "--table", "# a \\\n0\t8  linear\t " + word + "\t 0 # comment \\\n8 8 zero");
        String table = String.join("\n", good("table", "new"));
        assertEquals("0 8 linear " + word + " 0\n8 8 zero ", table);
        good("create", "again", "--table", table);
        good(
                "create",
                "--concise",
                String.join("\n", good("table", "--concise", "new"))
                        .replace("new,", "third,")
                        .replace(",1,rw", ",,rw"));
        assertEquals(table, String.join("\n", good("table", "third")));
        assertTrue(Files.exists(file));
    }

    @Test
    void relativePathsAreTheCallers() {
        DmSetupOnEngine.Result result =
                dmsetup.run(List.of("create", "new", "--table", "0 8 linear ./no-such-file 0"), "");
        assertEquals(1, result.exit());
        good("create", "below", "--table", "0 8 linear 120:0 0");
        assertEquals(List.of("1 dependencies\t: (120, 0)"), good("deps", "below"));
    }

    @Test
    void nothingBetweenTwoConciseDevicesIsRefusedBeforeAnythingIsMade() {
        for (String text : List.of(
                "new,,,,0 8 zero;;next,,,,0 8 zero",
                "new,,,,0 8 zero; ;next,,,,0 8 zero",
                ";new,,,,0 8 zero",
                "new,,,,0 8 zero;;",
                ";",
                " ")) {
            assertTrue(
                    refused("create", "--concise", text)
                            .contains("Five comma-separated fields are required for each device"),
                    text);
        }
        good("create", "--concise", "new,,,,0 8 zero;\n");
        assertTrue(good("ls").toString().contains("new"));
    }

    @Test
    void aConciseMinorThatIsTakenIsNamedWithItsMajor() {
        assertTrue(refused("create", "--concise", "new,,0,,0 8 zero")
                .contains("device-mapper: create ioctl on new (120:0) failed: Device or resource busy"));
    }

    @Test
    void aConciseTableMakesStackedDevicesAgain() {
        good("create", "zbase", "--table", "0 8 zero");
        good("create", "above", "--table", "0 8 linear 120:1 0");
        String all = good("table", "--concise").get(0);
        good("remove", "above");
        good("remove", "zbase");
        good("remove", "vol");
        good("create", "--concise", all);
        assertEquals(List.of("above: 0 8 linear 120:1 0", "vol: 0 8 zero ", "zbase: 0 8 zero "), good("table"));
        assertEquals(
                List.of("zbase,,1,rw,0 8 zero ;vol,,0,rw,0 8 zero "), good("table", "--concise", "--target", "zero"));
    }

    @Test
    void splitNameIsAReport() {
        assertEquals(
                List.of("DM_VG_NAME='vg-a':DM_LV_NAME='lv':DM_LV_LAYER='real'"),
                good("splitname", "--nameprefixes", "--noheadings", "vg--a-lv-real"));
        assertEquals(
                List.of("DM_VG_NAME='vg'", "DM_LV_NAME='lv'", "DM_LV_LAYER=''"),
                good("splitname", "--nameprefixes", "--noheadings", "--rows", "vg-lv", "LVM"));
        assertEquals(
                List.of("VG   Subsys", "     foo   "),
                good("splitname", "vg-lv", "foo", "-c", "-o", "VgName,,subsystem"));
        assertEquals(List.of("VG,LV,LVLayer", "vg,lv,"), good("splitname", "vg-lv", "--separator", ","));
        // As dmsetup 1.02.205 printed them.
        assertEquals(List.of("vg   lv          "), good("splitname", "--headings", "0", "vg-lv"));
        assertEquals(
                List.of("VG   LV   LVLayer", "vg   lv          "), good("splitname", "--headings=abbrev", "vg-lv"));
        assertEquals(
                List.of("vg_name lv_name lv_layer", "vg      lv              "),
                good("splitname", "--headings", "FULL", "vg-lv"));
        assertEquals(
                List.of("vg_name vg", "lv_name lv", "lv_layer "),
                good("splitname", "--headings", "2", "--rows", "vg-lv"));
        assertEquals("Unknown headings type.", refused("splitname", "--headings", "3", "vg-lv"));
        assertEquals(
                "Only one of --headings and --noheadings permitted.",
                refused("splitname", "--headings=1", "--noheadings", "vg-lv"));
        assertEquals(
                List.of("VG  ", "vg  ", "", "VG  ", "vg  "),
                good("splitname", "vg-lv", "-o", "vg_name", "--count", "2", "--interval", "1"));
    }

    @Test
    void fieldsAreFoundHoweverTheyAreSpelled() {
        assertEquals(List.of("vol:0"), good("info", "-c", "--noheadings", "-o", "Name,,Minor", "-O", "", "vol"));
        good("info", "-c", "-o", "devnosused");
        good("info", "-c", "-o", "help");
        DmSetupOnEngine.Result wrong = dmsetup.run(List.of("info", "-c", "-o", "nmae"), "");
        assertTrue(
                wrong.stderr().contains("Unrecognised field: nmae"),
                wrong.stderr().toString());
    }

    @Test
    void execGoesOnAfterAFailure() throws IOException {
        Path log = folder.resolve("log");
        Path script = Files.writeString(folder.resolve("script"), "echo \"$1:$2\" >>" + log + "; exit 1\n");
        good("create", "other", "--table", "0 8 zero");
        for (String[] words : new String[][] {
            {"ls", "--exec", "sh\t" + script + "  a"},
            {"status", "--target", "zero", "--exec", "sh " + script + " a"},
            {"table", "--exec", "sh " + script + " a"},
        }) {
            Files.deleteIfExists(log);
            good(words);
            assertEquals(List.of("a:/dev/mapper/other", "a:/dev/mapper/vol"), Files.readAllLines(log));
        }
    }

    @Test
    void checksRefuseToSuspendWhatSitsOnASuspendedDevice() {
        good("create", "above", "--table", "0 8 linear 120:0 0");
        good("suspend", "vol");
        assertTrue(refused("suspend", "--checks", "above").contains("uses already-suspended device (120:0)"));
        good("resume", "vol");
        good("suspend", "--checks", "above");
        good("resume", "above");
    }

    @Test
    void anOptionForANodeOrATableIsRefusedWhereNothingIsDoneWithIt() {
        for (String option : List.of("--mode=0660", "--uid=0", "--gid=0")) {
            assertTrue(refused("create", option, "--attach", "new", "--table", "0 8 zero")
                    .contains("--attach"));
        }
        for (String command : List.of("activate", "deactivate", "freeze", "thaw")) {
            for (String option : List.of("--mode=0660", "--uid=0", "--gid=0", "--readonly", "--readahead=64")) {
                assertTrue(refused(command, option, "vol").contains("has no effect on " + command));
            }
        }
        good("create", "--mode=0660", "new", "--table", "0 8 zero");
    }

    @Test
    void readAheadIsRefusedForWhatHasNone() {
        assertTrue(refused("resume", "--readahead", "64", "vol").contains("it is a node in /dev that reads ahead"));
        refused("create", "--readahead", "64", "new", "--table", "0 8 zero");
        refused("create", "--readahead", "64", "--concise", "new,,,,0 8 zero");
        good("resume", "--readahead", "auto", "vol");
    }

    @Test
    void mangleRenamesWhatUdevCanNotBear() {
        good("create", "--manglename", "none", "b l", "-n");
        assertEquals(List.of("b l: renaming to b\\x20l"), good("mangle").subList(0, 1));
        assertEquals(List.of("b\\x20l: [no UUID]: name already in correct form"), good("mangle", "b l"));
    }

    @Test
    void aCommandThatThereIsNotIsOneLine() {
        DmSetupOnEngine.Result result = dmsetup.run(List.of("reomve", "vol"), "");
        assertEquals(1, result.exit());
        assertEquals(List.of("Unknown command."), result.stderr());
    }

    @Test
    void udevFlagsAreSpelledForUdevsRules() {
        assertEquals(
                List.of("DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG='1'", "DM_UDEV_PRIMARY_SOURCE_FLAG='1'"),
                good("udevflags", "4325376"));
        assertEquals(List.of("DM_SUBSYSTEM_UDEV_FLAG7='1'"), good("udevflags", "0x80000000"));
    }
}
