// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.FileSpace;
import org.dmera.core.linux.Ioctl;
import org.dmera.core.linux.RawIo;
import org.dmera.dmsetup.ioctl.DevNumber;

/**
 * A regular file or a block device beneath a target, through the page cache.
 *
 * <p>Plain positioned reads and writes: a mapping gains little, and turns an I/O error into a signal. The file is open
 * more than once because a Java channel registers each caller under a lock; threads spread over the channels.
 */
class FileBacking implements Closeable {
    private static final int SECTOR_BYTES = 512;
    private static final int CHANNELS = 4;
    /**
     * Long writes go in pieces. The page cache gets folios as large as the writes that fill it, and the larger one is, the longer
     * a short write into it takes: into one of 1 MiB more than three times as long as into a single page, into one of this
     * size one and a half times. Long writes take no longer in pieces of it.
     */
    private static final int MAX_WRITE_BYTES = 256 << 10;

    /** Never written to; each user has a view of its own. */
    private static final ByteBuffer ZEROES = ByteBuffer.allocateDirect(1 << 18);

    private static final long BLKSSZGET = 0x1268;

    private final Path path;
    private final String display;
    private final long device;
    private final long sizeBytes;
    private final FileChannel[] channels = new FileChannel[CHANNELS];
    /** Holds the claim, and is what fallocate and lseek work on. */
    private final int fd;
    /** fallocate takes whole ones of these only: the logical blocks of a device; a file's bytes. */
    private final int unitBytes;
    /** Those of fallocate that the file system or the device turned out not to know. */
    private volatile int unknownModes;
    /** Cleared when the file system turns out not to know them. */
    private volatile boolean canSeekHoles;

    private final ReentrantLock syncing = new ReentrantLock();
    /** Syncs that have begun. Written under {@link #syncing}. */
    private volatile long syncs;
    /** Syncs that have failed, and why the last one did. Written under {@link #syncing}. */
    private volatile long losses;

    private volatile IOException loss;

