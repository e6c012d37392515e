// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** No command line of known words, in whatever order, is an internal error of era-dmsetup. */
class CommandLineFuzzTest {
    private static final int LINES = Boolean.getBoolean("era.nightly") ? 10_000 : 600;

    /** All but those that wait, or start an engine. */
    private static final String[] COMMANDS = {
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
        "targets",
        "target-version",
        "version",
        "help",
        "splitname",
        "setgeometry",
        "measure",
        "mangle",
        "udevflags",
        "udevcomplete",
        "checkpoint",
        "uri",
        "attach",
        "detach",
        "rollback",
        "nonsense",
        ""
    };

    private static final String[] OPTIONS = {
        "-r",
        "-c",
        "-C",
        "-f",
        "-n",
        "-v",
        "-vv",
        "-y",
        "-h",
        "--checks",
        "--concise",
        "--deferred",
        "--inactive",
        "--json",
        "--nameprefixes",
        "--noflush",
        "--noheadings",
        "--nolockfs",
        "--rows",
        "--setuuid",
        "--showkeys",
        "--tree",
        "--unquoted",
        "--version",
        "--attach",
        "--dry-run",
        "--verifyudev",
        "--noudevsync",
        "--",
        "-",
        "--no",
        "--u",
        "-Z",
        "--=",
        "--json=1",
        // Whatever asks is repeated for so long as this says: a second lies between two.
        "--count=1",
        "--count=-1",
        "--count=new"
    };

    private static final String[] VALUED = {
        "-u",
        "-j",
        "-m",
        "-o",
        "-O",
        "-S",
        "-M",
        "-U",
        "-G",
        "--table",
        "--target",
        "--uuid",
        "--options",
        "--separator",
        "--sort",
        "--exec",
        "--major",
        "--minor",
        "--mode",
        "--readahead",
        "--manglename",
        "--units",
        "--select",
        "--since",
        "--log-level",
        "--nbd"
    };

    private static final String[] WORDS = {
        "vol",
        "other",
        "new",
        "",
        " ",
        "/",
        "/dev/mapper/vol",
        "/dev/dm-0",
        "120:0",
        "0",
        "1",
        "-1",
        "8",
        "4095",
        "1048575",
        "99999999999999999999",
        "0x10",
        "0 8 zero",
        "0 8 error",
        "0 8 linear /nowhere 0",
        "0 8 era",
        "0 8",
        "zero",
        "era",
        "name,uuid",
        "help",
        "all",
        "name=vol",
        "checkpoint",
        "take_metadata_snap",
        "@uri",
        "@failure",
        "new,,,rw,0 8 zero",
        "new,,,rw",
        ";;",
        ",,,,",
        "none",
        "hex",
        "auto",
        "true",
        "\u00e9\u00ff",
        "a b",
        "\\x20",
        "%",
        "$(x)",
        "512",
        "auto"
    };

    @TempDir
    Path folder;

    @Test
    @Timeout(1200)
    void everyLineEndsInAnAnswerOrInWordsForItsUser() throws IOException {
        SplittableRandom random = new SplittableRandom(22);
        int answered = 0;
        try (TestEngine engine = new TestEngine(folder)) {
            DmSetupOnEngine dmsetup = new DmSetupOnEngine(engine);
            for (int line = 0; line < LINES; line++) {
                if (line % 20 == 0) {
                    dmsetup.run(List.of("remove_all", "--force"), "");
                    dmsetup.run(List.of("create", "vol", "--table", "0 8 zero"), "");
                    dmsetup.run(List.of("create", "other", "-u", "uuid", "--table", "0 8 error"), "");
                }
                List<String> words = line(random);
                DmSetupOnEngine.Result result = dmsetup.run(words, "0 8 zero\n");
                String said = String.join("\n", result.stderr());
                assertFalse(said.contains("internal error") || said.contains("Exception"), () -> words + ": " + said);
                assertTrue(result.exit() == 0 || result.exit() == 1 && !said.isEmpty(), () -> words + ": " + result);
                answered += result.exit() == 0 ? 1 : 0;
            }
        }
        assertTrue(answered > LINES / 20, answered + " of " + LINES + " lines made sense");
    }

    private static List<String> line(SplittableRandom random) {
        List<String> line = new ArrayList<>();
        line.add(one(random, COMMANDS));
        for (int n = random.nextInt(5); n > 0; n--) {
            int at = random.nextInt(line.size() + 1);
            switch (random.nextInt(4)) {
                case 0 -> line.add(at, one(random, OPTIONS));
                case 1 -> {
                    String option = one(random, VALUED);
                    boolean attached = random.nextBoolean() && option.startsWith("--");
                    String value = one(random, WORDS);
                    line.add(at, attached ? option + "=" + value : option);
                    if (!attached) {
                        line.add(at + 1, value);
                    }
                }
                default -> line.add(one(random, WORDS));
            }
        }
        return line;
    }

    private static String one(SplittableRandom random, String[] of) {
        return of[random.nextInt(of.length)];
    }
}
