// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;

/** Every option is acted on somewhere, or refused everywhere; none is swallowed. */
class SwitchRulesTest {
    /** No command acts on them. */
    private static final Set<Switch> REFUSED = EnumSet.of(
            Switch.ALIAS,
            Switch.ALLDEVICES,
            Switch.ALLPROGRAMS,
            Switch.ALLREGIONS,
            Switch.AREAS,
            Switch.AREASIZE,
            Switch.BOUNDS,
            Switch.CLEAR,
            Switch.FILEMAP,
            Switch.FOLLOW,
            Switch.GROUPID,
            Switch.HISTOGRAM,
            Switch.LENGTH,
            Switch.NOGROUP,
            Switch.NOMONITOR,
            Switch.NOSUFFIX,
            Switch.NOTIMESUFFIX,
            Switch.PRECISE,
            Switch.PROGRAMID,
            Switch.REGIONID,
            Switch.REGIONS,
            Switch.RELATIVE,
            Switch.SEGMENTS,
            Switch.SELECT,
            Switch.START,
            Switch.UDEVCOOKIE,
            Switch.UNITS,
            Switch.USERDATA);

    /** What they ask for is so in any case: nodes are always made sure of, there are no prompts, and nodes come on resume. */
    private static final Set<Switch> ALWAYS = EnumSet.of(Switch.VERIFYUDEV, Switch.YES, Switch.ADDNODEONRESUME);

    private static final List<String> COMMANDS = List.of(
            "create",
            "load",
            "reload",
            "clear",
            "wipe_table",
            "suspend",
            "resume",
            "remove",
            "remove_all",
            "rename",
            "message",
            "mknodes",
            "status",
            "table",
            "info",
            "ls",
            "deps",
            "wait",
            "targets",
            "target-version",
            "version",
            "help",
            "splitname",
            "setgeometry",
            "measure",
            "mangle",
            "udevflags",
            "checkpoint",
            "monitor",
            "uri",
            "attach",
            "detach",
            "engine");

    @Test
    void whatNoCommandActsOnIsRefusedByEach() throws CommandLineException {
        for (Switch s : REFUSED) {
            for (String command : COMMANDS) {
                assertTrue(isRefused(command, s), s + " with " + command);
            }
        }
    }

    @Test
    void whatIsNotRefusedIsReadByACommand() throws IOException {
        String sources = commandSources();
        Map<Switch, Boolean> read = new EnumMap<>(Switch.class);
        for (Switch s : Switch.values()) {
            read.put(s, sources.matches("(?s).*\\bSwitch\\." + s.name() + "\\b.*"));
        }
        for (Switch s : Switch.values()) {
            if (!REFUSED.contains(s) && !ALWAYS.contains(s)) {
                assertTrue(read.get(s), s + " is accepted, and nothing looks at it");
            }
        }
    }

    /** The commands' code, without the rules that only say which command takes which option. */
    private static String commandSources() throws IOException {
        Path folder = Fixtures.projectRoot().resolve("era-dmsetup/src/main/java/org/dmera/dmsetup/cli");
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> !file.endsWith("SwitchRules.java") && !file.endsWith("Switch.java"))
                    .map(file -> {
                        try {
                            return Files.readString(file);
                        } catch (IOException e) {
                            throw new java.io.UncheckedIOException(e);
                        }
                    })
                    .collect(Collectors.joining());
        }
    }

    @Test
    void whatWouldChangeNothingIsRefused() throws CommandLineException {
        assertRefused("--tree has no effect on status", "status", "--tree");
        assertRefused("--target has no effect on --tree", "ls", "--tree", "--target", "era");
        assertRefused("--exec has no effect on --tree, --json and --concise", "ls", "--tree", "--exec", "true");
        assertRefused("--exec has no effect on --tree, --json and --concise", "status", "--json", "--exec", "true");
        assertRefused("--exec has no effect on info", "info", "--exec", "true");
        assertRefused("--count has no effect on suspend", "suspend", "--count", "2");
        assertRefused("--interval has no effect on status", "status", "--json", "--interval", "2");
        assertRefused("--json has no effect on deps", "deps", "--json");
        assertRefused("--json has no effect on --tree and --concise", "ls", "--tree", "--json");
        assertRefused("--attach has no effect on load", "load", "--attach");
        assertRefused("--state has no effect on ls", "ls", "--state", "/x");
        assertRefused("--cow needs a value", "freeze", "--cow", "", "vol");
        assertRefused("--state needs a value", "engine", "--state=");
        assertRefused("--control needs a value", "info", "--control=");
        assertFalse(isRefused("info", Switch.YES));
        SwitchRules.check(Switches.parse("dmsetup", List.of("info", "-c", "--count", "2", "--interval", "1")), "info");
        SwitchRules.check(Switches.parse("dmsetup", List.of("status", "--interval", "1")), "status");
        SwitchRules.check(Switches.parse("dmsetup", List.of("status", "--exec", "true", "--target", "x")), "status");
    }

    /** As by dmsetup, whose words these are: only columns and trees have other fields, and splitname has columns always. */
    @Test
    void fieldsWithoutColumnsAreRefusedAsByDmsetup() throws CommandLineException {
        for (String command : List.of("info", "status", "table", "create", "ls", "deps")) {
            Switches switches = Switches.parse("dmsetup", List.of(command, "-o", "name", "vol"));
            assertEquals(
                    "Option not recognised: name.",
                    assertThrows(CommandLineException.class, switches::check).getMessage());
        }
        Switches.parse("dmsetup", List.of("info", "-c", "-o", "name")).check();
        Switches.parse("dmsetup", List.of("ls", "--tree", "-o", "ascii")).check();
        Switches.parse("dmsetup", List.of("splitname", "-o", "vg_name", "vg-lv"))
                .check();
        Switches.parse("dmsetup", List.of("deps", "-o", "devname", "vol")).check();
    }

    private static void assertRefused(String message, String... words) throws CommandLineException {
        Switches switches = Switches.parse("dmsetup", List.of(words));
        try {
            SwitchRules.check(switches, words[0]);
        } catch (CommandLineException e) {
            assertEquals(message + ".", e.getMessage());
            return;
        }
        throw new AssertionError(List.of(words) + " was accepted");
    }

    private static boolean isRefused(String command, Switch s) throws CommandLineException {
        Switches switches =
                Switches.parse("dmsetup", List.of("--" + s.longName() + (s.hasValue() ? "=1" : ""), command));
        try {
            SwitchRules.check(switches, command);
            return false;
        } catch (CommandLineException e) {
            assertTrue(e.getMessage().startsWith("--" + s.longName() + " "), e.getMessage());
            assertFalse(e.getMessage().contains("\n"));
            return true;
        }
    }
}
