// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** An empty file that not even root can delete (chattr(1)), while this is open. */
final class ImmutableFile implements Closeable {
    private final Path path;

    /** Skips the test where there is none of that kind. */
    ImmutableFile(Path path) throws IOException, InterruptedException {
        this.path = Files.createFile(path);
        assumeTrue(chattr("+i") == 0, "needs root, and a file system with attributes");
    }

    Path path() {
        return path;
    }

    private int chattr(String attribute) throws IOException, InterruptedException {
        return new ProcessBuilder("chattr", attribute, path.toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start()
                .waitFor();
    }

    @Override
    public void close() throws IOException {
        try {
            if (chattr("-i") != 0) {
                throw new IOException(path + " stays immutable");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }
}
