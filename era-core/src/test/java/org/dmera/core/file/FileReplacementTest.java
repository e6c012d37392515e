// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A file is replaced whole, by one at a time, and never under the hands of those who use it. */
class FileReplacementTest {
    @TempDir
    Path folder;

    private Path file;
    private Path partial;

    @BeforeEach
    void name() {
        file = folder.resolve("file");
        partial = folder.resolve("file.partial");
    }

    private static void write(FileReplacement replacement, String text) throws IOException {
        replacement.channel().write(ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(f -> f.getFileName().toString()).sorted().toList();
        }
    }

    private static String refusal(Path file) {
        IOException e = assertThrows(
                IOException.class, () -> FileReplacement.begin(file).close());
        return e.getMessage();
    }

    @Test
    void theOldContentStaysUntilTheNewIsCommitted() throws IOException {
        Files.writeString(file, "old");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-x---"));
        try (FileReplacement replacement = FileReplacement.begin(file)) {
            write(replacement, "new");
            assertEquals("old", Files.readString(file));
            assertEquals("rw-r-x---", PosixFilePermissions.toString(Files.getPosixFilePermissions(partial)));
            replacement.commit();
            assertEquals("new", Files.readString(file));
        }
        assertEquals("rw-r-x---", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
        assertEquals(List.of("file"), names());
    }

    @Test
    void whatIsNotCommittedLeavesNothing() throws IOException {
        try (FileReplacement replacement = FileReplacement.begin(file)) {
            write(replacement, "half");
        }
        assertEquals(List.of(), names());
    }

    @Test
    void anyNameThatTheFileSystemTakesWillDo() throws IOException {
        for (int length : new int[] {246, 247, 248, 255}) {
            for (String end : new String[] {"a", "b"}) {
                Path longest = folder.resolve("n".repeat(length - 1) + end);
                FileReplacement.replace(longest, end.getBytes(StandardCharsets.UTF_8));
                assertEquals(end, Files.readString(longest));
            }
        }
        assertEquals(8, names().size());
        Path tooLong = folder.resolve("n".repeat(256));
        assertEquals(tooLong + ": File name too long", refusal(tooLong));
        Path one = folder.resolve("n".repeat(254) + 1);
        Path other = folder.resolve("n".repeat(254) + 2);
        try (FileReplacement first = FileReplacement.begin(one);
                FileReplacement second = FileReplacement.begin(other)) {
            write(second, "other");
            write(first, "one");
            second.commit();
            first.commit();
        }
        assertEquals("one", Files.readString(one));
        assertEquals("other", Files.readString(other));
    }

    private FileReplacement interrupted() throws IOException {
        FileReplacement interrupted = FileReplacement.begin(file);
        write(interrupted, "half");
        Thread.currentThread().interrupt();
        assertThrows(ClosedByInterruptException.class, () -> write(interrupted, "more"));
        return interrupted;
    }

    @Test
    void whatAnInterruptedThreadLeavesIsTakenAway() throws IOException {
        interrupted().close();
        assertTrue(Thread.interrupted(), "it is left for whoever looks for it next");
        assertEquals(List.of(), names());
    }

    @Test
    void whatAnotherRunMakesAfterAnInterruptIsLeftAlone() throws IOException {
        FileReplacement interrupted = interrupted();
        assertTrue(Thread.interrupted());
        try (FileReplacement next = FileReplacement.begin(file)) {
            write(next, "whole");
            interrupted.close();
            next.commit();
        }
        assertEquals("whole", Files.readString(file));
    }

    /** Another host sees no claim, takes the file for a left-over, and begins its own. */
    @Test
    void whatAnotherHostWritesUnderTheSameNameIsNeitherTakenForTheProductNorDeleted() throws IOException {
        try (FileReplacement replacement = FileReplacement.begin(file)) {
            write(replacement, "whole");
            Files.delete(partial);
            Files.writeString(partial, "half");
            IOException e = assertThrows(IOException.class, replacement::commit);
            assertEquals(partial + ": somebody has deleted it, or put another file in its place", e.getMessage());
        }
        assertEquals(List.of("file.partial"), names());
        assertEquals("half", Files.readString(partial));
    }

    @Test
    void theSecondOfTwoRunsIsRefused() throws IOException {
        try (FileReplacement first = FileReplacement.begin(file)) {
            write(first, "first");
            assertThrows(
                    FileReplacement.BusyException.class,
                    () -> FileReplacement.begin(file).close());
            assertTrue(Files.exists(partial), "the first one's file is left alone");
            first.commit();
            assertTrue(refusal(file).contains("is in use"), "nor while the first has it still");
        }
        assertEquals("first", Files.readString(file));
    }

    @Test
    void whatAKilledRunLeftIsTakenAway() throws IOException {
        Files.write(partial, new byte[100_000]);
        try (FileReplacement replacement = FileReplacement.begin(file)) {
            write(replacement, "new");
            replacement.commit();
        }
        assertEquals("new", Files.readString(file));
        assertEquals(List.of("file"), names());
    }

    @Test
    void aLinkUnderThePartialNameIsNotFollowed() throws IOException {
        Path victim = Files.writeString(folder.resolve("victim"), "precious");
        Files.createSymbolicLink(partial, victim);
        assertTrue(refusal(file).contains("is in the way"));
        assertEquals("precious", Files.readString(victim));
    }

    @Test
    void aFileThatSomebodyReadsOrWritesIsNotReplaced() throws IOException {
        Files.writeString(file, "in use");
        Path link = Files.createSymbolicLink(folder.resolve("link"), file);
        Path hard = Files.createLink(folder.resolve("hard"), file);
        try (FileChannel user = FileChannel.open(file, StandardOpenOption.WRITE)) {
            assertTrue(FileClaim.takeForWriting(user, file));
            for (Path name : List.of(file, link, hard)) {
                assertTrue(refusal(name).contains("is in use"), name.toString());
            }
        }
        try (FileChannel user = FileChannel.open(file, StandardOpenOption.READ)) {
            try (FileClaim claim = FileClaim.takeForReading(user, file)) {
                assertEquals("in use", Files.readString(file));
                assertTrue(claim != null && refusal(file).contains("is in use"));
            }
        }
        assertEquals(List.of("file", "hard", "link"), names());
    }

    @Test
    void aFileThatCameUnderTheNameMeanwhileIsNotReplacedWhenItIsInUse() throws IOException {
        Files.writeString(file, "first");
        try (FileReplacement replacement = FileReplacement.begin(file)) {
            write(replacement, "new");
            Path other = Files.writeString(folder.resolve("other"), "other");
            try (FileChannel user = FileChannel.open(other, StandardOpenOption.WRITE)) {
                assertTrue(FileClaim.takeForWriting(user, other));
                Files.move(other, file, java.nio.file.StandardCopyOption.ATOMIC_MOVE);
                IOException e = assertThrows(IOException.class, replacement::commit);
                assertTrue(e.getMessage().contains("is in use"), e.getMessage());
            }
        }
        assertEquals("other", Files.readString(file));
        assertEquals(List.of("file"), names());
    }

    @Test
    void aLinkIsFollowedAlsoOneThatLeadsNowhereYet() throws IOException {
        Path deep = Files.createDirectory(folder.resolve("deep"));
        Files.createSymbolicLink(folder.resolve("hop"), Path.of("deep/new"));
        Files.createSymbolicLink(file, Path.of("hop"));
        FileReplacement.replace(file, new byte[] {1, 2, 3});
        assertTrue(Files.isSymbolicLink(file));
        assertEquals(3, Files.size(deep.resolve("new")));
    }

    @Test
    void foldersAndCirclesAndMissingFoldersAreRefusedInOneLine() throws IOException {
        assertTrue(refusal(folder).contains("is a directory"));
        assertTrue(refusal(folder.resolve("no/file")).contains("no such folder"));
        Files.createSymbolicLink(file, file);
        assertTrue(refusal(file).contains("symbolic links"));
    }

    @Test
    void noRegularFileIsMadeAmongDeviceNodesByWhateverPath() throws IOException {
        Path up = folder.relativize(Path.of("/"));
        Files.createSymbolicLink(file, Path.of("/dev"));
        Path typo = Path.of("dm-era-no-such-device");
        for (Path path : List.of(
                Path.of("/dev").resolve(typo),
                folder.resolve(up).resolve("dev").resolve(typo),
                file.resolve(typo),
                Path.of("").toAbsolutePath().relativize(Path.of("/dev")).resolve(typo))) {
            assertTrue(refusal(path).contains("Couldn't find output file"), path.toString());
            assertFalse(Files.exists(path));
        }
        Path shared = Path.of("/dev/shm");
        if (Files.isWritable(shared)) {
            Path image = Files.createTempDirectory(shared, "era").resolve("new.img");
            FileReplacement.replace(image, new byte[] {7});
            assertEquals(1, Files.size(image));
            Files.delete(image);
            Files.delete(image.getParent());
        }
    }

    @Test
    void aSignalTakesTheUnfinishedFileAway() throws Exception {
        Process program = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin/java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        Unfinished.class.getName(),
                        file.toString())
                .redirectErrorStream(true)
                .start();
        assertEquals('.', program.getInputStream().read(), "it has begun");
        assertEquals(List.of("file.partial"), names());
        assertTrue(refusal(file).contains("another run is writing it"), "of another process, too");
        // Not by the Process, which would close its output.
        assertTrue(program.toHandle().destroy());
        program.waitFor();
        assertEquals("", new String(program.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
        assertEquals(List.of(), names());
    }

    /** Begins a file and waits for a signal. */
    static final class Unfinished {
        public static void main(String[] args) throws Exception {
            try (FileReplacement replacement = FileReplacement.begin(Path.of(args[0]))) {
                write(replacement, "half");
                System.out.print('.');
                System.out.flush();
                new java.util.concurrent.CountDownLatch(1).await();
            }
        }
    }
}
