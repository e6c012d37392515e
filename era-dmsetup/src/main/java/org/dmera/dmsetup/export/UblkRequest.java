// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.Target;

/**
 * One of the requests that a queue can have under way, known by its tag. It has memory of its own, into which the driver
 * has put what is to be written, and from which it takes what was read, and is used again and again.
 *
 * <p>It is the queue's thread's until it is served, then whoever's serves it, until that gives it back by {@link
 * UblkQueue#done}.
 */
final class UblkRequest implements Runnable, DeviceIo.BackgroundWrite {
    /** Requests of so many bytes are long ones, where there are processors to serve several side by side. */
    private static final int LONG_BYTES = Runtime.getRuntime().availableProcessors() > 1 ? 64 << 10 : Integer.MAX_VALUE;

    private final UblkQueue queue;
    private final DeviceIo io;
    private final Client client;
    private final int tag;
    private final ByteBuffer data;
    /** What is owed for this request, from its write on until it is answered. */
    private final AnswerScope scope;

    private int operation;
    private long offset;
    private long bytes;
    private int result;
    /** In the queue's list of those that are done. */
    UblkRequest next;

    UblkRequest(UblkQueue queue, DeviceIo io, Client client, int tag, ByteBuffer data) {
        this.queue = queue;
        this.io = io;
        this.client = client;
        this.tag = tag;
        this.data = data;
        this.scope = io.openScope(1);
    }

    int tag() {
        return tag;
    }

    /** What the driver is told: how many bytes were read or written, 0 for other requests, or −errno. */
    int result() {
        return result;
    }

    /** Begins anew, as the driver describes it. */
    void begin(int operationAndFlags, int sectors, long startSector) {
        operation = operationAndFlags;
        offset = startSector * Ublk.SECTOR_BYTES;
        bytes = Integer.toUnsignedLong(sectors) * Ublk.SECTOR_BYTES;
    }

    /** Whether it takes long only when it has to wait for something. */
    boolean isShort() {
        int kind = operation & Ublk.OP_MASK;
        return (kind == Ublk.OP_READ || kind == Ublk.OP_WRITE) && bytes < LONG_BYTES;
    }

    /** Whether it writes, in one way or another. */
    boolean changes() {
        int kind = operation & Ublk.OP_MASK;
        return kind != Ublk.OP_READ && kind != Ublk.OP_FLUSH;
    }

    /** Serves it, on a thread that may wait. */
    @Override
    public void run() {
        boolean served;
        try {
            client.begin();
        } catch (ErrnoException e) {
            result = -e.errno();
            queue.done(this);
            return;
        }
        try {
            served = serve();
        } finally {
            client.end();
        }
        if (served) {
            queue.done(this);
        }
    }

    /** Serves it, for the queue's own thread, or within {@link #run}; false when that goes on in the background, and the queue is told by whoever does it. */
    boolean serve() {
        try {
            if (changes() && io.mustWait(offset, bytes)) {
                io.submit(offset, bytes, this);
                return false;
            }
            result = serve(operation & Ublk.OP_MASK);
        } catch (IOException e) {
            result = -errno(e);
        } catch (RuntimeException | Error e) {
            failed(e);
        }
        return true;
    }

    private int serve(int kind) throws IOException {
        switch (kind) {
            case Ublk.OP_READ -> io.read(offset, payload());
            case Ublk.OP_WRITE -> io.write(offset, payload(), writeFlags(), scope);
            case Ublk.OP_FLUSH -> io.flush();
            case Ublk.OP_DISCARD -> io.discard(offset, bytes, 0, scope);
            case Ublk.OP_WRITE_ZEROES -> io.writeZeroes(offset, bytes, zeroFlags(), scope);
            default -> throw new ErrnoException("ublk operation " + kind, Errno.EOPNOTSUPP.number());
        }
        return answer(kind);
    }

    private int answer(int kind) {
        return kind == Ublk.OP_READ || kind == Ublk.OP_WRITE ? (int) bytes : 0;
    }

    private ByteBuffer payload() throws ErrnoException {
        if (bytes > data.capacity()) {
            throw new ErrnoException("ublk request of " + bytes + " bytes", Errno.EINVAL.number());
        }
        return data.clear().limit((int) bytes);
    }

    private int writeFlags() {
        return (operation & Ublk.IO_FUA) != 0 ? Target.FUA : 0;
    }

    private int zeroFlags() {
        return writeFlags() | ((operation & Ublk.IO_NOUNMAP) != 0 ? Target.NO_HOLE : 0);
    }

    /** An error in this program, or want of memory, is the failure of one request. */
    private void failed(Throwable why) {
        queue.report(why);
        result = -Errno.EIO.number();
    }

    private static int errno(IOException e) {
        return e instanceof ErrnoException known ? known.errno() : Errno.EIO.number();
    }

    /** The driver has been told the result. */
    void answered() {
        scope.sent();
    }

    /** It is never used again. */
    void close() {
        scope.close();
    }

    // ---- of a change that waited for metadata

    @Override
    public void ready() {
        scope.owe(offset, bytes);
    }

    @Override
    public void run(DeviceIo.Inside inside, IOException failure) {
        try {
            if (failure != null) {
                throw failure;
            }
            client.begin();
            try {
                change(inside);
            } finally {
                client.end();
            }
        } catch (IOException e) {
            result = -errno(e);
        } catch (RuntimeException | Error e) {
            failed(e);
        }
    }

    private void change(DeviceIo.Inside inside) throws IOException {
        int kind = operation & Ublk.OP_MASK;
        switch (kind) {
            case Ublk.OP_WRITE -> inside.write(offset, payload(), writeFlags());
            case Ublk.OP_DISCARD -> inside.discard(offset, bytes, 0);
            default -> inside.writeZeroes(offset, bytes, zeroFlags());
        }
        result = answer(kind);
    }

    @Override
    public void answer() {
        queue.done(this);
    }
}
