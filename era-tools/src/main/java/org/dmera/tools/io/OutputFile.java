// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.io;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import org.dmera.tools.cli.Console;

/**
 * Where a tool's product goes: the file of {@code --output}, or standard output when there is none, or for "-".
 *
 * <p>A regular file appears, or is replaced, only by {@link #commit}: the product is written to {@code .NAME.PID.partial}
 * beside it and renamed. So a run that fails leaves what was there before, and never a cut list that looks whole.
 */
public final class OutputFile implements Closeable {
    /** As many symbolic links as the kernel follows. */
    private static final int MAX_LINKS = 40;

    /** Longer names are left out of the partial file's, which could become too long for the file system. */
    private static final int MAX_NAME_CHARS = 50;

    private final WritableByteChannel channel;
    private final boolean ours;
    private final Path target;
    /** Null when the product is written where it goes at once, or was committed. */
    private Path partial;

    private OutputFile(WritableByteChannel channel, boolean ours, Path target, Path partial) {
        this.channel = channel;
        this.ours = ours;
        this.target = target;
        this.partial = partial;
    }

    /**
     * Opens it, empty.
     *
     * @param name the value of {@code --output}, or null
     * @param input what the tool reads, which must not be the same file
     */
    public static OutputFile open(String name, Path input, Console console) throws IOException {
        if (name == null || name.equals("-")) {
            return new OutputFile(console.output(), false, null, null);
        }
        Path path = Path.of(name);
        boolean exists = Files.exists(path);
        if (exists) {
            if (Files.isDirectory(path)) {
                throw new IOException("The output is a directory: " + name);
            }
            if (Files.isSameFile(path, input)) {
                throw new IOException("The output is the input: " + name);
            }
        }
        Path target = followLinks(path);
        // A descriptor's file (/dev/stdout) is somebody else's open file: a new one in its place would not be seen.
        boolean replaceable = !exists || Files.isRegularFile(path) && Files.isWritable(path);
        if (replaceable && target != null) {
            OutputFile file = openPartial(target, exists);
            if (file != null) {
                return file;
            }
        }
        FileChannel channel = FileChannel.open(
                path, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE);
        return new OutputFile(Console.toPath(channel, path), true, null, null);
    }

    /** Where a path's last link leads, or null when that is a descriptor of a process, or nowhere. */
    private static Path followLinks(Path path) throws IOException {
        Path at = path.toAbsolutePath();
        for (int links = 0; links < MAX_LINKS; links++) {
            if (at.startsWith("/proc") || at.startsWith("/dev/fd")) {
                return null;
            }
            if (!Files.isSymbolicLink(at)) {
                return at;
            }
            at = at.resolveSibling(Files.readSymbolicLink(at));
        }
        return null;
    }

    /** Null when the folder takes no new file, or the old one's owner can't be kept. */
    private static OutputFile openPartial(Path target, boolean exists) throws IOException {
        String name = target.getFileName().toString();
        String begin = "." + (name.length() > MAX_NAME_CHARS ? "output" : name) + "." + processId();
        for (int i = 0; ; i++) {
            Path partial = target.resolveSibling(begin + (i == 0 ? "" : "-" + i) + ".partial");
            FileChannel channel;
            try {
                channel = FileChannel.open(partial, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
            } catch (FileAlreadyExistsException e) {
                continue;
            } catch (AccessDeniedException | NoSuchFileException e) {
                return null;
            }
            // For a signal that ends the tool.
            partial.toFile().deleteOnExit();
            OutputFile file = new OutputFile(channel, true, target, partial);
            if (exists && !takesOwnerAndMode(partial, target)) {
                file.close();
                return null;
            }
            return file;
        }
    }

    /** Asked of the kernel: Java's own way starts threads and costs a sixth of a short run. */
    private static String processId() throws IOException {
        Path self = Path.of("/proc/self");
        return Files.isSymbolicLink(self)
                ? Files.readSymbolicLink(self).toString()
                : Long.toString(ProcessHandle.current().pid());
    }

    private static boolean takesOwnerAndMode(Path partial, Path target) throws IOException {
        for (String id : new String[] {"unix:uid", "unix:gid"}) {
            Object wanted = Files.getAttribute(target, id);
            if (!wanted.equals(Files.getAttribute(partial, id))) {
                try {
                    Files.setAttribute(partial, id, wanted);
                } catch (java.nio.file.FileSystemException e) {
                    return false;
                }
            }
        }
        Files.setPosixFilePermissions(partial, Files.getPosixFilePermissions(target));
        return true;
    }

    public WritableByteChannel channel() {
        return channel;
    }

    /** The product is complete: the file takes its place. Without this, {@link #close} deletes it. */
    public void commit() throws IOException {
        if (partial != null) {
            channel.close();
            Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
            partial = null;
        }
    }

    @Override
    public void close() throws IOException {
        if (ours) {
            channel.close();
        }
        if (partial != null) {
            Files.deleteIfExists(partial);
            partial = null;
        }
    }
}
