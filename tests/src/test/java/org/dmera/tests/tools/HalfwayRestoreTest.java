// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.dmera.testkit.Alone;
import org.dmera.testkit.Fixtures;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A restore over older metadata that ends halfway leaves nothing that could be taken for metadata. */
@Alone
class HalfwayRestoreTest {
    private static final byte[] OLDER = Fixtures.imageBytes(Fixtures.image("e_crash_bs8.crash"));

    @TempDir
    private Path folder;

    private Path xml;
    private Path output;

    @BeforeEach
    void prepare() throws IOException, InterruptedException {
        Ran.needLaunchers();
        // Large enough that much is written before its end comes: some 1500 blocks.
        Path large = folder.resolve("large");
        xml = folder.resolve("xml");
        InProcess.run("generate", "--nr-blocks", 1_000_000, "--writesets", 8, "-o", large);
        InProcess.run("era_dump", "--compact", "-o", xml, large);
        output = Files.write(folder.resolve("output"), OLDER);
        try (RandomAccessFile file = new RandomAccessFile(output.toFile(), "rw")) {
            file.setLength(8 << 20);
        }
    }

    private static void requireNoMetadata(Path device) throws IOException, InterruptedException {
        try (InputStream in = Files.newInputStream(device)) {
            assertArrayEquals(new byte[4096], in.readNBytes(4096), "block 0");
        }
        Ran.tool("era_dump", device).refused("bad checksum in superblock");
    }

    @Test
    void malformedXmlInTheMiddle() throws IOException, InterruptedException {
        byte[] bytes = Files.readAllBytes(xml);
        bytes[bytes.length - 1000] = '<';
        Files.write(xml, bytes);
        Ran.tool("era_restore", "-i", xml, "-o", output).refused("XML line ");
        requireNoMetadata(output);
    }

    @Test
    void xmlThatEndsTooSoon() throws IOException, InterruptedException {
        byte[] bytes = Files.readAllBytes(xml);
        Files.write(xml, Arrays.copyOf(bytes, bytes.length - "</superblock>\n".length()));
        Ran.tool("era_restore", "-i", xml, "-o", output).refused("XML line ");
        requireNoMetadata(output);
    }

    @Test
    void aSmallDocumentThatIsMalformedTouchesNothing() throws IOException, InterruptedException {
        byte[] before = Files.readAllBytes(output);
        byte[] small = Fixtures.xmlBytes(Fixtures.image("a_fresh_bs8.clean"));
        Files.write(xml, Arrays.copyOf(small, small.length - 3));
        Ran.tool("era_restore", "-i", xml, "-o", output).refused("XML line ");
        assertArrayEquals(before, Files.readAllBytes(output));
    }

    @Test
    void aDiskThatFillsUp() throws IOException, InterruptedException {
        assumeTrue("root".equals(System.getProperty("user.name")), "needs root, to mount a tmpfs");
        Path disk = Files.createDirectory(folder.resolve("disk"));
        Ran mounted = Ran.shell("mount -t tmpfs -o size=2m tmpfs " + disk);
        assumeTrue(mounted.code() == 0, "can't mount a tmpfs: " + mounted.err());
        try {
            Path sparse = disk.resolve("output");
            Files.write(sparse, Arrays.copyOf(OLDER, 200_704));
            try (RandomAccessFile file = new RandomAccessFile(sparse.toFile(), "rw")) {
                file.setLength(8 << 20);
            }
            Ran.tool("era_restore", "-i", xml, "-o", sparse).refused("No space left on device");
            requireNoMetadata(sparse);
            Path made = disk.resolve("made");
            Ran.tool("era-tools", "generate", "-o", made).refused("No space left on device");
            assertFalse(Files.exists(made), "in the way of the next try");
        } finally {
            Ran.shell("umount " + disk).good();
        }
    }

    @Test
    void aToolThatIsKilled() throws IOException, InterruptedException {
        byte[] bytes = Files.readAllBytes(xml);
        Process process = new ProcessBuilder(Distribution.program("era_restore"), "-i", "-", "-o", output.toString())
                .redirectErrorStream(true)
                .start();
        try (OutputStream in = process.getOutputStream()) {
            // When so much has gone through the pipe, the most of it has been read and worked on.
            in.write(bytes, 0, bytes.length - 100);
            in.flush();
            process.destroyForcibly();
            assertTrue(process.waitFor(240, TimeUnit.SECONDS));
        } catch (IOException pipeOfTheKilled) {
            assertEquals("Broken pipe", pipeOfTheKilled.getMessage());
        }
        requireNoMetadata(output);
    }
}
