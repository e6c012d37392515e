// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.dmera.core.file.FileClaim;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** No tool writes to what it reads, or to what somebody else has in use, whatever the file is called. */
class SharedFilesTest {
    @TempDir
    private Path folder;

    private Path metadata;
    private Path dump;
    private Path origin;
    private Path full;
    private Path increment;

    @BeforeEach
    void make() throws IOException {
        metadata = folder.resolve("metadata");
        dump = folder.resolve("dump.xml");
        origin = folder.resolve("origin");
        full = folder.resolve("full");
        increment = folder.resolve("increment");
        ToolRun.of("generate", "--nr-blocks", 64, "--block-size", 8, "--writesets", 3, "-q", "-o", metadata)
                .product();
        ToolRun.of("era_dump", "-o", dump, metadata).product();
        Files.write(origin, new byte[64 * 4096]);
        ToolRun.of("era_copy", "--full", "-m", metadata, origin, "-o", full).text();
        ToolRun.of("era_copy", "--after", full, "-m", metadata, origin, "-o", increment)
                .text();
    }

    /** Every command that writes to {@code output} and reads {@code input} (metadata, dump, stream: what it wants). */
    private List<Object[]> commandsThatRead(Path input, Path output) {
        List<Object[]> commands = new ArrayList<>();
        if (input.equals(metadata)) {
            commands.add(new Object[] {"era_dump", "-o", output, input});
            commands.add(new Object[] {"era_dump", "--repair", "-o", output, input});
            commands.add(new Object[] {"era_invalidate", "--written-since", 1, "-o", output, input});
            commands.add(new Object[] {"era_repair", "-i", input, "-o", output});
            commands.add(new Object[] {"era_copy", "--full", "-m", input, origin, "-o", output});
        } else if (input.equals(origin)) {
            commands.add(new Object[] {"era_copy", "--full", "-m", metadata, input, "-o", output});
        } else if (input.equals(dump)) {
            commands.add(new Object[] {"era_restore", "-i", input, "-o", output});
        } else {
            commands.add(new Object[] {"era_copy", "--merge", full, increment, "-o", output});
            commands.add(new Object[] {"era_apply", full, increment, "-o", output});
            commands.add(new Object[] {"era_apply", full, increment, "-o", folder.resolve("new"), "--state", output});
            if (input.equals(full)) {
                commands.add(new Object[] {"era_copy", "--after", full, "-m", metadata, origin, "-o", output});
            }
        }
        return commands;
    }

    private static ToolRun run(Object[] command) {
        return ToolRun.of(command[0].toString(), java.util.Arrays.copyOfRange(command, 1, command.length));
    }

    @Test
    void anInputIsNeverTheOutputByAnyPathOrLink() throws IOException {
        for (Path input : List.of(metadata, origin, dump, full, increment)) {
            byte[] before = Files.readAllBytes(input);
            Path link = Files.createSymbolicLink(folder.resolve("link-" + input.getFileName()), input);
            Path hop = Files.createSymbolicLink(folder.resolve("hop-" + input.getFileName()), link.getFileName());
            Path hard = Files.createLink(folder.resolve("hard-" + input.getFileName()), input);
            Path odd = folder.resolve("./../" + folder.getFileName() + "/" + input.getFileName());
            for (Path output : List.of(input, link, hop, hard, odd)) {
                for (Object[] command : commandsThatRead(input, output)) {
                    run(command).refused();
                    assertArrayEquals(before, Files.readAllBytes(input), command[0] + " to " + output);
                }
            }
        }
    }

    @Test
    void aPictureIsNotDrawnOverTheMetadata() throws IOException {
        Path png = Files.createLink(folder.resolve("picture.png"), metadata);
        byte[] before = Files.readAllBytes(metadata);
        ToolRun.of("era_plot", "-o", png, metadata).refused("is the input");
        Path partial = Files.createLink(folder.resolve("other.svg.partial"), metadata);
        ToolRun.of("era_plot", "-o", folder.resolve("other.svg"), metadata).refused("is the input");
        assertArrayEquals(before, Files.readAllBytes(partial));
    }

    @Test
    void anInputIsNotTheNameUnderWhichTheOutputIsWritten() throws IOException {
        Path out = folder.resolve("out");
        Path partial = folder.resolve("out.partial");
        for (Path input : List.of(metadata, origin, full, increment)) {
            Files.createLink(partial, input);
            byte[] before = Files.readAllBytes(input);
            for (Object[] command : commandsThatRead(input, out)) {
                // Those two write where the output is.
                boolean inPlace = command[0].equals("era_repair")
                        || command[0].equals("era_apply") && !List.of(command).contains("--state");
                if (!inPlace) {
                    run(command).refused("out.partial is the input");
                }
                assertArrayEquals(before, Files.readAllBytes(input), command[0].toString());
            }
            Files.delete(partial);
        }
        ToolRun.of("era_copy", "--merge", full, Files.copy(increment, partial), "-o", out)
                .refused("out.partial is the input");
        assertArrayEquals(Files.readAllBytes(increment), Files.readAllBytes(partial));
    }

