// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.dmera.tools.backup.copy.StreamOutput;
import org.dmera.tools.cli.Console;

/** Where a stream goes: standard output, a pipe or tape as it is, or a file that is there whole or not at all. */
final class StreamDestination implements Closeable {
    private final WritableByteChannel channel;
    private final StreamOutput file;

    private StreamDestination(WritableByteChannel channel, StreamOutput file) {
        this.channel = channel;
        this.file = file;
    }

    static StreamDestination open(String path, Console console) throws IOException {
        if (path.equals("-")) {
            if (TransferProgress.isTerminal(1)) {
                throw new IOException("standard output is a terminal: give --output FILE, or a pipe");
            }
            return new StreamDestination(console.output(), null);
        }
        Path p = Path.of(path);
        if (Files.exists(p) && !Files.isRegularFile(p) && !Files.isDirectory(p)) {
            return new StreamDestination(FileChannel.open(p, StandardOpenOption.WRITE), null);
        }
        StreamOutput output = new StreamOutput(p);
        return new StreamDestination(output, output);
    }

    WritableByteChannel channel() {
        return channel;
    }

    /** The stream is whole. */
    void commit() throws IOException {
        if (file != null) {
            file.commit();
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
