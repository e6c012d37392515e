// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.file;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.FileLocks;
import org.dmera.core.linux.FileSpace;

/**
 * Who may use a regular file, among tools and engines: any number of readers, or one who writes. (Block devices have
 * O_EXCL for this.)
 *
 * <p>The locks are those of fcntl(2), on the file itself and so on whatever name leads to it. Readers and engines lock one
 * byte far behind the end of any file ({@link #CLAIM_BYTE}), so that other programs' locks on the same file, such as
 * qemu's, don't meet theirs. A tool that writes locks the whole file, and so keeps out, and is kept out by, these too. The
 * engine's lock is one of the open file description (F_OFD_SETLK), which the kernel holds against those of processes, as
 * Java takes them: neither is lost when the engine closes another descriptor of the file.
 *
 * <p>Java's locks are: as soon as this process closes any other channel of the same file the lock is gone. So whoever has
 * claimed a file must not open it a second time.
 */
public final class FileClaim implements Closeable {
    /** The byte that stands for the file. */
    public static final long CLAIM_BYTE = Long.MAX_VALUE - 1;

    /** Readers in this process, by file: Java takes no lock twice in a process, not even a shared one. */
    private static final Map<FileIdentity, Integer> READERS = new HashMap<>();

    private final FileIdentity read;

    private FileClaim(FileIdentity read) {
        this.read = read;
    }

    /**
     * Claims a file for writing, until {@code channel}, which is open for writing, is closed or the process ends.
     *
     * @param path what the file is called, for messages
     * @return false when another process, or another part of this one, has it
     */
    public static boolean takeForWriting(FileChannel channel, Path path) throws IOException {
        try {
            return channel.tryLock() != null;
        } catch (OverlappingFileLockException e) {
            return false;
        } catch (IOException e) {
            throw noLock(path, e);
        }
    }

    /**
     * As {@link #takeForWriting}.
     *
     * @throws IOException in one line, fit for the user, when somebody else has it
     */
    public static void requireForWriting(FileChannel channel, Path path) throws IOException {
        if (!takeForWriting(channel, path)) {
            throw inUse(path, false);
        }
    }

    /** The file system has no locks, or none left. */
    private static IOException noLock(Path path, IOException e) {
        return new IOException(path + ": locking it failed: " + e.getMessage(), e);
    }

    /** As {@link #takeForReading}. */
    public static FileClaim requireForReading(FileChannel channel, Path path) throws IOException {
        FileClaim claim = takeForReading(channel, path);
        if (claim == null) {
            throw inUse(path, true);
        }
        return claim;
    }

    /**
     * Whether it is an engine that has the file: it has flock(2)'s lock too, which tells it from a tool, and keeps away those
     * who know only that one. To be asked after a refusal alone: to read the list of locks has the kernel stop all who lock,
     * which takes as long as a whole run on a small device.
     */
    public static boolean isEngines(Path path) throws IOException {
        return FileLocks.heldElsewhere(path);
    }

    /** Somebody else has the file: in one line, fit for the user, who it is. */
    private static InUseException inUse(Path path, boolean toBeRead) throws IOException {
        String by = isEngines(path) ? "an engine" : "another program";
        return new InUseException("File " + path + " is in use (locked by " + by + ")", toBeRead, null);
    }

    /**
     * Claims a file for reading, until this is closed or the process ends.
     *
     * @param channel of the file, open for reading
     * @return null when somebody has it for writing
     */
    public static FileClaim takeForReading(FileChannel channel, Path path) throws IOException {
        FileIdentity identity = FileIdentity.of(path);
        synchronized (READERS) {
            Integer readers = READERS.get(identity);
            if (readers == null && !lockForReading(channel, path)) {
                return null;
            }
            READERS.put(identity, readers == null ? 1 : readers + 1);
        }
        return new FileClaim(identity);
    }

    /**
     * Claims a file for reading, until what is returned is closed, whatever else in this process opens and closes it: as the engine
     * does, which costs the start of jnr-ffi.
     *
     * @throws IOException in one line, fit for the user, when somebody has it for writing
     */
    public static Closeable requireLasting(Path path) throws IOException {
        int fd = FileDescriptors.open(path.toString(), FileDescriptors.O_RDONLY);
        Closeable claim = () -> FileDescriptors.close(fd);
        try {
            if (!FileSpace.tryLockByte(fd, CLAIM_BYTE, false)) {
                throw inUse(path, true);
            }
            return claim;
        } catch (IOException e) {
            claim.close();
            throw e instanceof ErrnoException ? noLock(path, e) : e;
        }
    }

    private static boolean lockForReading(FileChannel channel, Path path) throws IOException {
        FileLock lock;
        try {
            lock = channel.tryLock(CLAIM_BYTE, 1, true);
        } catch (OverlappingFileLockException e) {
            return false;
        } catch (IOException e) {
            throw noLock(path, e);
        }
        return lock != null;
    }

    /** To be called before the channel is closed. */
    @Override
    public void close() {
        synchronized (READERS) {
            // No lambda: linking the first one of a process costs as much as checking a small device.
            Integer readers = READERS.get(read);
            if (readers != null && readers > 1) {
                READERS.put(read, readers - 1);
            } else {
                READERS.remove(read);
            }
        }
    }

    /** Whether {@code path} still leads to {@code was}: a file may be replaced between being looked at and being claimed. */
    public static boolean isStill(FileIdentity was, Path path) throws IOException {
        return was.equals(FileIdentity.ofExisting(path));
    }
}
