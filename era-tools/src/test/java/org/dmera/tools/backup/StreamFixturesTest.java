// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.backup.image.StreamImage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Streams that each version wrote are read by this one: a backup outlives the program that made it. */
class StreamFixturesTest {
    private static final Path FOLDER = Fixtures.folder().resolve("streams");

    @TempDir
    Path dir;

    private static List<Path> in(Path folder, String prefix) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.getFileName().toString().startsWith(prefix))
                    .sorted()
                    .toList();
        }
    }

    private static String sha256(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    @Test
    void aChainOfEachVersionGivesItsStatesWhicheverWayItIsRead() throws Exception {
        List<Path> versions = in(FOLDER, "");
        assertFalse(versions.isEmpty());
        for (Path version : versions) {
            List<Path> streams = in(version, "data.");
            List<String> states = Files.readAllLines(version.resolve("states.txt"));
            assertEquals(streams.size(), states.size());
            Path target = dir.resolve(version.getFileName());
            try (StreamImage image = StreamImage.open(streams, 1 << 20, line -> {})) {
                for (int i = 0; i < states.size(); i++) {
                    String[] words = states.get(i).split(" ", -1);
                    Run.apply(streams.get(i), "-o", target).ok();
                    byte[] applied = Files.readAllBytes(target);
                    assertEquals(words[2], sha256(applied), words[0]);
                    assertEquals(Long.parseLong(words[1]), image.sizeBytes(i), words[0]);
                    ByteBuffer served = ByteBuffer.allocate(applied.length);
                    image.read(i, 0, served);
                    assertEquals(words[2], sha256(served.array()), words[0]);
                }
            }
            Path merged = version.resolve("merged.erastream");
            Run.apply(merged, "-o", dir.resolve("merged"), "--force").ok();
            assertEquals(-1L, Files.mismatch(target, dir.resolve("merged")));
            String said = Run.apply("--verify", merged, "-o", target).ok().out();
            assertTrue(said.contains("holds what the streams hold"), said);
        }
    }
}
