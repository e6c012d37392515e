// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.dmera.tests.Distribution;
import org.dmera.tests.tools.SystemCalls.Call;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every result of every program is durable when the program ends, by the system calls that it makes: what is renamed into
 * place was synced after its last byte, and its folder is synced afterwards; what is written in place is synced after its last
 * byte.
 */
@Timeout(300)
class DurableResultsTest {
    private static final String WRITES =
            "write|pwrite64|writev|pwritev|pwritev2|copy_file_range|sendfile|splice|fallocate|ftruncate";
    private static final String RENAMES = "rename|renameat|renameat2|link|linkat";
    private static final String SYNCS = "fsync|fdatasync";
    private static final String FOLDERS = "mkdir|mkdirat";
    private static final Pattern FILES =
            Pattern.compile("meta|out|out\\.svg|origin|full|target|xml|restored|repaired|made|metrics|[a-z]+/.*");
    private static final Pattern NAMES = Pattern.compile("\"([^\"]*)\"");
    private static final int BLOCKS = 64;

    @TempDir
    private Path temporary;

    private Path folder;

    @BeforeEach
    void make() throws Exception {
        Ran.needLaunchers();
        Ran.need(Path.of(SystemCalls.STRACE), "setup/packages.txt");
        folder = Files.createDirectory(temporary.toRealPath().resolve("files"));
        Path metadata = folder.resolve("meta");
        Ran.tool("era-tools", "generate", "--nr-blocks", BLOCKS, "--block-size", 8, "-q", "-o", metadata)
                .good();
        Ran.tool("era_dump", "-o", folder.resolve("xml"), metadata).good();
        sized(folder.resolve("origin"), BLOCKS * 4096L);
        Files.createDirectory(folder.resolve("states"));
        sized(folder.resolve("restored"), 1 << 20);
        sized(folder.resolve("repaired"), 1 << 20);
        Ran.tool("era_copy", "--full", "-m", metadata, folder.resolve("origin"), "-o", folder.resolve("full"))
                .good();
    }

    private static Path sized(Path file, long bytes) throws IOException {
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
            f.setLength(bytes);
        }
        return file;
    }

    @TestFactory
    Stream<DynamicTest> whatAToolWritesIsDurable() {
        return Stream.of(
                        "era_dump meta -o out",
                        "era_dump --format json meta -o out",
                        "era_invalidate --written-since 0 meta -o out",
                        "era_plot meta -o out.svg",
                        "era_copy --full -m meta origin -o out",
                        "era_copy --merge full -o out",
                        "era_apply full -o target",
                        "era_apply full -o target --state states/target",
                        "era_restore -i xml -o restored",
                        "era_repair -i meta -o repaired",
                        "era-tools generate --nr-blocks 64 -q -o made")
                .map(words -> DynamicTest.dynamicTest(words, () -> assertDurable(words)));
    }

    @Test
    void allThatABackupLeavesIsDurable() throws Exception {
        Path control = temporary.resolve("run/control");
        Ran.tool("era-dmsetup", "engine", "--control", control, "--state", temporary.resolve("state"), "--detach");
        try {
            Path metadata = sized(temporary.resolve("vol.meta"), 1 << 20);
            Path origin = sized(temporary.resolve("vol.data"), BLOCKS * 4096L);
            Ran.tool(
                            "era-dmsetup",
                            "--control",
                            control,
                            "create",
                            "vol",
                            "--table",
                            "0 " + BLOCKS * 8 + " era " + metadata + " " + origin + " 8")
                    .good();
            Files.createDirectory(folder.resolve("new"));
            String backup = "era_backup --control " + control + " vol --to new/backups --state state/deep/vol"
                    + " --metrics metrics --keep 1";
            assertDurable(backup);
            // The two are merged.
            assertDurable(backup);
        } finally {
            Ran.tool("era-dmsetup", "--control", control, "remove_all");
            long pid = Long.parseLong(
                    Files.readString(temporary.resolve("state/lock")).strip());
            ProcessHandle engine = ProcessHandle.of(pid).orElseThrow();
            engine.destroy();
            engine.onExit().get(1, TimeUnit.MINUTES);
        }
    }

    /** Words with a relative path in them, or a file's name, are of files in the folder. */
    private void assertDurable(String words) throws Exception {
        List<String> command = new ArrayList<>();
        for (String word : words.split(" ", -1)) {
            boolean file = FILES.matcher(word).matches();
            command.add(
                    command.isEmpty() ? Distribution.BIN.resolve(word).toString() : file ? folder + "/" + word : word);
        }
        Map<Path, byte[]> before = contents();
        Path trace = temporary.resolve("trace");
        List<String> options = List.of(
                "--seccomp-bpf",
                "-e",
                "trace=" + String.join(",", WRITES, RENAMES, SYNCS, FOLDERS).replace('|', ','));
        Ran ran = Ran.of(SystemCalls.traced(trace, options, command), Map.of());
        assertEquals(0, ran.code(), ran::err);
        List<Call> calls = SystemCalls.of(trace);
        List<Path> results = new ArrayList<>();
        contents().forEach((file, bytes) -> {
            // A lock has no content.
            if (!Arrays.equals(bytes, before.get(file)) && bytes.length > 0) {
                results.add(file);
            }
        });
        assertFalse(results.isEmpty());
        for (Path result : results) {
            assertDurable(result, before.containsKey(result), calls);
        }
        for (Call call : calls) {
            Matcher name = NAMES.matcher(call.text());
            if (call.is(FOLDERS) && name.find() && name.group(1).startsWith(folder.toString())) {
                assertSynced(Path.of(name.group(1)).getParent(), call, calls);
            }
        }
    }

    private Map<Path, byte[]> contents() throws IOException {
        Map<Path, byte[]> contents = new TreeMap<>();
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                contents.put(file, Files.readAllBytes(file));
            }
        }
        return contents;
    }

    private static void assertDurable(Path result, boolean wasThere, List<Call> calls) {
        Path written = result;
        Call named = null;
        for (Call call : calls) {
            Matcher names = NAMES.matcher(call.text());
            if (call.is(RENAMES) && names.find()) {
                Path from = Path.of(names.group(1));
                if (names.find() && Path.of(names.group(1)).equals(result)) {
                    written = from;
                    named = call;
                }
            }
        }
        Call last = null;
        Call synced = null;
        for (Call call : calls) {
            if (call.isOn(written) && call.is(WRITES)) {
                last = call;
                synced = null;
            } else if (last != null && call.isOn(written) && call.is(SYNCS) && call.from() > last.to()) {
                synced = call;
            }
        }
        assertTrue(last != null, () -> result + ": nobody wrote it: " + calls);
        assertTrue(synced != null, () -> result + " is not synced: " + calls);
        Call naming = named;
        if (naming != null) {
            assertTrue(synced.to() < naming.from(), () -> result + " is renamed before it is synced: " + calls);
        }
        if (naming != null || !wasThere) {
            assertSynced(result.getParent(), naming == null ? calls.get(0) : naming, calls);
        }
    }

    private static void assertSynced(Path folder, Call after, List<Call> calls) {
        assertTrue(
                calls.stream().anyMatch(call -> call.is(SYNCS) && call.isOn(folder) && call.from() > after.to()),
                () -> folder + " is not synced after " + after + ": " + calls);
    }
}
