// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.dmera.core.content.BlockSet;
import org.dmera.core.file.Folders;
import org.dmera.testkit.Fixtures;
import org.dmera.tests.Distribution;
import org.dmera.tools.backup.revert.WrittenSince;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What the tools make of system calls that fail on their files. */
@Timeout(300)
class FailingFilesTest {
    private static final Set<String> FILES = Set.of("meta", "cache", "xml", "out", "origin", "full", "increment");
    private static final int ORIGIN_BYTES = 64 << 20;
    private static final int ORIGIN_BLOCK_BYTES = 32 << 10;

    @TempDir
    private Path temporary;

    private Path folder;
    /** What changed since this one is not in {@code full}. */
    private String era;

    @BeforeEach
    void make() throws Exception {
        Ran.needLaunchers();
        Ran.need(Path.of(SystemCalls.STRACE), "setup/packages.txt");
        folder = Files.createDirectory(temporary.toRealPath().resolve("files"));
        make(folder);
    }

    private static void make(Path folder) throws Exception {
        Files.write(folder.resolve("meta"), recorded("v1-writethrough.era"));
        Files.write(folder.resolve("cache"), recorded("v1-writethrough.cache"));
        Ran.tool("era_dump", "-o", folder.resolve("xml"), folder.resolve("meta"))
                .good();
        Files.write(folder.resolve("out"), new byte[1 << 20]);
    }

    private static byte[] recorded(String name) {
        return Fixtures.unxz(Fixtures.folder().resolve("dm-cache/" + name + ".raw.xz"));
    }

    /** Runs a tool whose calls on {@code file} fail as {@code injection} has it. */
    private Ran failing(String file, String injection, String words) throws IOException, InterruptedException {
        String calls = injection.substring(0, injection.indexOf(':'));
        List<String> options =
                List.of("-P", folder.resolve(file).toString(), "-e", "trace=" + calls, "-e", "inject=" + injection);
        return Ran.of(SystemCalls.traced(temporary.resolve("trace"), options, command(words)), Map.of());
    }

    private List<String> command(String words) {
        List<String> command = new ArrayList<>();
        for (String word : words.split(" ", -1)) {
            command.add(
                    command.isEmpty()
                            ? Distribution.BIN.resolve(word).toString()
                            : FILES.contains(word) ? folder + "/" + word : word.equals("ERA") ? era : word);
        }
        return command;
    }

    @TestFactory
    Stream<DynamicTest> anInputThatCanNotBeReadIsNamed() {
        return Stream.of(
                        "meta: era_check meta",
                        "meta: era_dump meta",
                        "meta: era_invalidate --written-since 2 meta",
                        "meta: era_invalidate --written-since 2 --cache-metadata cache meta",
                        "cache: era_invalidate --written-since 2 --cache-metadata cache meta",
                        "meta: era_stat meta",
                        "xml: era_restore -i xml -o out")
                .map(words -> DynamicTest.dynamicTest(words, () -> {
                    String file = words.substring(0, words.indexOf(':'));
                    failing(file, "pread64,read:error=EIO:when=1+", words.substring(file.length() + 2))
                            .refused(folder.resolve(file) + ": ");
                }));
    }

    @Test
    void whatLiesOnAReadOnlyFileSystemIsNotSaidToBeSomebodyElses() throws Exception {
        assumeTrue("root".equals(System.getProperty("user.name")), "mounts");
        Ran.tool("era-tools", "generate", "-q", "--nr-blocks", 10, "-o", folder.resolve("meta2"))
                .good();
        Files.write(folder.resolve("origin"), new byte[10 * 65_536]);
        Ran.tool(
                        "era_copy",
                        "-q",
                        "--full",
                        "-m",
                        folder.resolve("meta2"),
                        folder.resolve("origin"),
                        "-o",
                        folder.resolve("full"))
                .good();
        for (String words :
                List.of("era_restore -i xml -o out", "era_check --auto-repair out", "era_apply full -o out")) {
            Ran.shell("unshare -m sh -ec 'cd " + folder + "; mount --bind . .; mount -o remount,bind,ro .; cd " + folder
                            + "; exec " + words + "'")
                    .refused("Read-only file system: out");
        }
    }

    @Test
    void aStreamInWhichNoPlaceCanBeSoughtIsNamed() throws Exception {
        makeStreams();
        failing("full", "lseek:error=EIO", "era_apply full increment -o out").refused(folder.resolve("full") + ": ");
    }

