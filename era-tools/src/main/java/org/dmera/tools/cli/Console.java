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
import org.dmera.core.linux.NativeText;

/** Where a command speaks: its standard streams, silenced by {@code --quiet}. */
public final class Console {
    private final String program;
    private final WritableByteChannel out;
    private final PrintStream err;
    private final InputStream in;
    private final boolean quiet;

    private Console(String program, InputStream in, WritableByteChannel out, PrintStream err, boolean quiet) {
        this.program = program;
        this.in = in;
        this.out = new PipeChannel(out);
        this.err = err;
        this.quiet = quiet;
    }

    /** The process's own streams. Standard output is not {@code System.out}: a channel takes buffers as they are. */
    static Console ofProcess(String program, boolean quiet) {
        return new Console(
                program, System.in, new FileOutputStream(FileDescriptor.out).getChannel(), System.err, quiet);
    }

    /** Streams of the caller's: for a program of another module, or tests that run a command in their own process. */
    public static Console of(String program, InputStream in, java.io.OutputStream out, PrintStream err, boolean quiet) {
        return new Console(program, in, Channels.newChannel(out), err, quiet);
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
            ByteBuffer bytes = ByteBuffer.wrap(NativeText.bytes(text + "\n"));
            while (bytes.hasRemaining()) {
                out.write(bytes);
            }
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

    /** The reader of standard output has gone away ({@code era_dump DEV | head}). */
    public static final class ClosedPipeException extends IOException {
        ClosedPipeException(IOException cause) {
            super("standard output was closed", cause);
        }
    }

    private static final class PipeChannel implements WritableByteChannel {
        private final WritableByteChannel channel;

        PipeChannel(WritableByteChannel channel) {
            this.channel = channel;
        }

        @Override
        public int write(ByteBuffer src) throws IOException {
            try {
                return channel.write(src);
            } catch (IOException e) {
                if ("Broken pipe".equals(e.getMessage())) {
                    throw new ClosedPipeException(e);
                }
                throw new IOException("standard output: " + e.getMessage(), e);
            }
        }

        @Override
        public boolean isOpen() {
            return channel.isOpen();
        }

        @Override
        public void close() {
            // Standard output is the process's, not the command's.
        }
    }
}
