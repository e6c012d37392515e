// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.dmera.core.linux.DeviceNode;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.Ioctl;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.StorageAreas;

/**
 * A loop device over a file that is served through FUSE, with direct I/O: what losetup(8) does, through the ioctls of loop(4).
 *
 * <p>It clears itself when the last opener is gone, and this object is one of them: so it also goes away when the engine
 * is killed, as soon as nobody uses it any more.
 */
final class LoopDevice implements Attachment {
    private static final int MAJOR = 7;
    private static final long CTL_GET_FREE = 0x4C82;
    private static final long GET_STATUS64 = 0x4C05;
    private static final long SET_CAPACITY = 0x4C07;
    private static final long CONFIGURE = 0x4C0A;

    // struct loop_config: u32 fd, u32 block_size, struct loop_info64, u64 reserved[8].
    private static final int CONFIG_BYTES = 304;
    private static final int CONFIG_FLAGS = 8 + 52;
    private static final int CONFIG_FILE_NAME = 8 + 56;
    private static final int FILE_NAME_BYTES = 64;
    private static final int INFO_BYTES = 232;
    /** lo_device, lo_inode. */
    private static final int FILE_BYTES = 16;

    private static final int FLAG_READ_ONLY = 1;
    private static final int FLAG_AUTOCLEAR = 4;
    private static final int FLAG_PARTSCAN = 8;
    private static final int FLAG_DIRECT_IO = 16;

    /** Another program may take the free device first. */
    private static final int TRIES = 64;

    private final String node;
    /** The file, which goes with this. */
    private final FuseFile served;

    private final NodeKeeper keeper;
    /** The keeper's; −1 when it was closed and could not be opened again. */
    private int fd;
    /** What it is over, as the kernel tells it. */
    private final ByteBuffer over;

    private final Consumer<String> log;

    private LoopDevice(String node, FuseFile served, NodeKeeper keeper, int fd, Consumer<String> log)
            throws IOException {
        this.node = node;
        this.served = served;
        this.keeper = keeper;
        this.fd = fd;
        this.log = log;
        over = fileOf(fd);
        if (over == null) {
            throw gone();
        }
    }

    /** Serves {@code io} at {@code file}, which is made for that, and sets a free loop device up over it. */
    static LoopDevice over(DeviceIo io, Path file, Served served, Supplier<StorageAreas> storage, Consumer<String> log)
            throws IOException {
        FuseFile fuse = new FuseFile(io, file, served, storage, log);
        return Failures.takingBack(fuse::close, () -> {
            NodeKeeper keeper = NodeKeeper.start("keeper of " + file.getFileName());
            return Failures.takingBack(keeper::end, () -> keeper.call(() -> setUp(fuse, keeper, log)));
        });
    }

    private static LoopDevice setUp(FuseFile fuse, NodeKeeper keeper, Consumer<String> log) throws IOException {
        int access = fuse.io.isReadOnly() ? FileDescriptors.O_RDONLY : FileDescriptors.O_RDWR;
        int backing = FileDescriptors.open(fuse.file.toString(), access);
        try {
            learnSize(fuse.file);
            for (int i = 0; i < TRIES; i++) {
                LoopDevice device = tryFree(fuse, backing, access, keeper, log);
                if (device != null) {
                    return device;
                }
            }
            throw new ErrnoException("no loop device stays free", Errno.EBUSY);
        } finally {
            FileDescriptors.close(backing);
        }
    }

    /**
     * Older kernels (6.1) give the loop device the size that the file's inode has in memory, and that of a FUSE file is 0
     * until somebody has asked for it.
     */
    private static void learnSize(Path file) throws IOException {
        Files.size(file);
    }

