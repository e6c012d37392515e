// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.check;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Random;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.testkit.Corruption;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.Commands;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Twenty thousand corruptions: every tool ends soon, with an exit code and a readable report, whatever it is given. */
class CorruptionTest {
    private static final int CORRUPTIONS = 20_000;
    private static final int MAX_OUTPUT_BYTES = 64 << 20;
    private static final long SLOW_NANOS = 20_000_000_000L;
    private static final String[] IMAGES = {
        "a_fresh_bs128.live",
        "b_eras_bs8.live",
        "c_snap_bs24.live",
        "e_crash_bs24.crash",
        "g_resize.shrunk_settled_live"
    };
    private static final String[] OTHERS = {"era_dump", "era_dump --repair", "era_invalidate", "era_repair"};

    @TempDir
    Path folder;

    @Test
    void everyToolEndsWithOneReadableReport() throws IOException {
        boolean nightly = Boolean.getBoolean("era.nightly");
        long seed = nightly ? System.nanoTime() : 20;
        for (int i = 0; i < IMAGES.length; i++) {
            corrupt(IMAGES[i], CORRUPTIONS / IMAGES.length, seed + i, nightly);
        }
    }

    private void corrupt(String image, int times, long seed, boolean allTools) throws IOException {
        byte[] sound = Fixtures.imageBytes(Fixtures.image(image));
        // Where the kernel has been; the rest of the device was never written.
        int blocks = 64;
        byte[] work = java.util.Arrays.copyOf(sound, blocks * 4096);
        Random random = new Random(seed);
        Corruption corruption = new Corruption(random);
        Path file = folder.resolve(image);
        try (RandomAccessFile device = new RandomAccessFile(file.toFile(), "rw");
                RandomAccessFile target =
                        new RandomAccessFile(folder.resolve("out").toFile(), "rw")) {
            device.write(sound);
            target.setLength(sound.length);
            for (int i = 0; i < times; i++) {
                System.arraycopy(sound, 0, work, 0, work.length);
                corruption.corrupt(work, blocks);
                device.seek(0);
                device.write(work);
                device.setLength(random.nextInt(50) == 0 ? random.nextInt(sound.length) : sound.length);
                String context = image + ", seed " + seed + ", corruption " + i;
                run("era_check", file, context);
                for (int tool = 0; tool < OTHERS.length; tool++) {
                    if (allTools || i % (2 * OTHERS.length) == tool) {
                        run(OTHERS[tool], file, context);
                    }
                }
            }
        }
    }

    private void run(String tool, Path file, String context) throws IOException {
        String name = tool.endsWith(" --repair") ? tool.substring(0, tool.length() - 9) : tool;
        Path target = folder.resolve("out");
        String[] args = switch (tool) {
            case "era_dump --repair" -> new String[] {"--repair", "--block-size", "8", file.toString()};
            case "era_invalidate" -> new String[] {"--written-since", "2", file.toString()};
            case "era_repair" ->
                new String[] {"-i", file.toString(), "-o", target.toString(), "--block-size", "8", "--current-era", "9"
                };
            default -> new String[] {file.toString()};
        };
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        PrintStream err = new PrintStream(errors, true, StandardCharsets.UTF_8);
        long begun = System.nanoTime();
        int code = CommandLine.run(Commands.find(name), args, InputStream.nullInputStream(), new Limited(), err);
        long took = System.nanoTime() - begun;
        String said = errors.toString(StandardCharsets.UTF_8);
        assertTrue(code == 0 || code == 1, () -> context + ": " + tool + " gave " + code);
        assertFalse(
                said.contains("internal error") || said.contains("\tat "), () -> context + ": " + tool + ": " + said);
        assertTrue(took < SLOW_NANOS, () -> context + ": " + tool + " took " + took / 1_000_000 + " ms");
        if (code == 0 && tool.equals("era_repair")) {
            try (FileBlockDevice built = FileBlockDevice.open(target, false)) {
                CheckReport report = MetadataChecker.check(built);
                assertTrue(report.isClean(), () -> context + ": what era_repair built: " + report);
            }
        }
    }

    /** Ends a tool that writes without end, as a full disk would. */
    private static final class Limited extends OutputStream {
        private int bytes;

        @Override
        public void write(int b) throws IOException {
            write(new byte[1], 0, 1);
        }

        @Override
        public void write(byte[] b, int off, int len) throws IOException {
            bytes += len;
            if (bytes > MAX_OUTPUT_BYTES) {
                throw new IOException("no room left");
            }
        }
    }
}
