// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The units fit the distribution, wherever that lies. */
class SystemdUnitsTest {
    private static final Path DIST = Fixtures.projectRoot().resolve("dist");

    @TempDir
    Path folder;

    static List<Path> services() throws IOException {
        try (Stream<Path> units = Files.list(DIST.resolve("systemd"))) {
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
        assertTrue(Files.isExecutable(DIST.resolve("bin").resolve(program)), program);
    }

    @Test
    void theEnginesCommandWorksThroughALinkWithTheSocketOfItsUnit() throws Exception {
        Path link = Files.createSymbolicLink(folder.resolve("era-dmsetup"), DIST.resolve("bin/era-dmsetup"));
        String command = command(DIST.resolve("systemd/era-engine.service"));
        String socket = Files.readAllLines(DIST.resolve("systemd/era-engine.socket")).stream()
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
