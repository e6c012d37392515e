// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.FileSpace;
import org.dmera.core.linux.Ioctl;
import org.dmera.core.linux.Mounts;
import org.dmera.core.linux.RawIo;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.device.DeviceIo;

/**
 * A device as a regular file, for a loop device on top: a FUSE file system that is nothing but that file, mounted over a
 * regular file, so that there is one node and no name to look up.
 *
 * <p>A few threads read requests, each with a descriptor and buffers of its own, serve them and answer them; <em>no buffer
 * is used for a second request before the first is answered</em>. A write that would wait for metadata gets a buffer of its
 * own and is finished in the background, so that all that wait share one commit. Data lies at page boundaries in memory:
 * requests are received, and answers built, just that far before one that their headers end there.
 */
final class FuseFile implements Closeable {
    /** The largest request that the kernel sends. */
    static final int MAX_WRITE_BYTES = 1 << 20;

    private static final int READERS = 2;
    private static final int PAGE_BYTES = 4096;
    private static final int MAX_BACKGROUND = 256;
    private static final long JOIN_MILLIS = 2000;
    /** FUSE_FALLOCATE modes that loop devices send: for discards, and for zeroing that keeps the space. */
    private static final int PUNCH = FileSpace.KEEP_SIZE | FileSpace.PUNCH_HOLE;

    private static final int ZERO = FileSpace.KEEP_SIZE | FileSpace.ZERO_RANGE;

    private final DeviceIo io;
    private final Path file;
    private final BufferPool pool;
    private final Consumer<String> log;
    private final int fd;
    private final List<Thread> readers = new ArrayList<>();
    private final CountDownLatch initialized = new CountDownLatch(1);

    /** Mounts it over {@code file}, an existing regular file, and serves. */
    FuseFile(DeviceIo io, Path file, BufferPool pool, Consumer<String> log) throws IOException {
        this.io = io;
        this.file = file;
        this.pool = pool;
        this.log = log;
        fd = FileDescriptors.open("/dev/fuse", FileDescriptors.O_RDWR);
        try {
            Mounts.mount(
                    "era",
                    file.toString(),
                    "fuse.era",
                    Mounts.MS_NOSUID | Mounts.MS_NODEV,
                    "fd=" + fd + ",rootmode=100600,user_id=0,group_id=0");
        } catch (IOException e) {
            FileDescriptors.close(fd);
            throw e;
        }
        try {
            startReader(fd);
            initialized.await();
            for (int i = 1; i < READERS; i++) {
                startReader(cloneDescriptor());
            }
        } catch (IOException | InterruptedException e) {
            close();
            throw e instanceof IOException failed ? failed : new IOException(e);
        }
    }

    private int cloneDescriptor() throws IOException {
        int clone = FileDescriptors.open("/dev/fuse", FileDescriptors.O_RDWR);
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

    private void startReader(int descriptor) {
        Thread reader = new Thread(new Reader(descriptor), "fuse-" + file.getFileName() + "-" + readers.size());
        reader.setDaemon(true);
        readers.add(reader);
        reader.start();
    }

    /** Unmounts; the threads end when the kernel lets go of the file. */
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
    }

    /** One thread that reads and serves requests. */
    private final class Reader implements Runnable {
        private final int fd;
        /** Data of requests and of answers begin at the second page; headers come right before. */
        private final ByteBuffer buffer;

        private final long address;
        private final AnswerScope answers = io.openScope(1);
        /** This thread and the requests in the background: the last of them closes the descriptor, whose number is another's then. */
        private final AtomicInteger users = new AtomicInteger(1);

        Reader(int fd) {
            this.fd = fd;
            this.buffer = pool.take(MAX_WRITE_BYTES + 2 * PAGE_BYTES).order(ByteOrder.nativeOrder());
            this.address = RawIo.address(buffer);
        }

        @Override
        public void run() {
            try {
                while (receive()) {
                    serve();
                }
            } catch (IOException | RuntimeException e) {
                log.accept("fuse: " + file + ": " + e);
            } finally {
                initialized.countDown();
                answers.close();
                buffer.order(ByteOrder.BIG_ENDIAN);
                pool.give(buffer);
                leave();
            }
        }

        private void leave() {
            if (users.decrementAndGet() > 0) {
                return;
            }
            try {
                FileDescriptors.close(fd);
            } catch (IOException e) {
                log.accept("fuse: " + file + ": " + e);
            }
        }

