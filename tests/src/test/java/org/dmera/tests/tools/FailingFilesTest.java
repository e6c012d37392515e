// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What the tools make of system calls that fail on their files. */
@Timeout(300)
class FailingFilesTest {
    @TempDir
    private Path temporary;

    private Path folder;

    @BeforeEach
    void make() throws Exception {
        Ran.needLaunchers();
        Ran.need(Path.of(SystemCalls.STRACE), "setup/packages.txt");
        folder = Files.createDirectory(temporary.toRealPath().resolve("files"));
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
        List<String> command = new ArrayList<>();
        for (String word : words.split(" ", -1)) {
            boolean isFile = List.of("meta", "cache", "xml", "out").contains(word);
            command.add(command.isEmpty() ? Ran.BIN.resolve(word).toString() : isFile ? folder + "/" + word : word);
        }
        String calls = injection.substring(0, injection.indexOf(':'));
        List<String> options =
                List.of("-P", folder.resolve(file).toString(), "-e", "trace=" + calls, "-e", "inject=" + injection);
        return Ran.of(SystemCalls.traced(temporary.resolve("trace"), options, command), Map.of());
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
    void aFileThatCanNotBeLockedIsNamed() throws Exception {
        failing("meta", "fcntl:error=ENOLCK", "era_check meta").refused(folder.resolve("meta") + ": locking it failed");
        failing("out", "fcntl:error=ENOLCK", "era_restore -i xml -o out")
                .refused(folder.resolve("out") + ": locking it failed");
        failing("out.partial", "fcntl:error=ENOLCK", "era_dump meta -o out")
                .refused(folder.resolve("out.partial") + ": locking it failed");
    }

    /** As those of some network and shared file systems do, which know how to sync files alone. */
    @Test
    void aProductIsMadeInAFolderThatCanNotBeSynced() throws Exception {
        Files.delete(folder.resolve("out"));
        failing("", "fsync:error=EINVAL", "era_dump meta -o out").good();
        assertProduct();
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

    private void assertProduct() throws IOException {
        assertArrayEquals(Files.readAllBytes(folder.resolve("xml")), Files.readAllBytes(folder.resolve("out")));
    }
}
