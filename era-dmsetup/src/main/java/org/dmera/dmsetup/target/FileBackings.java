// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.target;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.dmera.core.linux.DeviceNumber;
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
 * locked with flock(2), which keeps a second engine away. (Not with fcntl(2), which Java's own locks use: such a lock is
 * lost as soon as anything in this process closes the same file.)
 */
public final class FileBackings {
    private static final int S_IFMT = 0170000;
    private static final int S_IFBLK = 0060000;
    private static final int S_IFREG = 0100000;

    private final Map<Object, Shared> open = new HashMap<>();

    /**
     * Opens a path, or {@code major:minor} of a block device.
     *
     * @throws ErrnoException ENOENT, EACCES, ENOTBLK as ENODEV for what is neither file nor block device, EBUSY when it is
     *     claimed by somebody else
     */
    public Backing open(String name, boolean writable) throws IOException {
        Path path = resolve(name);
        if (!Files.exists(path)) {
            throw new ErrnoException("open " + path, Errno.ENOENT.number());
        }
        int type = (int) Files.getAttribute(path, "unix:mode") & S_IFMT;
        if (type != S_IFBLK && type != S_IFREG) {
            throw new ErrnoException(
                    "open " + path + ", neither a block device nor a regular file", Errno.ENODEV.number());
        }
        long device = type == S_IFBLK ? device((long) Files.getAttribute(path, "unix:rdev")) : -1;
        Object key = (device >= 0
                        ? device
                        : Files.getAttribute(path, "unix:dev") + ":" + Files.getAttribute(path, "unix:ino"))
                + (writable ? " rw" : " ro");
        synchronized (open) {
            Shared shared = open.get(key);
            if (shared == null) {
                shared = new Shared(key, new FileBacking(path, writable, device, claim(path, writable, device)));
                open.put(key, shared);
            }
            shared.users++;
            Handle handle = new Handle(shared);
            try {
                handle.measure();
            } catch (IOException e) {
                handle.close();
                throw e;
            }
            return handle;
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

    private static int claim(Path path, boolean writable, long device) throws IOException {
        int access = writable ? FileDescriptors.O_RDWR : FileDescriptors.O_RDONLY;
        if (device >= 0) {
            return FileDescriptors.open(path.toString(), access | FileDescriptors.O_EXCL);
        }
        int fd = FileDescriptors.open(path.toString(), access);
        if (writable && !FileSpace.tryLock(fd)) {
            FileDescriptors.close(fd);
            throw new ErrnoException("lock " + path + ", in use by another engine", Errno.EBUSY.number());
        }
        return fd;
    }

    /** A device number in st_rdev, as {@code major << 32 | minor}. */
    private static long device(long rdev) {
        return DeviceNumber.major(rdev) << 32 | DeviceNumber.minor(rdev);
    }

    /** One claimed file and how many targets use it. */
    private static final class Shared {
        final Object key;
        final FileBacking file;
        int users;

        Shared(Object key, FileBacking file) {
            this.key = key;
            this.file = file;
        }
    }

    /** One target's use of a claimed file. */
    private final class Handle implements Backing {
        private final Shared shared;
        private final FileBacking file;
        /** Of its own: the file may have grown since others that use it were opened. */
        private long sizeBytes;

        private boolean closed;

        Handle(Shared shared) {
            this.shared = shared;
            this.file = shared.file;
        }

        /** Before anybody else has it. */
        void measure() throws IOException {
            sizeBytes = file.currentSizeBytes();
        }

        @Override
        public Object identity() {
            return file;
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
        public void read(long offsetBytes, ByteBuffer dst) throws IOException {
            file.read(offsetBytes, dst);
        }

        @Override
        public long sendTo(SocketChannel socket, long offsetBytes, long lengthBytes) {
            return file.sendTo(socket, offsetBytes, lengthBytes);
        }

        @Override
        public void write(long offsetBytes, ByteBuffer src, int flags) throws IOException {
            file.write(offsetBytes, src, flags);
        }

        @Override
        public void flush() throws IOException {
            file.flush();
        }

        @Override
        public void discard(long offsetBytes, long lengthBytes, int flags) throws IOException {
            file.discard(offsetBytes, lengthBytes, flags);
        }

        @Override
        public void writeZeroes(long offsetBytes, long lengthBytes, int flags) throws IOException {
            file.writeZeroes(offsetBytes, lengthBytes, flags);
        }

        @Override
        public long allocation(long offsetBytes, long lengthBytes) throws IOException {
            return file.allocation(offsetBytes, lengthBytes);
        }

        @Override
        public void close() throws IOException {
            synchronized (open) {
                if (!closed) {
                    closed = true;
                    if (--shared.users == 0) {
                        open.remove(shared.key);
                        file.close();
                    }
                }
            }
        }

        @Override
        public String toString() {
            return file.toString();
        }
    }
}
