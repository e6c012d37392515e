// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.Ioctl;
import org.dmera.core.linux.Mounts;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.FailureText;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.StorageAreas;
import org.dmera.dmsetup.targets.Threads;

/**
 * A device as a regular file, for a loop device on top: a FUSE file system that is nothing but that file, mounted over a
 * regular file, so that there is one node and no name to look up.
 *
 * <p>A few threads read requests, each with a descriptor and buffers of its own: {@link FuseReader}.
 */
final class FuseFile implements Closeable {
    private static final int READERS = 3;
    private static final long JOIN_MILLIS = 2000;

    final DeviceIo io;
    final Path file;
    final Served served;
    private final FuseLine line = new FuseLine();
    final Client client;
    private final Consumer<String> log;
    private final int fd;
    private final List<Thread> readers = new ArrayList<>();
    final FuseReaders turns = new FuseReaders(READERS);
    /** Requests can come, or never will. */
    final CountDownLatch initialized = new CountDownLatch(1);
    /** Readers that have requests of theirs under way. */
    private final AtomicInteger serving = new AtomicInteger();

    /** Makes {@code file}, in the place of one that was left there, mounts this over it, and serves. */
    FuseFile(DeviceIo io, Path file, Served served, Supplier<StorageAreas> storage, Consumer<String> log)
            throws IOException {
        this.io = io;
        this.file = file;
        this.served = served;
        this.log = log;
        Files.deleteIfExists(file);
        Files.createFile(file);
        fd = Failures.takingBack(() -> Files.delete(file), () -> mount(file));
        client = served.add(line, storage);
        try {
            startReader(fd);
            initialized.await();
            line.watch(cloneDescriptor());
            for (int i = 1; i < READERS; i++) {
                startReader(cloneDescriptor());
            }
        } catch (InterruptedException e) {
            Failures.after(e, this::close);
            throw new IOException(e);
        } catch (IOException | RuntimeException | Error e) {
            // An error, too, such as want of memory: nobody would serve what stayed mounted.
            Failures.after(e, this::close);
            throw e;
        }
    }

    private static int mount(Path file) throws IOException {
        int fd = openDevice(FileDescriptors.O_NONBLOCK);
        return Failures.takingBack(() -> FileDescriptors.close(fd), () -> {
            Mounts.mount(
                    "era",
                    file.toString(),
                    "fuse.era",
                    Mounts.MS_NOSUID | Mounts.MS_NODEV,
                    "fd=" + fd + ",rootmode=100600,user_id=0,group_id=0");
            return fd;
        });
    }

    private static int openDevice(int flags) throws IOException {
        return FileDescriptors.open("/dev/fuse", FileDescriptors.O_RDWR | flags);
    }

    /** For another reader, whose reads wait: of those that wait so the kernel wakes one for each request. */
    private int cloneDescriptor() throws IOException {
        int clone = openDevice(0);
        int result = Ioctl.call(
                clone,
                Fuse.DEV_IOC_CLONE,
                ByteBuffer.allocate(4).order(ByteOrder.nativeOrder()).putInt(0, fd));
        if (result < 0) {
            FileDescriptors.close(clone);
            throw new ErrnoException("FUSE_DEV_IOC_CLONE", -result);
        }
        return clone;
    }

    /** Takes over {@code descriptor}. */
    private void startReader(int descriptor) throws IOException {
        serving.incrementAndGet();
        try {
            FuseReader server = new FuseReader(this, descriptor, readers.isEmpty());
            Thread reader = Threads.daemon("fuse-" + file.getFileName() + "-" + readers.size(), server);
            // First: once it runs the descriptor is its own, and nothing may fail here any more.
            readers.add(reader);
            reader.start();
        } catch (RuntimeException | Error e) {
            FileDescriptors.close(descriptor);
            readerGone();
            throw e;
        }
    }

    /** A line for the log. */
    void report(Throwable why) {
        log.accept("fuse: " + file + ": " + FailureText.of(why));
    }

    /** The last user of a reader's descriptor has left it. */
    void readerGone() {
        if (serving.decrementAndGet() == 0) {
            served.remove(client);
            try {
                line.close();
            } catch (ErrnoException e) {
                report(e);
            }
        }
    }

    /** Unmounts, and deletes what is beneath; the threads end when the kernel lets go of the file. */
    @Override
    public void close() throws IOException {
        try {
            Mounts.unmount(file.toString(), Mounts.MNT_DETACH);
        } catch (ErrnoException e) {
            // Somebody did it by hand.
            if (!e.is(Errno.EINVAL) && !e.is(Errno.ENOENT)) {
                throw e;
            }
        }
        try {
            for (Thread reader : readers) {
                // Somebody who still has the file open keeps them; then they end with him.
                reader.join(JOIN_MILLIS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        Files.deleteIfExists(file);
    }
}
