// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.IoRequest;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;

/**
 * One of the requests that a queue can have under way, known by its tag. It has memory of its own, into which the driver
 * has put what is to be written, and from which it takes what was read, and is used again and again.
 *
 * <p>It is the queue's thread's until it is served, then whoever's serves it, until that gives it back by {@link
 * UblkQueue#done}.
 */
final class UblkRequest extends IoRequest implements Runnable {
    /** Requests of so many bytes are long ones, where there are processors to serve several side by side. */
    private static final int LONG_BYTES = Runtime.getRuntime().availableProcessors() > 1 ? 64 << 10 : Integer.MAX_VALUE;

    private final UblkQueue queue;
    private final DeviceIo io;
    private final int tag;
    private final ByteBuffer memory;

    private int kind;
    private long bytes;
    /** The errno with which it is refused, 0 for none. */
    private int refusal;

    private int result;
    /** In the queue's list of those that are done. */
    UblkRequest next;

    UblkRequest(UblkQueue queue, DeviceIo io, Client client, int tag, ByteBuffer memory) {
        super(client, io.openScope(1));
        this.queue = queue;
        this.io = io;
        this.tag = tag;
        this.memory = memory;
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
        kind = operationAndFlags & Ublk.OP_MASK;
        bytes = Integer.toUnsignedLong(sectors) * Ublk.SECTOR_BYTES;
        refusal = 0;
        long offset = startSector * Ublk.SECTOR_BYTES;
        int fua = (operationAndFlags & Ublk.IO_FUA) != 0 ? Target.FUA : 0;
        int noHole = (operationAndFlags & Ublk.IO_NOUNMAP) != 0 ? Target.NO_HOLE : 0;
        switch (kind) {
            case Ublk.OP_READ -> setWithData(Operation.READ, offset, 0);
            case Ublk.OP_WRITE -> setWithData(Operation.WRITE, offset, fua);
            case Ublk.OP_FLUSH -> set(Operation.FLUSH, 0, 0, 0);
            case Ublk.OP_DISCARD -> set(Operation.DISCARD, offset, bytes, 0);
            case Ublk.OP_WRITE_ZEROES -> set(Operation.WRITE_ZEROES, offset, bytes, fua | noHole);
            default -> refusal = Errno.EOPNOTSUPP.number();
        }
    }

    private void setWithData(Operation operation, long offset, int flags) {
        if (bytes > memory.capacity()) {
            refusal = Errno.EINVAL.number();
        } else {
            set(operation, offset, memory.clear().limit((int) bytes), flags);
        }
    }

    private boolean hasData() {
        return kind == Ublk.OP_READ || kind == Ublk.OP_WRITE;
    }

    /** Whether it takes long only when it has to wait for something. */
    boolean isShort() {
        return hasData() && bytes < LONG_BYTES;
    }

    /** Whether it writes, in one way or another. */
    boolean changes() {
        return kind != Ublk.OP_READ && kind != Ublk.OP_FLUSH;
    }

    /** Serves it, on a thread that may wait. */
    @Override
    public void run() {
        if (serve()) {
            queue.done(this);
        }
    }

    /** Serves it; false when that goes on in the background, and the queue is told by whoever does it. */
    boolean serve() {
        try {
            if (refusal == 0 && !io.submit(this)) {
                return false;
            }
            complete();
        } catch (IOException | RuntimeException | Error e) {
            failed(e);
        }
        return true;
    }

    /** An error in this program, or want of memory, is the failure of one request. */
    void failed(Throwable why) {
        queue.report(why);
        result = -Errno.EIO.number();
    }

    /** Its memory is its own: it can be completed later as it is. */
    @Override
    protected IoRequest detach() {
        return this;
    }

    @Override
    protected void complete() {
        int errno = refusal != 0 ? refusal : errno();
        result = errno != 0 ? -errno : hasData() ? (int) bytes : 0;
    }

    @Override
    protected void answer() {
        queue.done(this);
    }

    /** The driver has been told the result. */
    void answered() {
        answers().sent();
    }

    /** It is never used again. */
    void close() {
        answers().close();
    }
}
