// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.dmera.core.file.FileClaim;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.FileSpace;
import org.dmera.core.linux.NativeText;

/**
 * The files and block devices that an engine's targets sit on: each claimed once for the whole engine, as the kernel's
 * device-mapper claims a device once for all its tables, and shared by the targets that name it.
 *
 * <p>A block device is opened with O_EXCL, which keeps mounts, swap and the kernel's device-mapper away; a regular file is
 * locked with flock(2), which keeps a second engine away, and claimed as the tools do ({@link FileClaim}).
 */
public class FileBackings {
    /** Guards this map and who uses what; held for a moment only, and after that of a {@link Shared}. */
    private final Map<Key, Shared> open = new HashMap<>();

    /**
     * Opens a path, or {@code major:minor} of a block device.
     *
     * @throws ErrnoException ENOENT, EACCES, ENOTBLK as ENODEV for what is neither file nor block device, EBUSY when it is
     *     claimed by somebody else
     */
    public Backing open(String name, boolean writable) throws IOException {
        return open(name, writable, null);
    }

    /**
     * The same for what was opened before, in an earlier engine.
     *
     * @param remembered what it was then ({@link Backing#remembered}), or null; ENXIO when it is another now
     */
    public Backing open(String name, boolean writable, String remembered) throws IOException {
        Path path = resolve(name);
        StorageId id = StorageId.of(path);
        if (remembered != null && !RememberedStorage.isSame(remembered, id)) {
            throw new ErrnoException(
                    name + " is another than the one that the table was loaded on: " + id + ", it was " + remembered,
                    Errno.ENXIO);
        }
        Shared shared;
        synchronized (open) {
            shared = open.computeIfAbsent(new Key(id, writable), Shared::new);
            shared.users++;
        }
        return Failures.takingBack(() -> release(shared), () -> new Handle(shared, shared.file(path)));
    }

    private void release(Shared shared) throws IOException {
        synchronized (shared) {
            synchronized (open) {
                if (--shared.users > 0) {
                    return;
                }
            }
            try {
                shared.close();
            } finally {
                synchronized (open) {
                    // Somebody may wait to open it again.
                    if (shared.users == 0) {
                        open.remove(shared.key);
                    }
                }
            }
        }
    }

    /** The path that a table's device word stands for. */
    private static Path resolve(String name) throws IOException {
        if (!name.matches("[0-9]+:[0-9]+")) {
            return NativeText.path(name);
        }
        Path uevent = Path.of("/sys/dev/block", name, "uevent");
        if (Files.exists(uevent)) {
            for (String line : Files.readAllLines(uevent)) {
                if (line.startsWith("DEVNAME=")) {
                    return Path.of("/dev", line.substring("DEVNAME=".length()));
                }
            }
        }
        return Path.of("/dev/block", name);
    }

    /** Opens what was claimed by {@code fd}, and takes that over. */
    FileBacking backing(Path path, boolean writable, long device, int fd) throws IOException {
        return new FileBacking(path, writable, device, fd);
    }

    /** Opens a file or a block device so that nobody else does. */
    int claim(Path path, boolean writable, boolean isBlock) throws IOException {
        int access = writable ? FileDescriptors.O_RDWR : FileDescriptors.O_RDONLY;
        if (isBlock) {
            return FileDescriptors.open(path.toString(), access | FileDescriptors.O_EXCL);
        }
        int fd = FileDescriptors.open(path.toString(), access);
        return Failures.takingBack(() -> FileDescriptors.close(fd), () -> {
            if (writable) {
                lock(fd, path);
            }
            return fd;
        });
    }

    private static void lock(int fd, Path path) throws ErrnoException {
        if (!FileSpace.tryLock(fd)) {
            throw new ErrnoException("lock " + path + ", in use by another engine", Errno.EBUSY);
        }
        if (!FileSpace.tryLockByte(fd, FileClaim.CLAIM_BYTE, true)) {
            throw new ErrnoException("lock " + path + ", in use by another program", Errno.EBUSY);
        }
    }

