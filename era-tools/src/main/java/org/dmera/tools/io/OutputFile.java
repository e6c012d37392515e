// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.io;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.dmera.tools.cli.Console;

/** Where a tool's product goes: the file of {@code --output}, or standard output when there is none, or for "-". */
public final class OutputFile implements Closeable {
    private final WritableByteChannel channel;
    private final boolean ours;

    private OutputFile(WritableByteChannel channel, boolean ours) {
        this.channel = channel;
        this.ours = ours;
    }

    /**
     * Opens it, emptied.
     *
     * @param name the value of {@code --output}, or null
     * @param input what the tool reads, which must not be the same file
     */
    public static OutputFile open(String name, Path input, Console console) throws IOException {
        if (name == null || name.equals("-")) {
            return new OutputFile(console.output(), false);
        }
        Path path = Path.of(name);
        if (Files.exists(path)) {
            if (Files.isDirectory(path)) {
                throw new IOException("The output is a directory: " + name);
            }
            if (Files.isSameFile(path, input)) {
                throw new IOException("The output is the input: " + name);
            }
        }
        return new OutputFile(
                FileChannel.open(
                        path,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.TRUNCATE_EXISTING,
                        StandardOpenOption.WRITE),
                true);
    }

    public WritableByteChannel channel() {
        return channel;
    }

    @Override
    public void close() throws IOException {
        if (ours) {
            channel.close();
        }
    }
}
