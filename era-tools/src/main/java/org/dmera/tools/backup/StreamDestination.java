// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.util.List;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.tools.backup.copy.StreamOutput;
import org.dmera.tools.cli.Console;
import org.dmera.tools.io.OutputFile;

/** Where a stream goes: as any product, but that a file is written past the page cache. */
final class StreamDestination implements Closeable {
    private final OutputFile output;
    /** Null unless a file is made. */
    private final StreamOutput file;

    private StreamDestination(OutputFile output, StreamOutput file) {
        this.output = output;
        this.file = file;
    }

    static StreamDestination open(String path, List<String> inputs, Console console) throws IOException {
        if (path.equals("-") && FileDescriptors.isTerminal(1)) {
            throw new IOException("standard output is a terminal: give --output FILE, or a pipe");
        }
        OutputFile output = OutputFile.open(path, inputs, console);
        return new StreamDestination(
                output, output.replacement() == null ? null : new StreamOutput(output.replacement()));
    }

    WritableByteChannel channel() {
        return file != null ? file : output.channel();
    }

    /** The stream is whole. */
    void commit() throws IOException {
        if (file != null) {
            file.commit();
        } else {
            output.commit();
        }
    }

    @Override
    public void close() throws IOException {
        try (output) {
            if (file != null) {
                file.close();
            }
        }
    }
}
