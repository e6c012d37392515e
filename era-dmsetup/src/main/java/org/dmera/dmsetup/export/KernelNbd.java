// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.dmera.core.linux.DeviceNode;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.Ioctl;
import org.dmera.core.linux.NativeText;
import org.dmera.core.linux.RawIo;
import org.dmera.core.linux.UnixSocket;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Threads;

/**
 * The kernel's NBD client on a socket to our own server: the handshake is done here, then the socket is the kernel's
 * ({@code linux/nbd.h}). A thread stays in the kernel for as long as the device is connected, as nbd-client's does.
 */
final class KernelNbd implements Attachment {
    private static final int MAX_DEVICES = 256;
    private static final int BLOCK_BYTES = 512;
    private static final long POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(1);

    private static final long SET_SOCK = 0xab00;
    private static final long SET_BLKSIZE = 0xab01;
    private static final long DO_IT = 0xab03;
    private static final long CLEAR_SOCK = 0xab04;
    private static final long SET_SIZE_BLOCKS = 0xab07;
    private static final long DISCONNECT = 0xab08;
    private static final long SET_FLAGS = 0xab0a;

    private final String node;
    private final int fd;
    private final int socket;
    private final DeviceIo io;
    private final NodeKeeper keeper;
    private final Thread thread;

    private KernelNbd(String node, int fd, int socket, DeviceIo io, Consumer<String> log) throws IOException {
        this.node = node;
        this.fd = fd;
        this.socket = socket;
        this.io = io;
        this.keeper = NodeKeeper.start("keeper of " + node);
        this.thread = Threads.daemon("kernel-" + node, () -> {
            int result = Ioctl.call(fd, DO_IT, 0L);
            if (result < 0) {
                log.accept("nbd: " + node + ": " + Errno.text(-result));
            }
        });
    }

    /** Whether this host has the kernel's NBD client. */
    static boolean isAvailable() {
        return Files.exists(Path.of("/dev/nbd0"));
    }

    /** Connects a free device to export {@code name} at {@code nbdSocket}, which is {@code io}. */
    static KernelNbd connect(Path nbdSocket, String name, DeviceIo io, Consumer<String> log) throws IOException {
        int socket = UnixSocket.connect(nbdSocket.toString());
        return Failures.takingBack(() -> FileDescriptors.close(socket), () -> {
            ByteBuffer export = handshake(socket, name);
            long size = export.getLong();
            int flags = Short.toUnsignedInt(export.getShort());
            for (int i = 0; i < MAX_DEVICES && Files.exists(Path.of("/dev/nbd" + i)); i++) {
                if (Files.exists(Path.of("/sys/block/nbd" + i + "/pid"))) {
                    continue;
                }
                KernelNbd device = connect("/dev/nbd" + i, socket, size, flags, io, log);
                if (device != null) {
                    return device;
                }
            }
            throw new ErrnoException("no /dev/nbd device is free", Errno.EBUSY);
        });
    }

    /** Null when the device is another's. What is open when it fails is closed again. */
    private static KernelNbd connect(String node, int socket, long size, int flags, DeviceIo io, Consumer<String> log)
            throws IOException {
        int fd = FileDescriptors.open(node, FileDescriptors.O_RDWR);
        if (Ioctl.call(fd, SET_SOCK, (long) socket) != 0) {
            FileDescriptors.close(fd);
            return null;
        }
        Failures.Step close = () -> {
            Ioctl.call(fd, CLEAR_SOCK, 0L);
            FileDescriptors.close(fd);
        };
        return Failures.takingBack(close, () -> {
            KernelNbd device = new KernelNbd(node, fd, socket, io, log);
            return Failures.takingBack(device.keeper::end, () -> {
                device.start(size, flags);
                return device;
            });
        });
    }

    private void start(long size, int flags) throws IOException {
        // An engine that was killed while it took its own node away may have left that so.
        DeviceNode.setReadOnly(fd, node, false);
        check(SET_BLKSIZE, BLOCK_BYTES);
        check(SET_SIZE_BLOCKS, size / BLOCK_BYTES);
        check(SET_FLAGS, flags);
        thread.start();
        // On that thread the kernel gives it its size, without which nobody could use it yet.
        Path sectors = Path.of("/sys/class/block", Path.of(node).getFileName().toString(), "size");
        while (Files.readString(sectors).strip().equals("0")) {
            if (!thread.isAlive()) {
                throw new IOException(node + " does not come up, and the log says why");
            }
            LockSupport.parkNanos(POLL_NANOS);
        }
    }

    private void check(long request, long argument) throws ErrnoException {
        String what = "NBD ioctl " + Long.toHexString(request) + " of " + node;
        ErrnoException.check(what, Ioctl.call(fd, request, argument));
    }

    @Override
    public String node() {
        return node;
    }

    @Override
    public void requireUnclaimed() throws IOException {
        keeper.perform(() -> NodeMounts.requireUnclaimed(node));
    }

    /**
     * Writes out what the node's page cache holds, and the file system on it: as this object has it open, no writer's close
     * does that.
     */
    @Override
    public void sync() throws IOException {
        DeviceNode.sync(fd, node);
    }

    @Override
    public void resized() throws IOException {
        check(SET_SIZE_BLOCKS, io.sizeBytes() / BLOCK_BYTES);
    }

    /** Throws EBUSY when somebody has claimed it, as a mount does; who merely has it open gets errors from now on. */
    @Override
    public void detach(Failures.Step writeOut) throws IOException {
        keeper.whileShut(node, writeOut, this::disconnect);
        clear();
    }

    @Override
    public void abandon() throws IOException {
        disconnect();
        clear();
    }

    private void disconnect() throws IOException {
        check(DISCONNECT, 0);
        Threads.await(thread::join);
    }

    /** What nobody else has open has no size from here on. */
    private void clear() throws IOException {
        keeper.end();
        check(CLEAR_SOCK, 0);
        FileDescriptors.close(fd);
        FileDescriptors.close(socket);
    }

    /** Chooses the export in the old way, which is enough for what the kernel's client speaks: its size and flags. */
    private static ByteBuffer handshake(int socket, String name) throws IOException {
        ByteBuffer greeting = receive(socket, 18);
        if (greeting.getLong() != Nbd.MAGIC || greeting.getLong() != Nbd.OPTION_MAGIC) {
            throw new IOException("no NBD server answers");
        }
        byte[] bytes = NativeText.bytes(name);
        ByteBuffer request = ByteBuffer.allocateDirect(20 + bytes.length)
                .putInt(Nbd.FIXED_NEWSTYLE | Nbd.NO_ZEROES)
                .putLong(Nbd.OPTION_MAGIC)
                .putInt(Nbd.OPT_EXPORT_NAME)
                .putInt(bytes.length)
                .put(bytes);
        long n = RawIo.write(socket, RawIo.address(request), request.position());
        if (n != request.position()) {
            throw new IOException("the NBD server doesn't listen");
        }
        return receive(socket, 10);
    }

    private static ByteBuffer receive(int socket, int bytes) throws IOException {
        ByteBuffer data = ByteBuffer.allocateDirect(bytes);
        long address = RawIo.address(data);
        int at = 0;
        while (at < bytes) {
            long n = RawIo.read(socket, address + at, bytes - at);
            if (n <= 0) {
                throw new EOFException("the NBD server left");
            }
            at += (int) n;
        }
        return data;
    }
}