        /** Reads a request; its data, if it is a write, comes to lie at the second page. False when it was unmounted. */
        private boolean receive() throws IOException {
            int from = PAGE_BYTES - Fuse.WRITE_HEADER_BYTES;
            while (true) {
                long n = RawIo.read(fd, address + from, buffer.capacity() - from);
                if (n > 0) {
                    buffer.clear().position(from).limit(from + (int) n);
                    return true;
                }
                int errno = (int) -n;
                if (errno == Errno.ENODEV.number() || n == 0) {
                    return false;
                }
                // ENOENT: a request was interrupted before it was read.
                if (errno != Errno.EINTR.number() && errno != Errno.EAGAIN.number() && errno != Errno.ENOENT.number()) {
                    throw new ErrnoException("read of /dev/fuse", errno);
                }
            }
        }

        private void serve() throws IOException {
            int at = buffer.position();
            int opcode = buffer.getInt(at + 4);
            long unique = buffer.getLong(at + 8);
            int body = at + Fuse.IN_HEADER_BYTES;
            switch (opcode) {
                case Fuse.READ -> read(unique, buffer.getLong(body + 8), buffer.getInt(body + 16));
                case Fuse.WRITE -> write(unique, buffer.getLong(body + 8), buffer.getInt(body + 16));
                case Fuse.FSYNC -> answer(unique, attempt(io::flush));
                case Fuse.FALLOCATE ->
                    fallocate(unique, buffer.getLong(body + 8), buffer.getLong(body + 16), buffer.getInt(body + 24));
                case Fuse.FORGET, Fuse.BATCH_FORGET, Fuse.INTERRUPT -> {
                    // None of these is answered.
                }
                case Fuse.INIT -> init(unique, buffer.getInt(body), buffer.getInt(body + 8));
                case Fuse.GETATTR -> attributes(unique);
                case Fuse.OPEN -> {
                    ByteBuffer out = begin();
                    answer(unique, out.putLong(0).putInt(0).putInt(0));
                }
                case Fuse.STATFS -> {
                    ByteBuffer out = begin();
                    answer(unique, out.put(new byte[80]));
                }
                case Fuse.RELEASE, Fuse.DESTROY -> answer(unique, 0);
                case Fuse.LOOKUP -> answer(unique, Errno.ENOENT.number());
                default -> answer(unique, Errno.ENOSYS.number());
            }
        }

        private void init(long unique, int major, int readahead) throws IOException {
            if (major < Fuse.MAJOR) {
                answer(unique, Errno.EOPNOTSUPP.number());
                throw new IOException("the kernel speaks FUSE " + major + ", " + Fuse.MAJOR + " is needed");
            }
            ByteBuffer out = begin();
            out.putInt(Fuse.MAJOR).putInt(Fuse.MINOR).putInt(readahead);
            out.putInt(Fuse.ASYNC_READ | Fuse.BIG_WRITES | Fuse.ASYNC_DIO | Fuse.MAX_PAGES);
            out.putShort((short) MAX_BACKGROUND).putShort((short) MAX_BACKGROUND);
            out.putInt(MAX_WRITE_BYTES).putInt(1);
            out.putShort((short) (MAX_WRITE_BYTES / PAGE_BYTES)).putShort((short) 0);
            answer(unique, out.put(new byte[32]));
            initialized.countDown();
        }

        private void attributes(long unique) throws IOException {
            long size = io.sizeBytes();
            ByteBuffer out = begin();
            // Valid for no time: the size changes with the table.
            out.putLong(0).putInt(0).putInt(0);
            out.putLong(Fuse.ROOT_ID).putLong(size).putLong(size / 512);
            out.putLong(0).putLong(0).putLong(0).putInt(0).putInt(0).putInt(0);
            out.putInt(Fuse.S_IFREG_600).putInt(1).putInt(0).putInt(0).putInt(0);
            answer(unique, out.putInt(PAGE_BYTES).putInt(0));
        }

        private void read(long unique, long offset, int bytes) throws IOException {
            if (bytes < 0 || bytes > MAX_WRITE_BYTES) {
                answer(unique, Errno.EINVAL.number());
                return;
            }
            // A file is read up to its end; the loop device never asks for more, the page cache does.
            int n = (int) Math.max(0, Math.min(bytes, io.sizeBytes() - offset));
            ByteBuffer out = begin();
            out.limit(out.position() + n);
            try {
                io.read(offset, out);
            } catch (IOException e) {
                answer(unique, errno(e));
                return;
            }
            answer(unique, out);
        }