    /** What is claimed once: a file for reading, or for writing too. */
    private record Key(StorageId id, boolean writable) {}

    /**
     * One claimed file. Its lock is held while it is opened and closed, which may take long, and nobody else waits for that
     * than those who want the same file.
     */
    private final class Shared {
        final Key key;
        /** With the lock of the map. */
        int users;

        private FileBacking file;

        Shared(Key key) {
            this.key = key;
        }

        synchronized FileBacking file(Path path) throws IOException {
            if (file == null) {
                StorageId id = key.id;
                int fd = claim(path, key.writable, id.isBlock());
                // A tool that had it claimed may have put another file in its place before letting go.
                boolean same = Failures.takingBack(
                        () -> FileDescriptors.close(fd),
                        () -> StorageId.of(Path.of("/proc/self/fd/" + fd)).equals(id)
                                && StorageId.of(path).equals(id));
                if (!same) {
                    FileDescriptors.close(fd);
                    throw new ErrnoException(path + " was replaced while it was opened", Errno.EAGAIN);
                }
                file = backing(path, key.writable, id.isBlock() ? id.device() : -1, fd);
            }
            return file;
        }

        synchronized void close() throws IOException {
            FileBacking closing = file;
            file = null;
            if (closing != null) {
                closing.close();
            }
        }
    }

    /** One target's use of a claimed file. */
    private final class Handle implements Backing {
        private final Shared shared;
        private final FileBacking file;
        /** Of its own: the file may have grown since others that use it were opened. */
        private final long sizeBytes;
        /** Where its bytes lie in the end: of a loop device, in its file. */
        private final BlockDevices.Place place;
        /** The losses that there were before. */
        private volatile long knownLosses;

        private boolean closed;

        Handle(Shared shared, FileBacking file) throws IOException {
            this.shared = shared;
            this.file = file;
            this.sizeBytes = file.currentSizeBytes();
            this.place = BlockDevices.place(shared.key.id);
            forgetLoss();
        }

        @Override
        public Object identity() {
            return shared.key.id;
        }

        @Override
        public String remembered() {
            return RememberedStorage.text(shared.key.id);
        }

        @Override
        public void storage(long offsetBytes, long lengthBytes, StorageAreas areas) {
            areas.add(place.storage(), place.offsetBytes() + offsetBytes, lengthBytes);
        }

        @Override
        public String display() {
            return file.display();
        }

        @Override
        public long device() {
            return file.device();
        }

        @Override
        public long sizeBytes() {
            return sizeBytes;
        }

        @Override
        public void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags)
                throws IOException {
            switch (operation) {
                case READ -> file.read(offsetBytes, data);
                case WRITE -> file.write(offsetBytes, data);
                case DISCARD -> file.discard(offsetBytes, lengthBytes);
                case WRITE_ZEROES -> file.writeZeroes(offsetBytes, lengthBytes, flags);
                case FLUSH -> file.flush(knownLosses);
            }
            if ((flags & Target.FUA) != 0) {
                file.flush(knownLosses);
            }
        }

        @Override
        public long sendTo(SocketChannel socket, long offsetBytes, long lengthBytes) {
            return file.sendTo(socket, offsetBytes, lengthBytes);
        }

        @Override
        public IOException loss() {
            return file.loss(knownLosses);
        }

        @Override
        public void forgetLoss() {
            knownLosses = file.losses();
        }

        @Override
        public long allocation(long offsetBytes, long lengthBytes) throws IOException {
            return file.allocation(offsetBytes, lengthBytes);
        }

        @Override
        public void close() throws IOException {
            synchronized (this) {
                if (closed) {
                    return;
                }
                closed = true;
            }
            release(shared);
        }

        @Override
        public String toString() {
            return file.toString();
        }
    }
}
