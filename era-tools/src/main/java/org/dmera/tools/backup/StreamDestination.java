// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.tools.backup.copy.StreamOutput;
import org.dmera.tools.cli.Console;

/** Where a stream goes: standard output, a pipe or tape as it is, or a file that is there whole or not at all. */
final class StreamDestination implements Closeable {
    private static final int NO_CLAIM = -1;

    private final WritableByteChannel channel;
    private final StreamOutput file;
    /** The descriptor that keeps a block device for this stream, or {@link #NO_CLAIM}. */
    private final int claim;

    private StreamDestination(WritableByteChannel channel, StreamOutput file, int claim) {
        this.channel = channel;
        this.file = file;
        this.claim = claim;
    }

    static StreamDestination open(String path, Console console) throws IOException {
        if (path.equals("-")) {
            if (TransferProgress.isTerminal(1)) {
                throw new IOException("standard output is a terminal: give --output FILE, or a pipe");
            }
            return new StreamDestination(console.output(), null, NO_CLAIM);
        }
        Path p = Path.of(path);
        if (Files.exists(p) && DeviceOpener.isBlockDevice(p)) {
            return device(p);
        }
        if (Files.exists(p) && !Files.isRegularFile(p) && !Files.isDirectory(p)) {
            return new StreamDestination(FileChannel.open(p, StandardOpenOption.WRITE), null, NO_CLAIM);
        }
        StreamOutput output = new StreamOutput(p);
        return new StreamDestination(output, output, NO_CLAIM);
    }

    /** A block device is written as it is, if nobody else has it. */
    private static StreamDestination device(Path path) throws IOException {
        int claim;
        try {
            claim = FileDescriptors.open(path.toString(), FileDescriptors.O_RDWR | FileDescriptors.O_EXCL);
        } catch (ErrnoException e) {
            throw e.is(Errno.EBUSY)
                    ? new IOException("Device " + path + " is in use (mounted, or held by device-mapper)", e)
                    : e;
        }
        try {
            return new StreamDestination(FileChannel.open(path, StandardOpenOption.WRITE), null, claim);
        } catch (IOException e) {
            FileDescriptors.close(claim);
            throw e;
        }
    }

    WritableByteChannel channel() {
        return channel;
    }

    /** The stream is whole. */
    void commit() throws IOException {
        if (file != null) {
            file.commit();
        }
        if (claim != NO_CLAIM) {
            ((FileChannel) channel).force(true);
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
        if (claim != NO_CLAIM) {
            FileDescriptors.close(claim);
        }
    }
}