        private void write(long unique, long offset, int bytes) throws IOException {
            if (bytes < 0 || bytes > buffer.limit() - PAGE_BYTES) {
                answer(unique, Errno.EINVAL.number());
                return;
            }
            buffer.position(PAGE_BYTES).limit(PAGE_BYTES + bytes);
            // Without memory for it, this thread waits itself.
            ByteBuffer taken = io.mustWait(offset, bytes) ? takeIfThereIs(bytes) : null;
            if (taken != null) {
                ByteBuffer payload = taken.put(buffer).flip();
                inBackground(unique, offset, bytes, payload, inside -> inside.write(offset, payload, 0));
                return;
            }
            try {
                io.write(offset, buffer, 0, answers);
            } catch (IOException e) {
                answer(unique, errno(e));
                return;
            }
            ByteBuffer out = begin();
            answer(unique, out.putInt(bytes).putInt(0));
        }

        /** A buffer, or null when clients of the engine have taken all the memory that there is for buffers. */
        private ByteBuffer takeIfThereIs(int bytes) {
            try {
                return pool.take(bytes);
            } catch (OutOfMemoryError e) {
                return null;
            }
        }

        /** What it punches must read as zeroes: the same request comes for zeroing. */
        private void fallocate(long unique, long offset, long length, int mode) throws IOException {
            if (mode != PUNCH && mode != ZERO) {
                answer(unique, Errno.EOPNOTSUPP.number());
                return;
            }
            int flags = mode == ZERO ? org.dmera.dmsetup.target.Target.NO_HOLE : 0;
            if (io.mustWait(offset, length)) {
                inBackground(unique, offset, 0, null, inside -> inside.writeZeroes(offset, length, flags), length);
            } else {
                answer(unique, attempt(() -> io.writeZeroes(offset, length, flags, answers)));
            }
        }

        private void inBackground(long unique, long offset, int bytes, ByteBuffer payload, Inner action) {
            inBackground(unique, offset, bytes, payload, action, bytes);
        }

        private void inBackground(
                long unique, long offset, int written, ByteBuffer payload, Inner action, long length) {
            AnswerScope scope = io.openScope(1);
            users.incrementAndGet();
            io.submit(offset, length, new DeviceIo.BackgroundWrite() {
                private int error;

                @Override
                public void ready() {
                    scope.owe(offset, length);
                }

                @Override
                public void run(DeviceIo.Inside inside, IOException failure) {
                    error = failure != null ? errno(failure) : attempt(() -> action.run(inside));
                    if (payload != null) {
                        pool.give(payload);
                    }
                }

                @Override
                public void answer() {
                    answerFromBackground(unique, error, written);
                    scope.close();
                    leave();
                }
            });
        }

        private void answerFromBackground(long unique, int error, int written) {
            int bytes = Fuse.OUT_HEADER_BYTES + (error == 0 && written > 0 ? 8 : 0);
            ByteBuffer out = pool.take(bytes).order(ByteOrder.nativeOrder());
            out.putInt(bytes).putInt(-error).putLong(unique);
            if (out.hasRemaining()) {
                out.putInt(written).putInt(0);
            }
            long n = RawIo.write(fd, RawIo.address(out), bytes);
            pool.give(out.order(ByteOrder.BIG_ENDIAN));
            if (n < 0 && n != -Errno.ENOENT.number() && n != -Errno.ENODEV.number()) {
                log.accept("fuse: " + file + ": answer: " + Errno.text((int) -n));
            }
        }

        // ---- answers

        /** The buffer, set for the body of an answer. */
        private ByteBuffer begin() {
            return buffer.clear().position(PAGE_BYTES);
        }

        /** Sends what was put since {@link #begin}. */
        private void answer(long unique, ByteBuffer out) throws IOException {
            send(unique, 0, out.position() - PAGE_BYTES);
        }

        private void answer(long unique, int error) throws IOException {
            send(unique, error, 0);
        }

        private void send(long unique, int error, int bodyBytes) throws IOException {
            int from = PAGE_BYTES - Fuse.OUT_HEADER_BYTES;
            int bytes = Fuse.OUT_HEADER_BYTES + bodyBytes;
            buffer.clear();
            buffer.putInt(from, bytes).putInt(from + 4, -error).putLong(from + 8, unique);
            long n = RawIo.write(fd, address + from, bytes);
            // ENOENT: whoever asked was interrupted. ENODEV: unmounted meanwhile.
            answers.sent();
            if (n < 0 && n != -Errno.ENOENT.number() && n != -Errno.ENODEV.number()) {
                throw new ErrnoException("answer to /dev/fuse", (int) -n);
            }
        }
    }

    private interface Inner {
        void run(DeviceIo.Inside inside) throws IOException;
    }

    private interface Action {
        void run() throws IOException;
    }

    /** 0, or the errno of the failure. */
    private static int attempt(Action action) {
        try {
            action.run();
            return 0;
        } catch (IOException e) {
            return errno(e);
        }
    }

    private static int errno(IOException e) {
        return e instanceof ErrnoException known ? known.errno() : Errno.EIO.number();
    }
}
