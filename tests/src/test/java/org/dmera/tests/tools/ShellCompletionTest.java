// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
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
                        "era_stat --format=j",
                        "era_restore --input=" + ROOT + "/LICEN",
                        "era_copy -c z",
                        "era_copy -- --fu",
                        "era_plot --t",
                        "era_stat " + ROOT + "/LICEN",
                        "era-tools era_app",
                        "era-tools era_dump --format=j",
                        "era-dmsetup chec",
                        "era-dmsetup --nohe",
                        "era-dmsetup --control=k",
                        "era-dmsetup --log-level w"),
                Map.of());
        assertEquals(
                List.of(
                        "era_copy --metadata-snapshot",
                        "era_copy --compress none zstd era_copy --compress",
                        "era_apply --dry-run",
                        "era_backup --origin-snapshot-cmd",
                        "era_serve --attach",
                        "era_stat --format json text era_stat --format",
                        "era_stat --format=json",
                        "era_restore --input=" + ROOT + "/LICENSE",
                        "era_copy -c zstd",
                        "era_copy -- --fu",
                        "era_plot --title",
                        "era_stat " + ROOT + "/LICENSE",
                        "era-tools era_apply",
                        "era-tools era_dump --format=json",
                        "era-dmsetup checkpoint",
                        "era-dmsetup --noheadings",
                        "era-dmsetup --control=kernel",
                        "era-dmsetup --log-level warning"),
                ran.good().out().lines().toList());
    }

    /** fish tells without a terminal what it would offer. Option for option it is what bash offers, which has the same tables. */
    @Test
    void fishOffersTheOptionsOfEveryCommandThatBashOffers() throws Exception {
        StringBuilder bash = new StringBuilder(". " + ROOT + "/dist/completion/era-tools.bash\n");
        StringBuilder fish = new StringBuilder("source " + ROOT + "/dist/completion/era-tools.fish\n");
        for (String command : commands()) {
            bash.append("COMP_WORDS=(").append(command).append(" -) COMP_CWORD=1; _era_complete\n");
            bash.append("printf '%s\\n' ").append(command).append(" \"${COMPREPLY[@]}\" | LC_ALL=C sort\n");
            fish.append("begin; echo ")
                    .append(command)
                    .append("; complete -C '")
                    .append(command);
            fish.append(" -'; end | cut -f1 | LC_ALL=C sort\n");
        }
        String offered = fish(fish.toString());
        assertEquals(
                Ran.of(List.of("/usr/bin/bash", "-c", bash.toString()), Map.of())
                        .good()
                        .out(),
                offered);
        for (String command : List.of("era_check", "era-dmsetup", "era_backup", "era_serve", "era-tools")) {
            assertTrue(offered.lines().anyMatch(command::equals), offered);
        }
    }

    private static List<String> commands() throws IOException {
        try (Stream<Path> launchers = Files.list(ROOT.resolve("dist/bin"))) {
            return launchers.map(path -> path.getFileName().toString()).sorted().toList();
        }
    }

    /** What fish prints that reads {@code commands} and nothing of the user's. */
    private static String fish(String commands) throws IOException, InterruptedException {
        Ran.needLaunchers();
        Ran.need(Path.of("/usr/bin/fish"), "setup/packages.txt");
        Ran ran = Ran.of(
                List.of("/usr/bin/fish", "--no-config", "-c", commands),
                Map.of("HOME", ROOT.resolve("tests/target").toString()));
        assertEquals("", ran.good().err(), ran.toString());
        return ran.out();
    }

    @Test
    void fishOffersValuesCommandsFilesAndDevices(@TempDir Path folder) throws Exception {
        Path lister = folder.resolve("era-dmsetup");
        Files.writeString(
                lister,
                "#!/bin/sh\necho \"$ERA_CONTROL\" >>" + folder
                        + "/asked\nprintf 'vol\\t(254:0)\\nother\\t(254:1)\\n'\n");
        Files.setPosixFilePermissions(lister, PosixFilePermissions.fromString("rwx------"));
        List<String> typed = List.of(
                "era_copy --compress ",
                "era_stat --format=j",
                "era_restore --input " + ROOT + "/LICEN",
                "era_copy -c z",
                "era_copy -- --fu",
                "era-tools era_app",
                "era-tools era_dump --format=j",
                "era-tools dump --format x",
                "era-dmsetup chec",
                "era-dmsetup -u status chec",
                "era-dmsetup --control=k",
                "era-dmsetup --log-level w",
                lister + " --control /run/x status v",
                folder + "/era_backup --control=/run/y o");
        StringBuilder commands =
                new StringBuilder("source " + ROOT + "/dist/completion/era-tools.fish\ncd " + folder + "\n");
        for (String line : typed) {
            commands.append("echo (complete -C '").append(line).append("' | cut -f1)\n");
        }
        assertEquals(
                List.of(
                        "none zstd",
                        "--format=json",
                        ROOT + "/LICENSE",
                        "zstd",
                        "",
                        "era_apply",
                        "--format=json",
                        "xml",
                        "checkpoint",
                        "checkpoint",
                        "--control=kernel",
                        "warning",
                        "vol",
                        "other"),
                fish(commands.toString()).lines().toList());
        assertEquals("/run/x\n/run/y\n", Files.readString(folder.resolve("asked")));
    }

    /** Languages with digits of their own get the same script. */
    @ParameterizedTest
    @ValueSource(strings = {"ar-EG", "fa-IR", "ar-EG-u-nu-arab"})
    void theScriptIsTheSameInEveryLanguage(String language) throws Exception {
        Ran.needLaunchers();
        String java = "-Duser.language=" + language.substring(0, 2) + " -Duser.country=" + language.substring(3, 5)
                + (language.endsWith("arab") ? " -Duser.extensions=u-nu-arab" : "");
        Ran ran = Ran.of(
                List.of(ROOT.resolve("dist/bin/era-tools").toString(), "generate-completion", "bash"),
                Map.of("LC_ALL", language.substring(0, 5).replace('-', '_') + ".UTF-8", "ERA_JAVA_OPTS", java));
        assertEquals(
                Files.readString(ROOT.resolve("dist/completion/era-tools.bash")),
                ran.good().out());
    }

    @ParameterizedTest
    @ValueSource(strings = {"bash", "zsh"})
    void devicesAreTheOnesThatEraDmsetupLists(String shell) throws Exception {
        Ran.needLaunchers();
        Ran.need(Path.of("/usr/bin", shell), "setup/packages.txt");
        Ran ran = Ran.of(
                List.of(
                        "/usr/bin/" + shell,
                        "-c",
                        "era-dmsetup() { echo \"$ERA_CONTROL: $*\" >&2; printf 'vol\\t(254:0)\\nother\\t(254:1)\\n'; }\n"
                                + ". " + ROOT + "/dist/completion/era-tools." + shell + "\n"
                                + "COMP_WORDS=(era-dmsetup --control /run/x status v); COMP_CWORD=4; _era_complete\n"
                                + "echo \"${COMPREPLY[@]}\""),
                Map.of());
        assertEquals("vol\n", ran.out(), ran.toString());
    }
}