    private static LoopDevice tryFree(FuseFile fuse, int backing, int access, NodeKeeper keeper, Consumer<String> log)
            throws IOException {
        int control = FileDescriptors.open("/dev/loop-control", FileDescriptors.O_RDWR);
        int minor;
        try {
            minor = ErrnoException.check("LOOP_CTL_GET_FREE", Ioctl.call(control, CTL_GET_FREE, 0L));
        } finally {
            FileDescriptors.close(control);
        }
        String node = "/dev/loop" + minor;
        if (!Files.exists(Path.of(node))) {
            // No devtmpfs, as in containers.
            DeviceNode.makeBlockDevice(node, 0600, MAJOR, minor);
        }
        int fd = FileDescriptors.open(node, access);
        ByteBuffer config = ByteBuffer.allocate(CONFIG_BYTES).order(ByteOrder.nativeOrder());
        config.putInt(0, backing);
        int readOnly = access == FileDescriptors.O_RDONLY ? FLAG_READ_ONLY : 0;
        config.putInt(CONFIG_FLAGS, FLAG_AUTOCLEAR | FLAG_PARTSCAN | FLAG_DIRECT_IO | readOnly);
        byte[] name = NativeText.bytes(fuse.file.toString());
        config.put(CONFIG_FILE_NAME, name, 0, Math.min(name.length, FILE_NAME_BYTES - 1));
        int result = Ioctl.call(fd, CONFIGURE, config);
        if (result == -Errno.EBUSY.number()) {
            FileDescriptors.close(fd);
            return null;
        }
        return Failures.takingBack(() -> FileDescriptors.close(fd), () -> {
            ErrnoException.check("LOOP_CONFIGURE of " + node, result);
            return new LoopDevice(node, fuse, keeper, fd, log);
        });
    }

    /** Device and inode of the file beneath; null when there is none. */
    private ByteBuffer fileOf(int descriptor) throws ErrnoException {
        ByteBuffer info = ByteBuffer.allocate(INFO_BYTES);
        int result = Ioctl.call(descriptor, GET_STATUS64, info);
        if (result == -Errno.ENXIO.number()) {
            return null;
        }
        ErrnoException.check("LOOP_GET_STATUS64 of " + node, result);
        return info.slice(0, FILE_BYTES);
    }

    private ErrnoException gone() {
        return new ErrnoException(node + ", which is taken away", Errno.ENXIO);
    }

    /** Whether it still is what was set up; it is open then, again if need be. */
    private boolean isThere() throws IOException {
        if (fd < 0) {
            int again;
            try {
                again = FileDescriptors.open(node, FileDescriptors.O_RDONLY);
            } catch (ErrnoException e) {
                if (e.is(Errno.ENXIO)) {
                    return false;
                }
                throw e;
            }
            try {
                if (over.equals(fileOf(again))) {
                    fd = again;
                }
            } finally {
                if (fd != again) {
                    FileDescriptors.close(again);
                }
            }
        }
        return fd >= 0;
    }

    private void close() throws IOException {
        int open = fd;
        fd = -1;
        if (open >= 0) {
            FileDescriptors.close(open);
        }
    }

    @Override
    public String node() {
        return node;
    }

    @Override
    public void resized() throws IOException {
        keeper.perform(() -> {
            if (!isThere()) {
                throw gone();
            }
            learnSize(served.file);
            ErrnoException.check("LOOP_SET_CAPACITY of " + node, Ioctl.call(fd, SET_CAPACITY, 0L));
        });
    }

    @Override
    public void requireUnclaimed() throws IOException {
        keeper.perform(() -> NodeMounts.requireUnclaimed(node));
    }

    /**
     * Writes out what the node's page cache holds, and the file system on it. That happens by itself only when the last
     * opener closes it, and this object is an opener.
     */
    @Override
    public void sync() throws IOException {
        keeper.perform(() -> {
            if (isThere()) {
                DeviceNode.sync(fd, node);
            }
        });
    }

    /**
     * Takes it away, by nothing but closing it: what somebody has written to it and closed meanwhile is written out first, while
     * nobody can open it. LOOP_CLR_FD has the kernel lose that.
     *
     * @throws ErrnoException EBUSY when it is mounted or open: then nothing has changed
     */
    @Override
    public void detach(Failures.Step writeOut) throws IOException {
        // How what is left then goes nobody learns.
        writeOut.run();
        keeper.perform(() -> {
            close();
            if (isThere()) {
                throw new ErrnoException(node + " is in use", Errno.EBUSY);
            }
        });
        keeper.end();
        try {
            served.close();
        } catch (IOException e) {
            // The node is gone, whatever stays behind until the next engine comes.
            log.accept("detach: " + e.getMessage());
        }
    }

    /** It goes with its last opener. */
    @Override
    public void abandon() throws IOException {
        try {
            keeper.perform(this::close);
        } finally {
            keeper.end();
            served.close();
        }
    }
}