    @Test
    void whatSomebodyElseHasInUseIsNotWritten() throws IOException {
        Path used = folder.resolve("used");
        byte[] before = new byte[1 << 20];
        Files.write(used, before);
        Path link = Files.createSymbolicLink(folder.resolve("used-link"), used);
        Path hard = Files.createLink(folder.resolve("used-hard.png"), used);
        try (FileChannel user = FileChannel.open(used, StandardOpenOption.WRITE)) {
            assertTrue(FileClaim.takeForWriting(user, used));
            for (Path output : List.of(used, link, hard)) {
                for (Path input : List.of(metadata, origin, dump, full)) {
                    for (Object[] command : commandsThatRead(input, output)) {
                        run(command).refused("used");
                    }
                }
            }
            ToolRun.of("era_plot", "-o", hard, metadata).refused("is in use");
            ToolRun.of("era_check", "--auto-repair", used).refused("is in use");
            ToolRun.of("era_check", used).refused("is in use");
            ToolRun.of("generate", "--nr-blocks", 8, "-o", used).refused("used");
        }
        assertArrayEquals(before, Files.readAllBytes(used));
        assertEquals(
                List.of(),
                Stream.of("used.partial", "used-hard.png.partial")
                        .filter(name -> Files.exists(folder.resolve(name)))
                        .toList());
        ToolRun.of("era_restore", "-i", dump, "-o", used).product();
    }

    @Test
    void metadataThatIsReadCanBeReadByOthersAndWrittenByNobody() throws IOException {
        try (FileChannel user = FileChannel.open(metadata, StandardOpenOption.READ);
                FileClaim claim = FileClaim.takeForReading(user, metadata)) {
            assertTrue(claim != null);
            ToolRun.of("era_check", metadata).text();
            ToolRun.of("era_dump", metadata).text();
        }
        try (FileChannel user = FileChannel.open(metadata, StandardOpenOption.READ);
                FileClaim claim = FileClaim.takeForReading(user, metadata)) {
            assertTrue(claim != null);
            ToolRun.of("era_restore", "-i", dump, "-o", metadata).refused("is in use");
            ToolRun.of("era_dump", "-o", metadata, folder.resolve("full")).refused();
        }
        ToolRun.of("era_restore", "-i", dump, "-o", metadata).product();
    }

    @Test
    void aRegularFileIsNotMadeAmongDeviceNodes() throws IOException {
        Path typo = Path.of("/dev/dm-era-no-such-device");
        Path relative = Path.of("").toAbsolutePath().relativize(typo);
        for (Path output : List.of(typo, relative)) {
            ToolRun.of("era_dump", "-o", output, metadata).refused("Couldn't find output file");
            ToolRun.of("era_invalidate", "--written-since", 0, "-o", output, metadata)
                    .refused("Couldn't find output file");
            ToolRun.of("era_copy", "--full", "-m", metadata, origin, "-o", output)
                    .refused("Couldn't find output file");
            ToolRun.of("era_apply", full, "-o", output).refused("Couldn't find output file");
            ToolRun.of("generate", "--nr-blocks", 8, "-o", output).refused("Couldn't find output file");
            ToolRun.of("era_plot", "-o", output + ".png", metadata).refused("Couldn't find output file");
        }
        assertTrue(Files.notExists(typo));
    }

    @Test
    void whatIsMountedAmongDeviceNodesTakesRegularFiles() throws IOException {
        Path shared = Path.of("/dev/shm");
        assumeTrue(Files.isWritable(shared), "needs /dev/shm");
        Path own = Files.createTempDirectory(shared, "era");
        Path image = own.resolve("new.img");
        Path state = own.resolve("new.img.erastate");
        Path written = folder.resolve("written");
        Files.writeString(origin, "x".repeat(64 * 4096));
        ToolRun.of("era_copy", "--full", "-m", metadata, origin, "-o", written).text();
        try {
            for (Path output : List.of(image, Path.of("").toAbsolutePath().relativize(image))) {
                ToolRun.of("era_apply", written, "-o", output).product();
                assertTrue(Files.isRegularFile(image));
                assertEquals(-1, Files.mismatch(origin, image));
                Files.delete(image);
                Files.delete(state);
            }
        } finally {
            Files.deleteIfExists(image);
            Files.deleteIfExists(state);
            Files.delete(own);
        }
    }
}