    @Test
    void aFileThatCanNotBeLockedIsNamed() throws Exception {
        failing("meta", "fcntl:error=ENOLCK", "era_check meta").refused(folder.resolve("meta") + ": locking it failed");
        failing("out", "fcntl:error=ENOLCK", "era_restore -i xml -o out")
                .refused(folder.resolve("out") + ": locking it failed");
        for (int run = 0; run < 2; run++) {
            // The second one finds what the first one has left.
            failing("out.partial", "fcntl:error=ENOLCK", "era_dump meta -o out")
                    .refused(folder.resolve("out.partial") + ": locking it failed");
        }
    }

    /** As those of some network and shared file systems do, which know how to sync files alone. */
    @Test
    void aProductIsMadeInAFolderThatCanNotBeSynced() throws Exception {
        Files.delete(folder.resolve("out"));
        failing("", "fsync:error=EINVAL", "era_dump meta -o out").good();
        assertProduct();
    }

    @Test
    void aFolderThatCanNotBeListedIsNamed() throws Exception {
        Path state = folder.resolve("state");
        Ran refused = failing(
                "state", "getdents64:error=EIO", "era-dmsetup engine --control " + folder + "/run/c --state " + state);
        assertEquals(state + ": Input/output error\nCommand failed.\n", refused.err());
    }

    @Test
    void aFolderWhoseSyncFailsIsNamed() throws Exception {
        failing("", "fsync:error=EIO", "era_dump meta -o out").refused(folder + ": making it durable failed");
    }

    /** Where the mode can't be given to a new file, as on file systems without modes, the old one is written. */
    @Test
    void aProductIsWrittenWhereItIsWhenItsModeCanNotBeKept() throws Exception {
        Files.setPosixFilePermissions(
                folder.resolve("out"), java.nio.file.attribute.PosixFilePermissions.fromString("rw-rw-rw-"));
        failing("out.partial", "chmod,fchmod,fchmodat:error=EPERM", "era_dump meta -o out")
                .good();
        assertProduct();
        assertFalse(Files.exists(folder.resolve("out.partial")));
    }

    /** A command line, which of our files it makes or changes, and a shell's line that says what that holds. */
    private record Case(String words, String result, String look) {}

    private static final List<Case> CASES = List.of(
            new Case("era_check meta", "", ""),
            new Case("era_dump meta -o out", "out", "cat out"),
            new Case("era_invalidate --written-since 2 --cache-metadata cache meta -o out", "out", "cat out"),
            new Case("era_restore -i xml -o out", "out", "era_dump out"),
            new Case("era_apply full increment -o out", "out", "sha256sum out"),
            new Case("era_apply --verify full increment -o origin", "", ""),
            new Case("era_copy --merge full increment -o out", "out", "era_apply --verify out -o origin"),
            new Case("era_apply full --changed-since ERA -m meta -o origin", "origin", "sha256sum origin"),
            new Case("era_apply full --changed-since ERA --compare -m meta -o origin", "origin", "sha256sum origin"));

    /** Those that write where the result is, which is not whole then, and say so. */
    private static final String IN_PLACE = "era_restore |era_apply ";

    /** Those of which a failure leaves the file beside the product: without a claim, it may be another run's. */
    private static final String CLAIMS = "(fcntl|fstat|newfstatat) .*\\.partial";

    @TestFactory
    Stream<DynamicTest> whicheverCallFailsTheResultIsRightOrTheFileIsNamed() throws Exception {
        if (!Boolean.getBoolean("era.nightly")) {
            return Stream.of();
        }
        makeStreams();
        return CASES.stream()
                .map(each -> DynamicTest.dynamicTest(each.words, () -> {
                    prepare();
                    Path trace = temporary.resolve("trace");
                    Ran good = Ran.of(
                            SystemCalls.traced(trace, List.of("-e", "trace=%file,%desc"), command(each.words)),
                            Map.of());
                    assertEquals(0, good.code(), good::err);
                    String product = look(each);
                    for (String call : callsOnOurFiles(trace)) {
                        for (int number = 1; number <= 2; number++) {
                            prepare();
                            assertRightOrNamed(each, call, number, good, product);
                        }
                    }
                }));
    }

