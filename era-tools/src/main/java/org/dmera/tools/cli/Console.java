// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.NativeText;

/** Where a command speaks: its standard streams, silenced by {@code --quiet}. */
public final class Console {
    private static final Path STANDARD_OUTPUT = Path.of("/proc/self/fd/1");

    /** Bit mask of the file type in st_mode, and two of its values (inode(7)). */
    private static final int S_IFMT = 0170000;

    private static final int S_IFIFO = 0010000;
    private static final int S_IFSOCK = 0140000;

    private final String program;
    private final WritableByteChannel out;
    private final PrintStream err;
    private final InputStream in;
    private final boolean quiet;

    private Console(String program, InputStream in, WritableByteChannel out, PrintStream err, boolean quiet) {
        this.program = program;
        this.in = in;
        this.out = out;
        this.err = err;
        this.quiet = quiet;
    }

    /** The process's own streams. Standard output is not {@code System.out}: a channel takes buffers as they are. */
    static Console ofProcess(String program, boolean quiet) {
        WritableByteChannel out = new FileOutputStream(FileDescriptor.out).getChannel();
        return new Console(program, System.in, new PipeChannel(out, STANDARD_OUTPUT), System.err, quiet);
    }

    /** Streams of the caller's: for a program of another module, or tests that run a command in their own process. */
    public static Console of(String program, InputStream in, java.io.OutputStream out, PrintStream err, boolean quiet) {
        return new Console(program, in, new PipeChannel(Channels.newChannel(out), null), err, quiet);
    }

    /** Whether {@code --quiet} was given. */
    public boolean quiet() {
        return quiet;
    }

    /** Standard input. */
    public InputStream input() {
        return in;
    }

    /**
     * Standard output, unbuffered, for what the command was asked to produce. A pipe whose reader has gone ends the
     * command without a word: see {@link ClosedPipeException}.
     */
    public WritableByteChannel output() {
        return out;
    }

    /** One line, or several, on standard output, for reports meant for people; nothing under {@code --quiet}. */
    public void print(String text) throws IOException {
        if (!quiet) {
            answer(NativeText.bytes(text + "\n"));
        }
    }

    /** Bytes on standard output that were asked for, also under {@code --quiet}. */
    public void answer(byte[] bytes) throws IOException {
        ByteBuffer left = ByteBuffer.wrap(bytes);
        while (left.hasRemaining()) {
            out.write(left);
        }
    }

    /** A line on standard error that names the program; nothing under {@code --quiet}. */
    public void error(String message) {
        if (!quiet) {
            err.println(program + ": " + message);
        }
    }

    /** Standard error as it is, for a parser's message that has a form of its own; nothing under {@code --quiet}. */
    void raw(String text) {
        if (!quiet) {
            err.println(text);
        }
    }

    /** Shows the trace: only ever with ERA_DEBUG. */
    void trace(Throwable t) {
        t.printStackTrace(err);
    }

    /**
     * A channel to {@code path} for a product: when that is a pipe whose reader has gone, writing ends in a
     * {@link ClosedPipeException}; any other failure names the path.
     */
    public static WritableByteChannel toPath(WritableByteChannel channel, Path path) {
        return new PipeChannel(channel, path);
    }

    /** The reader of the output has gone away ({@code era_dump DEV | head}): no more is to be said about it. */
    public static final class ClosedPipeException extends IOException {
        ClosedPipeException(IOException cause) {
            super("the reader of the output has gone", cause);
        }
    }

    private static final class PipeChannel implements WritableByteChannel {
        private final WritableByteChannel channel;
        private final Path path;

        /** {@code path}: where it leads, or null when no file is behind it. */
        PipeChannel(WritableByteChannel channel, Path path) {
            this.channel = channel;
            this.path = path;
        }

        @Override
        public int write(ByteBuffer src) throws IOException {
            try {
                return channel.write(src);
            } catch (IOException e) {
                if (Errno.EPIPE.text().equals(e.getMessage()) || leadsToPipe()) {
                    throw new ClosedPipeException(e);
                }
                String name = path == null || path.equals(STANDARD_OUTPUT) ? "standard output" : path.toString();
                throw new IOException(name + ": " + e.getMessage(), e);
            }
        }

        /**
         * The message is of the user's language, and Java tells no errno. But a write to a pipe or a stream socket fails for
         * one reason only: its reader is gone.
         */
        private boolean leadsToPipe() {
            try {
                int type = path == null ? 0 : (int) Files.getAttribute(path, "unix:mode") & S_IFMT;
                return type == S_IFIFO || type == S_IFSOCK;
            } catch (IOException e) {
                return false;
            }
        }

        @Override
        public boolean isOpen() {
            return channel.isOpen();
        }

        @Override
        public void close() throws IOException {
            // Standard output is the process's, not the command's.
            if (path != null && !path.equals(STANDARD_OUTPUT)) {
                channel.close();
            }
        }
    }
}
