// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.io;

import com.github.luben.zstd.ZstdInputStream;
import java.io.BufferedInputStream;
import java.io.Closeable;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PushbackInputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.file.AccessMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import org.dmera.core.file.FileErrors;
import org.dmera.tools.cli.Console;

/**
 * Text that a tool reads: a file, or standard input for "-"; plain, or compressed by gzip or zstd, as its first bytes
 * tell. A failure to read it, or to decompress it, names the input.
 */
public final class TextInput implements ReadableByteChannel {
    private static final int MAGIC_BYTES = 4;
    private static final int GZIP_MAGIC = 0x8B1F;
    private static final int ZSTD_MAGIC = 0xFD2FB528;
    /** A frame to be skipped, with which pzstd begins: the last four bits may be any (RFC 8878). */
    private static final int ZSTD_SKIPPABLE_MAGIC = 0x184D2A50;

    private final String name;
    private final ReadableByteChannel text;
    private final Closeable opened;

    private TextInput(String name, ReadableByteChannel text, Closeable opened) {
        this.name = name;
        this.text = text;
        this.opened = opened;
    }

    /**
     * Opens it.
     *
     * @param name the value of {@code --input}
     * @param progress counts the bytes that are read, before decompression
     * @throws IOException {@code Couldn't find input file}, among others
     */
    public static TextInput open(String name, Console console, Progress progress) throws IOException {
        if (name.equals("-")) {
            return open("standard input", console.input(), false, progress);
        }
        Path path = Path.of(name);
        if (!Files.exists(path)) {
            throw new IOException("Couldn't find input file '" + name + "'");
        }
        if (Files.isDirectory(path)) {
            throw new IOException("Not a block device or regular file: '" + name + "'");
        }
        FileErrors.requireAccess(path, AccessMode.READ);
        return open(name, new FileInputStream(name), Files.isRegularFile(path), progress);
    }

    private static TextInput open(String name, InputStream raw, boolean regular, Progress progress) throws IOException {
        try {
            return new TextInput(name, regular ? ofFile((FileInputStream) raw, progress) : of(raw, progress), raw);
        } catch (IOException e) {
            raw.close();
            throw failure(name, e);
        }
    }

    /** Plain text of a regular file is read without a copy in between. */
    private static ReadableByteChannel ofFile(FileInputStream file, Progress progress) throws IOException {
        FileChannel channel = file.getChannel();
        byte[] magic = file.readNBytes(MAGIC_BYTES);
        channel.position(0);
        return isCompressed(magic) ? of(file, progress) : new Counted(channel, progress);
    }

    private static ReadableByteChannel of(InputStream raw, Progress progress) throws IOException {
        PushbackInputStream in = new PushbackInputStream(
                Channels.newInputStream(new Counted(Channels.newChannel(raw), progress)), MAGIC_BYTES);
        byte[] magic = in.readNBytes(MAGIC_BYTES);
        in.unread(magic);
        InputStream plain = in;
        if (isGzip(magic)) {
            plain = new GZIPInputStream(new Members(in), 1 << 16);
        } else if (isZstd(magic)) {
            plain = new ZstdInputStream(new BufferedInputStream(in, 1 << 17));
        }
        return Channels.newChannel(plain);
    }

    private static IOException failure(String name, IOException e) {
        // GZIPInputStream has no words for a header that is cut.
        String why = e.getMessage() == null ? "unexpected end of the compressed text" : e.getMessage();
        return new IOException(name + ": " + why, e);
    }

    private static boolean isCompressed(byte[] magic) {
        return isGzip(magic) || isZstd(magic);
    }

    private static boolean isGzip(byte[] magic) {
        return magic.length >= 2 && ((magic[0] & 0xFF) | (magic[1] & 0xFF) << 8) == GZIP_MAGIC;
    }

    private static boolean isZstd(byte[] magic) {
        if (magic.length < MAGIC_BYTES) {
            return false;
        }
        int number =
                ByteBuffer.wrap(magic).order(java.nio.ByteOrder.LITTLE_ENDIAN).getInt();
        return number == ZSTD_MAGIC || (number & ~0xF) == ZSTD_SKIPPABLE_MAGIC;
    }

    @Override
    public int read(ByteBuffer dst) throws IOException {
        try {
            return text.read(dst);
        } catch (IOException e) {
            throw failure(name, e);
        }
    }

    @Override
    public boolean isOpen() {
        return text.isOpen();
    }

    @Override
    public void close() throws IOException {
        opened.close();
    }

    /**
     * Input for a GZIPInputStream, which takes a file to be over when nothing is available behind a member (JDK 17 does):
     * here something is, unless it really is over.
     */
    private static final class Members extends BufferedInputStream {
        Members(InputStream in) {
            super(in, 1 << 16);
        }

        @Override
        public synchronized int available() throws IOException {
            int buffered = super.available();
            if (buffered > 0) {
                return buffered;
            }
            mark(1);
            if (read() < 0) {
                return 0;
            }
            reset();
            return 1;
        }
    }

    private static final class Counted implements ReadableByteChannel {
        private final ReadableByteChannel in;
        private final Progress progress;

        Counted(ReadableByteChannel in, Progress progress) {
            this.in = in;
            this.progress = progress;
        }

        @Override
        public int read(ByteBuffer dst) throws IOException {
            int n = in.read(dst);
            progress.add(Math.max(0, n));
            return n;
        }

        @Override
        public boolean isOpen() {
            return in.isOpen();
        }

        @Override
        public void close() throws IOException {
            in.close();
        }
    }
}