    /** A backup of an origin, a block of which has been written since, and the increment that has it. */
    private void makeStreams() throws Exception {
        Path origin = folder.resolve("origin");
        Path meta = folder.resolve("meta");
        try (FileChannel channel = FileChannel.open(origin, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.wrap(new byte[] {1}), 0);
            channel.write(ByteBuffer.wrap(new byte[] {2}), ORIGIN_BYTES - 1);
            Ran.tool("era_copy", "-q", "--full", "-m", meta, origin, "-o", folder.resolve("full"))
                    .good();
            Matcher said = Pattern.compile("up to era (\\d+)")
                    .matcher(Ran.tool("era_apply", "-n", folder.resolve("full"), "-o", folder.resolve("out"))
                            .good()
                            .out());
            assertTrue(said.find());
            era = said.group(1);
            BlockSet written = new BlockSet(ORIGIN_BYTES / ORIGIN_BLOCK_BYTES);
            written.add(1);
            try (WrittenSince marks = new WrittenSince(meta, false, true, Long.parseLong(era))) {
                marks.mark(written);
            }
            channel.write(ByteBuffer.wrap(new byte[] {3}), ORIGIN_BLOCK_BYTES);
        }
        Path full = folder.resolve("full");
        Ran.tool("era_copy", "-q", "--after", full, "-m", meta, origin, "-o", folder.resolve("increment"))
                .good();
        Files.createDirectory(originals());
        for (Path each : Folders.entries(folder, "*")) {
            Files.copy(each, originals().resolve(each.getFileName()));
        }
    }

    private Path originals() {
        return temporary.resolve("originals");
    }

    /** The files as before each run, and no others. */
    private void prepare() throws Exception {
        for (Path each : Folders.entries(folder, "*")) {
            Files.delete(each);
        }
        for (Path each : Folders.entries(originals(), "*")) {
            Files.copy(each, folder.resolve(each.getFileName()));
        }
    }

    private String look(Case each) throws Exception {
        return each.look.isEmpty() || !Files.exists(folder.resolve(each.result))
                ? ""
                : Ran.shell("cd " + folder + " && " + each.look).out();
    }

    /** As in {@code fsync FILE}: each kind of call on each file. */
    private Set<String> callsOnOurFiles(Path trace) throws IOException {
        Pattern call = Pattern.compile(
                "(\\w+)\\(.*?[<\"](" + Pattern.quote(folder.toString()) + "(?:/[^>\"]+)?)[>\"].*", Pattern.DOTALL);
        Set<String> calls = new TreeSet<>();
        for (SystemCalls.Call each : SystemCalls.of(trace)) {
            Matcher matcher = call.matcher(each.text());
            if (matcher.matches() && !matcher.group(1).equals("close")) {
                calls.add(matcher.group(1) + " " + matcher.group(2));
            }
        }
        return calls;
    }

    private void assertRightOrNamed(Case each, String call, int number, Ran good, String product) throws Exception {
        List<Path> before = Folders.entries(folder, "*");
        String old = look(each);
        String[] words = call.split(" ", 2);
        String what = each.words + ", " + call + " " + number + ": ";
        List<String> options = List.of("-P", words[1], "-e", "inject=" + words[0] + ":error=EIO:when=" + number);
        Ran ran = Ran.of(SystemCalls.traced(temporary.resolve("trace"), options, command(each.words)), Map.of());
        String now = look(each);
        if (ran.code() == 0) {
            assertEquals(product, now, what);
            assertEquals(good.err(), ran.err(), what);
            return;
        }
        boolean inPlace = each.words.matches("(?:" + IN_PLACE + ").*");
        assertTrue(inPlace || now.equals(old) || now.equals(product), what + now);
        List<String> lines =
                ran.err().lines().filter(line -> !line.contains("warning: ")).toList();
        assertTrue(lines.size() == 1 && lines.get(0).contains(folder.toString()), what + ran);
        assertFalse(ran.err().matches("(?s).*(Exception|internal error|: null).*"), what + ran);
        List<Path> left = new ArrayList<>(Folders.entries(folder, "*"));
        left.removeAll(before);
        left.remove(folder.resolve(each.result));
        left.remove(folder.resolve(each.result + ".erastate"));
        assertTrue(left.isEmpty() || call.matches(CLAIMS) || call.startsWith("unlink"), what + left);
        if (inPlace) {
            Ran again = Ran.of(command(each.words), Map.of());
            assertEquals(0, again.code(), what + again);
            assertEquals(product, look(each), what + "again");
        }
    }

    private void assertProduct() throws IOException {
        assertArrayEquals(Files.readAllBytes(folder.resolve("xml")), Files.readAllBytes(folder.resolve("out")));
    }
}