    /** Takes over {@code claimFd}, which is closed with this or when this throws. */
    FileBacking(Path path, boolean writable, long device, int claimFd) throws IOException {
        this.path = path;
        this.device = device;
        this.display = device < 0 ? path.toAbsolutePath().normalize().toString() : DevNumber.text(device);
        this.canSeekHoles = device < 0;
        this.fd = claimFd;
        try {
            // The file that was claimed, whatever the path leads to by now.
            Path claimed = Path.of("/proc/self/fd/" + claimFd);
            for (int i = 0; i < CHANNELS; i++) {
                channels[i] = FileChannel.open(
                        claimed,
                        writable
                                ? Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE)
                                : Set.of(StandardOpenOption.READ));
            }
            sizeBytes = currentSizeBytes();
            unitBytes = device < 0 ? 1 : logicalBlockBytes(fd);
        } catch (IOException | RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private static int logicalBlockBytes(int fd) throws ErrnoException {
        ByteBuffer size = ByteBuffer.allocate(Integer.BYTES).order(ByteOrder.nativeOrder());
        ErrnoException.check("BLKSSZGET", Ioctl.call(fd, BLKSSZGET, size));
        return size.getInt(0);
    }

    String display() {
        return display;
    }

    long device() {
        return device;
    }

    /** Its size now, in whole sectors. */
    long currentSizeBytes() throws IOException {
        return channels[0].size() / SECTOR_BYTES * SECTOR_BYTES;
    }

    @SuppressWarnings("deprecation") // Thread.threadId() came with Java 19
    private FileChannel channel() {
        return channels[(int) Thread.currentThread().getId() & CHANNELS - 1];
    }

    void read(long offsetBytes, ByteBuffer dst) throws IOException {
        FileChannel channel = channel();
        long at = offsetBytes;
        while (dst.hasRemaining()) {
            int n = channel.read(dst, at);
            if (n < 0) {
                throw new EOFException(path + ": the file ended at byte " + at + "; it had " + sizeBytes
                        + " bytes when it was opened");
            }
            at += n;
        }
    }

    /** By sendfile: the socket gets the pages of the page cache themselves. */
    long sendTo(SocketChannel socket, long offsetBytes, long lengthBytes) {
        try {
            return channel().transferTo(offsetBytes, lengthBytes, socket);
        } catch (IOException e) {
            // Whether the file can't be read or the socket is gone, the caller learns from the one it tries next.
            return 0;
        }
    }

    void write(long offsetBytes, ByteBuffer src) throws IOException {
        FileChannel channel = channel();
        long at = offsetBytes;
        int end = src.limit();
        try {
            while (src.position() < end) {
                src.limit(Math.min(end, src.position() + MAX_WRITE_BYTES));
                at += write(channel, at, src);
            }
        } finally {
            src.limit(end);
        }
    }

    private int write(FileChannel channel, long offsetBytes, ByteBuffer src) throws IOException {
        try {
            return channel.write(src, offsetBytes);
        } catch (ClosedChannelException e) {
            throw e;
        } catch (IOException e) {
            return writeAgain(offsetBytes, src, e);
        }
    }

    /**
     * Repeats a write that failed, for the number of its error, which the channel does not tell: a client does something
     * about a full file system, and nothing about an I/O error.
     */
    private int writeAgain(long offsetBytes, ByteBuffer src, IOException failure) throws IOException {
        int bytes = src.remaining();
        ByteBuffer direct = src.isDirect()
                ? src
                : ByteBuffer.allocateDirect(bytes).put(src.duplicate()).flip();
        long n;
        try {
            do {
                n = RawIo.pwrite(fd, RawIo.address(direct) + direct.position(), bytes, offsetBytes);
            } while (n == -Errno.EINTR.number());
        } finally {
            Reference.reachabilityFence(direct);
        }
        if (n <= 0) {
            ErrnoException known =
                    new ErrnoException("write of " + bytes + " bytes at " + offsetBytes + " of " + path, (int) -n);
            if (known.is(Errno.ENOSPC) || known.is(Errno.EDQUOT) || known.is(Errno.EFBIG)) {
                known.addSuppressed(failure);
                throw known;
            }
            // All else is EIO, as with the kernel's block layer.
            throw failure;
        }
        src.position(src.position() + (int) n);
        return (int) n;
    }

    /**
     * A failure is EIO, also one for want of space: the data are lost, and another flush would succeed all the same. Clients
     * know an ENOSPC as one after which the same request may be tried again. A loop device says EIO here, too.
     *
     * <p>One at a time, by one descriptor, since the system tells each descriptor of a loss once: nobody is told that all is
     * well between the failure and its being noted. Those that came while one was under way share the next.
     *
     * @param knownLosses the {@link #losses} that the caller has known of from the beginning
     */
    void flush(long knownLosses) throws IOException {
        syncOnce();
        IOException lost = loss(knownLosses);
        if (lost != null) {
            throw lost;
        }
    }

    /** Why writes were lost since there were {@code knownLosses}, or null. */
    IOException loss(long knownLosses) {
        return losses > knownLosses
                ? new IOException("writes to " + path + " were lost: " + loss.getMessage(), loss)
                : null;
    }

    @SuppressWarnings("NonAtomicVolatileUpdate") // under the lock
    private void syncOnce() throws IOException {
        long came = syncs;
        syncing.lock();
        long before = syncs;
        boolean over = before > came;
        try {
            if (!over) {
                syncs = came + 1;
                force(channels[0]);
                over = true;
            }
        } catch (ClosedChannelException e) {
            throw e;
        } catch (IOException e) {
            loss = e;
            losses++;
            over = true;
        } finally {
            if (!over) {
                // Whoever was to share it is not done either.
                syncs = before;
            }
            syncing.unlock();
        }
    }

    /** Has the system write what it holds of the file. */
    void force(FileChannel channel) throws IOException {
        channel.force(false);
    }

    /** How many syncs have failed. */
    long losses() {
        return losses;
    }

    void discard(long offsetBytes, long lengthBytes) throws IOException {
        // A discard is advice: where it can't be done the data just stay.
        long from = wholeFrom(offsetBytes);
        long to = wholeTo(offsetBytes + lengthBytes);
        if (from < to) {
            allocate(FileSpace.PUNCH_HOLE, from, to - from);
        }
    }

    void writeZeroes(long offsetBytes, long lengthBytes, int flags) throws IOException {
        long end = offsetBytes + lengthBytes;
        long from = wholeFrom(offsetBytes);
        long to = wholeTo(end);
        if (from >= to) {
            writeZeroes(offsetBytes, lengthBytes);
        } else {
            if (!((flags & Target.NO_HOLE) == 0 && allocate(FileSpace.PUNCH_HOLE, from, to - from))
                    && !allocate(FileSpace.ZERO_RANGE, from, to - from)) {
                if ((flags & Target.FAST_ZERO) != 0) {
                    throw new ErrnoException("fast zeroing of " + path, Errno.EOPNOTSUPP);
                }
                writeZeroes(from, to - from);
            }
            writeZeroes(offsetBytes, from - offsetBytes);
            writeZeroes(to, end - to);
        }
    }

    /** The first whole unit at or after an offset. */
    private long wholeFrom(long offsetBytes) {
        return Math.addExact(offsetBytes, unitBytes - 1) / unitBytes * unitBytes;
    }

    /** The end of the last whole unit before an offset. */
    private long wholeTo(long offsetBytes) {
        return offsetBytes / unitBytes * unitBytes;
    }

    private void writeZeroes(long offsetBytes, long lengthBytes) throws IOException {
        ByteBuffer zeroes = ZEROES.duplicate();
        for (long at = 0; at < lengthBytes; at += zeroes.limit()) {
            zeroes.clear().limit((int) Math.min(lengthBytes - at, zeroes.capacity()));
            write(offsetBytes + at, zeroes);
        }
    }

    /** False when it could not be done: not with this range, or by this file system or device not at all. */
    private boolean allocate(int mode, long offsetBytes, long lengthBytes) throws IOException {
        if ((unknownModes & mode) != 0) {
            return false;
        }
        try {
            FileSpace.fallocate(fd, mode | FileSpace.KEEP_SIZE, offsetBytes, lengthBytes);
            return true;
        } catch (ErrnoException e) {
            if (e.is(Errno.EOPNOTSUPP) || e.is(Errno.ENOSYS) || e.is(Errno.ENODEV)) {
                unknownModes |= mode;
            } else if (!e.is(Errno.EINVAL)) {
                throw e;
            }
            return false;
        }
    }

    long allocation(long offsetBytes, long lengthBytes) throws IOException {
        if (!canSeekHoles) {
            return lengthBytes;
        }
        try {
            long data = FileSpace.nextData(fd, offsetBytes);
            if (data == offsetBytes) {
                long hole = FileSpace.nextHole(fd, offsetBytes);
                return hole <= offsetBytes ? lengthBytes : Math.min(lengthBytes, hole - offsetBytes);
            }
            // A hole ends with the file, which may have been cut off since it was opened: what can't be read is no
            // hole.
            long end = data < 0 ? channels[0].size() : data;
            return end <= offsetBytes ? lengthBytes : -Math.min(lengthBytes, end - offsetBytes);
        } catch (ErrnoException e) {
            // Reading it will tell what is wrong with it, if it is not only that the file system knows no holes.
            canSeekHoles &= !e.is(Errno.EINVAL) && !e.is(Errno.EOPNOTSUPP);
            return lengthBytes;
        }
    }

    @Override
    public void close() throws IOException {
        Failures failures = new Failures();
        for (FileChannel channel : channels) {
            if (channel != null) {
                failures.run(channel::close);
            }
        }
        failures.run(() -> FileDescriptors.close(fd));
        failures.throwFirst();
    }

    @Override
    public String toString() {
        return path.toString();
    }
}
