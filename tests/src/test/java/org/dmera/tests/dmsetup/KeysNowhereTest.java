// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Encryption keys that people give an engine by mistake, which has no targets with keys: nothing that the command prints, the
 * engine logs at its most talkative, or either keeps in a file has one in it.
 */
@Timeout(300)
class KeysNowhereTest {
    private static final String LAUNCHER = Distribution.program("era-dmsetup");
    private static final long SHORTEST_LEAK = 16;

    @TempDir
    Path folder;

    private final String key =
            new BigInteger(256, new SecureRandom()).setBit(255).toString(16);
    private final List<Said> said = new ArrayList<>();
    private Program program;

    /** What a command printed. */
    private record Said(List<String> command, String text) {}

    @AfterEach
    void endEngine() throws IOException {
        if (program != null) {
            program.kill();
        }
    }

    private Program.Result run(String... words) throws Exception {
        Program.Result result = program.run(words);
        said.add(new Said(List.of(words), result.out() + result.err()));
        return result;
    }

    private void assertRefused(String... words) throws Exception {
        Program.Result result = run(words);
        assertTrue(result.exit() != 0, () -> String.join(" ", words) + result.out());
        assertFalse(result.err().isEmpty());
    }

    @Test
    void aKeyIsNowhere() throws Exception {
        // What is typed stands in no place of these: the file is gone before all is looked through.
        Path tables = Files.createTempFile("table", "");
        program = new Program(Files.createDirectory(folder.resolve("engine")));
        Path log = folder.resolve("engine.log");
        Process engine = new ProcessBuilder(
                        LAUNCHER,
                        "engine",
                        "--control",
                        program.socket.toString(),
                        "--state",
                        program.state.toString(),
                        "--log-level",
                        "debug")
                .redirectError(log.toFile())
                .start();
        while (!Files.readString(log).contains(" answers at ")) {
            assertTrue(engine.isAlive(), () -> log.toString());
            Thread.sleep(10);
        }
        run("create", "vol", "--table", "0 8 zero").ok();
        run("create", "empty", "-n").ok();
        String crypt = "0 8 crypt aes-xts-plain64 " + key + " 0 7:0 0";
        String integrity = "0 8 integrity 7:0 0 28 J 2 internal_hash:hmac(sha256):" + key + " journal_mac:crc32:" + key;
        for (String table : List.of(
                crypt,
                integrity,
                // With faults that are found in different places.
                crypt.replace("0 8", "0 x"),
                crypt.replace("0 8", "8 8"),
                crypt.replace("0 8", "0 99999999999999999999"),
                crypt.replace("crypt", "crypto"),
                crypt.replace("crypt", "c".repeat(200)),
                "0 8 crypt\t" + key,
                "0 8 zero\n" + crypt)) {
            Files.writeString(tables, table + "\n");
            assertRefused("create", "vault", "--table", table);
            assertRefused("load", "vol", tables.toString());
            if (!table.contains("\n")) {
                assertRefused("create", "--concise", "vault,,,rw," + table);
            }
        }
        assertRefused("create", "--concise", "vault,,,rw," + crypt + ",");
        assertRefused("create", "--concise", "vault,uuid,x,rw," + crypt);
        assertRefused("message", "vol", "0", "key", "set", key);
        assertRefused("message", "empty", "0", "key", "set", key);
        for (String command :
                List.of("table", "status", "info", "ls --tree", "deps", "table --concise", "table --json")) {
            run(command.split(" ", -1));
        }
        run("table", "--inactive").ok();
        run("info", "-c", "-o", "all").ok();
        engine.destroy();
        assertEquals(0, engine.waitFor());
        Files.delete(tables);

        assertTrue(Files.readString(log).contains("vol"), "nothing is logged");
        for (Said each : said) {
            assertNoKey(each.command.toString(), each.text);
        }
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                assertNoKey(file.toString(), Files.readString(file, StandardCharsets.ISO_8859_1));
            }
        }
    }

    /** A part of one is a leak, too. */
    private void assertNoKey(String where, String text) {
        for (int at = 0; at + SHORTEST_LEAK <= key.length(); at++) {
            String part = key.substring(at, at + (int) SHORTEST_LEAK);
            assertFalse(text.contains(part), () -> "by " + where + ": " + text);
        }
    }
}
