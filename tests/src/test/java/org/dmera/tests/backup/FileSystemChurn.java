// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/** Random life on a mounted file system: files come, grow, shrink, are overwritten, renamed and removed. */
final class FileSystemChurn {
    private final Path root;
    private final Random random;
    private int names;

    FileSystemChurn(Path root, Random random) {
        this.root = root;
        this.random = random;
    }

    void live(int deeds) throws IOException {
        for (int i = 0; i < deeds; i++) {
            List<Path> files = files();
            if (files.isEmpty() || files.size() < 40 && random.nextInt(3) == 0) {
                create();
                continue;
            }
            Path file = files.get(random.nextInt(files.size()));
            switch (random.nextInt(5)) {
                case 0 -> Files.delete(file);
                case 1 -> Files.move(file, root.resolve("moved" + names++));
                default -> change(file);
            }
        }
    }

    private List<Path> files() throws IOException {
        try (Stream<Path> all = Files.walk(root)) {
            return all.filter(p -> Files.isRegularFile(p) && Files.isWritable(p))
                    .sorted()
                    .toList();
        }
    }

    private void create() throws IOException {
        Path folder = Files.createDirectories(root.resolve("folder" + random.nextInt(5)));
        Files.write(folder.resolve("file" + names++), bytes(random.nextInt(200_000)));
    }

    private void change(Path file) throws IOException {
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
            long length = f.length();
            if (random.nextInt(4) == 0) {
                f.setLength(length / 2);
            } else {
                f.seek((long) (random.nextDouble() * length));
                f.write(bytes(random.nextInt(30_000)));
            }
        }
    }

    private byte[] bytes(int count) {
        byte[] bytes = new byte[count];
        if (random.nextInt(4) != 0) {
            random.nextBytes(bytes);
        }
        return bytes;
    }
}
