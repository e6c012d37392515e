// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.io;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.file.FileClaim;
import org.dmera.core.file.FileIdentity;
import org.dmera.core.file.FileReplacement;
import org.dmera.core.file.Links;
import org.dmera.tools.cli.Console;

/**
 * Where a tool's product goes: the file of {@code --output}, or standard output when there is none, or for "-".
 *
 * <p>A regular file appears, or is replaced, only by {@link #commit} ({@link FileReplacement}). So a run that fails leaves
 * what was there before, and never a cut list that looks whole. A block device is claimed, so that nobody else has it; a
 * pipe or a process's open file ({@code /dev/stdout}) is written as it is.
 */
public final class OutputFile implements Closeable {
    /** What messages call it; null for standard output. */
    private final String name;

    /** Whose failures name the file. */
    private final WritableByteChannel channel;
    /** What is closed at the end; null for standard output. */
    private final Closeable opened;
    /** Null unless a file is made or replaced. */
    private final FileReplacement replacement;
    /** To be made durable: a block device, or a file that is written where it is. Null for none. */
    private final FileChannel written;
    /** Null unless asked for. */
    private EarlyWriteback early;

    private OutputFile(
            String name,
            WritableByteChannel channel,
            Closeable opened,
            FileReplacement replacement,
            FileChannel written) {
        this.name = name;
        this.channel = channel;
        this.opened = opened;
        this.replacement = replacement;
        this.written = written;
    }

    /**
     * Opens it, empty.
     *
     * @param name the value of {@code --output}, or null
     * @param inputs what the tool reads, none of which may be the same file
     */
    public static OutputFile open(String name, List<String> inputs, Console console) throws IOException {
        if (name == null || name.equals("-")) {
            return new OutputFile(null, console.output(), null, null, null);
        }
        Overwriting.refuse(name, inputs);
        Path path = Path.of(name);
        FileIdentity there = FileIdentity.ofExisting(path);
        if (there != null && there.isBlockDevice()) {
            return device(path);
        }
        if (there != null && !Files.isDirectory(path) && (!there.isRegularFile() || Links.leadsToDescriptor(path))) {
            return asItIs(path, there.isRegularFile());
        }
        FileReplacement replacement = FileReplacement.begin(path);
        return new OutputFile(name, Console.toPath(replacement.channel(), path), replacement, replacement, null);
    }

    private static OutputFile device(Path path) throws IOException {
        Closeable claim = DeviceOpener.claim(path, true);
        try {
            FileChannel device = FileChannel.open(path, StandardOpenOption.WRITE);
            return new OutputFile(path.toString(), Console.toPath(device, path), both(device, claim), null, device);
        } catch (IOException e) {
            claim.close();
            throw e;
        }
    }

    private static OutputFile asItIs(Path path, boolean regular) throws IOException {
        FileChannel file = FileChannel.open(path, StandardOpenOption.WRITE);
        if (!regular) {
            return new OutputFile(path.toString(), Console.toPath(file, path), file, null, null);
        }
        try {
            FileClaim.requireForWriting(file, path);
            file.truncate(0);
            return new OutputFile(path.toString(), Console.toPath(file, path), file, null, file);
        } catch (IOException e) {
            file.close();
            throw e;
        }
    }

    private static Closeable both(Closeable first, Closeable second) {
        return () -> {
            try (second) {
                first.close();
            }
        };
    }

    public WritableByteChannel channel() {
        return channel;
    }

    /** The same for long output: what is to be durable in the end goes to the disk from the beginning. */
    public WritableByteChannel longChannel() {
        FileChannel file = replacement != null ? replacement.channel() : written;
        if (file == null) {
            return channel;
        }
        early = new EarlyWriteback(file, name);
        return early;
    }

    /** The file that is made or replaced, or null when the product goes elsewhere. */
    public FileReplacement replacement() {
        return replacement;
    }

    /** The product is complete: the file takes its place. Without this, {@link #close} deletes it. */
    public void commit() throws IOException {
        if (early != null) {
            early.finish();
        }
        if (replacement != null) {
            replacement.commit();
        }
        if (written != null) {
            try {
                written.force(true);
            } catch (IOException e) {
                throw new IOException(name + ": making it durable failed: " + e.getMessage(), e);
            }
        }
    }

    @Override
    public void close() throws IOException {
        if (early != null) {
            early.abandon();
        }
        if (opened != null) {
            opened.close();
        }
    }
}
