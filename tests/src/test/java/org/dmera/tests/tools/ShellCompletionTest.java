// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The completion files of the distribution, loaded by real interactive shells on a terminal. */
class ShellCompletionTest {
    private static final Path ROOT = Fixtures.projectRoot();

    @ParameterizedTest
    @ValueSource(strings = {"bash", "zsh"})
    void aShellCompletesOptionsValuesFilesAndCommands(String shell) throws Exception {
        Ran.needLaunchers();
        Ran.need(Path.of("/usr/bin", shell), "setup/packages.txt");
        Ran.need(Path.of("/usr/bin/python3"), "setup/packages.txt");
        Ran ran = Ran.of(
                List.of(
                        ROOT.resolve("tests/lib/type-into-shell").toString(),
                        shell,
                        ROOT.resolve("dist/completion/era-tools." + shell).toString(),
                        "era_copy --metadata-s",
                        "era_copy --compress ",
                        "era_apply --dry",
                        "era_backup --origin-s",
                        "era_serve --att",
                        "era_stat --format ",
                        "era_plot --t",
                        "era_stat " + ROOT + "/LICEN",
                        "era-tools era_app"),
                Map.of());
        assertEquals(
                List.of(
                        "era_copy --metadata-snapshot",
                        "era_copy --compress none zstd era_copy --compress",
                        "era_apply --dry-run",
                        "era_backup --origin-snapshot-cmd",
                        "era_serve --attach",
                        "era_stat --format json text era_stat --format",
                        "era_plot --title",
                        "era_stat " + ROOT + "/LICENSE",
                        "era-tools era_apply"),
                ran.good().out().lines().toList());
    }
}
