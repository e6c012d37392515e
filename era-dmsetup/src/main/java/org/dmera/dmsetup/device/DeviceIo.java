// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.Executor;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.ChangeTracking;
import org.dmera.dmsetup.targets.OwedAnswers;
import org.dmera.dmsetup.targets.Target;

/**
 * The I/O of one mapped device: finds the target that covers a request, cuts requests at target borders, and holds
 * everything back while the device is suspended.
 *
 * <p>Any number of threads call it; each call is done when it returns. A write that the target can take at once takes no
 * lock and makes no object on the way from the caller to the target. One that would wait for metadata need not block its
 * caller: {@link #mustWait} says so, and {@link #submit} does it in the background, so that all that wait share one commit.
 *
 * <p>Offsets are bytes from the device's start. A request outside the device is EINVAL, on a device without a live
 * table EIO, and a write to a read-only device EPERM.
 */
public final class DeviceIo {
    private final IoGate gate = new IoGate();
    private final WaitingWrites waiting;
    private final AnswerScopes scopes = new AnswerScopes();
    private volatile TargetTable table;
    private volatile boolean readOnly;

    /**
     * A device without a table yet; the writes that had to wait for metadata run on threads of {@code background}, which
     * gives each that it is asked for a thread at once, or throws.
     */
    public DeviceIo(Executor background) {
        this.waiting = new WaitingWrites(this, gate, new BackgroundTasks(background));
    }

    /** Holds new requests back, and returns when those in flight are done: the first half of a suspend. */
    public void hold() throws InterruptedException {
        gate.hold();
    }

    /** Lets requests go again: the last step of a resume. */
    public void release() {
        gate.release();
    }

    /** Fails held requests and later ones with ESHUTDOWN: the device is going away. */
    public void shut() {
        gate.shut();
    }

    /** Whether requests are held back now. */
    public boolean isHeld() {
        return gate.isHeld();
    }

    /**
     * Puts a table live, null for none. Only while held, or before the first request; the caller has resumed the targets.
     */
    public void setTable(TargetTable newTable) {
        for (int i = 0; newTable != null && i < newTable.count(); i++) {
            long start = newTable.startBytes(i);
            long end = newTable.endBytes(i);
            newTable.target(i).answersOwed(stillOwed -> scopes.settle(start, end, stillOwed));
        }
        table = newTable;
    }

    /** For one that answers writes later than when they are done, up to {@code capacity} at once; until it is closed. */
    public AnswerScope openScope(int capacity) {
        return scopes.open(capacity);
    }

    /** Has a new era also look at what is owed by the clients of {@code user}, which sits on top of this device. */
    public void includeAnswers(Object user, OwedAnswers owed) {
        scopes.include(user, owed);
    }

    /** {@code user} is gone. */
    public void excludeAnswers(Object user) {
        scopes.exclude(user);
    }

    /** The live table, or null. */
    public TargetTable table() {
        return table;
    }

    /** Refuses writes from now on, or takes them again. */
    public void setReadOnly(boolean newReadOnly) {
        readOnly = newReadOnly;
    }

    /** Whether writes are refused. */
    public boolean isReadOnly() {
        return readOnly;
    }

    /** Size of the device in bytes; 0 without a live table. */
    public long sizeBytes() {
        TargetTable t = table;
        return t == null ? 0 : t.sizeBytes();
    }

    /** Fills {@code dst} from {@code offsetBytes} on. */
    public void read(long offsetBytes, ByteBuffer dst) throws IOException {
        int pass = gate.enter();
        try {
            check(offsetBytes, dst.remaining()).read(offsetBytes, dst);
        } finally {
            gate.exit(pass);
        }
    }

    /**
     * As {@link Target#sendTo}; up to a target border at most. 0 also for a range that can't be read: whoever reads it instead
     * learns why.
     */
    public long sendTo(SocketChannel socket, long offsetBytes, long lengthBytes) throws IOException {
        int pass;
        try {
            pass = gate.enter();
        } catch (ErrnoException e) {
            // The device is gone, as the read will tell.
            return 0;
        }
        try {
            TargetTable t = check(offsetBytes, lengthBytes);
            int i = t.indexAt(offsetBytes);
            long n = t.inFirstPiece(offsetBytes, lengthBytes);
            return t.target(i).sendTo(socket, offsetBytes - t.startBytes(i), n);
        } catch (ErrnoException e) {
            // The table may be another one since the request came, as the read will tell.
            return 0;
        } finally {
            gate.exit(pass);
        }
    }

    /** Writes {@code src} at {@code offsetBytes}; {@code flags} is 0 or {@link Target#FUA}. */
    public void write(long offsetBytes, ByteBuffer src, int flags) throws IOException {
        write(offsetBytes, src, flags, null);
    }

    /** The same for one who answers later; {@code answers} owes it then. */
    public void write(long offsetBytes, ByteBuffer src, int flags, AnswerScope answers) throws IOException {
        int pass = gate.enter();
        try {
            owe(answers, offsetBytes, src.remaining());
            checkWritable(offsetBytes, src.remaining()).write(offsetBytes, src, flags);
        } finally {
            gate.exit(pass);
        }
    }

    /** Past the gate: a write that waits for a resume has done nothing yet. */
    private static void owe(AnswerScope answers, long offsetBytes, long lengthBytes) {
        if (answers != null) {
            answers.owe(offsetBytes, lengthBytes);
        }
    }

    /** Makes every write that has returned durable, on all targets. */
    public void flush() throws IOException {
        int pass = gate.enter();
        try {
            TargetTable t = check(0, 0);
            for (int i = 0; i < t.count(); i++) {
                t.target(i).flush();
            }
        } finally {
            gate.exit(pass);
        }
    }

    /** Gives up the range's data. */
    public void discard(long offsetBytes, long lengthBytes, int flags) throws IOException {
        discard(offsetBytes, lengthBytes, flags, null);
    }

    /** The same for one who answers later; {@code answers} owes it then. */
    public void discard(long offsetBytes, long lengthBytes, int flags, AnswerScope answers) throws IOException {
        int pass = gate.enter();
        try {
            owe(answers, offsetBytes, lengthBytes);
            checkWritable(offsetBytes, lengthBytes).discard(offsetBytes, lengthBytes, flags);
        } finally {
            gate.exit(pass);
        }
    }

    /** Makes the range read as zeroes; {@code flags} as in {@link Target#writeZeroes}. */
    public void writeZeroes(long offsetBytes, long lengthBytes, int flags) throws IOException {
        writeZeroes(offsetBytes, lengthBytes, flags, null);
    }

    /** The same for one who answers later; {@code answers} owes it then. */
    public void writeZeroes(long offsetBytes, long lengthBytes, int flags, AnswerScope answers) throws IOException {
        int pass = gate.enter();
        try {
            owe(answers, offsetBytes, lengthBytes);
            checkWritable(offsetBytes, lengthBytes).writeZeroes(offsetBytes, lengthBytes, flags);
        } finally {
            gate.exit(pass);
        }
    }

    /** As {@link Target#allocation}; a run ends at a target border at the latest. */
    public long allocation(long offsetBytes, long lengthBytes) throws IOException {
        int pass = gate.enter();
        try {
            TargetTable t = check(offsetBytes, lengthBytes);
            int i = t.indexAt(offsetBytes);
            long n = t.inFirstPiece(offsetBytes, lengthBytes);
            return t.target(i).allocation(offsetBytes - t.startBytes(i), n);
        } finally {
            gate.exit(pass);
        }
    }

    /**
     * As {@link ChangeTracking#lastWritten}, across targets. What is beneath those that track nothing may have been written at
     * any time, and counts as written in the current era, so that no backup leaves it out.
     */
    public void lastWritten(long offsetBytes, long lengthBytes, ChangeTracking.EraRuns visitor) throws IOException {
        lastWritten(offsetBytes, lengthBytes, null, visitor);
    }

    /**
     * The same of one record only.
     *
     * @param lineage what {@link #lineage} said when the eras were agreed on
     * @throws ErrnoException EINVAL when the device has gone over to another one since, whose eras are others
     */
    public void lastWritten(long offsetBytes, long lengthBytes, Object lineage, ChangeTracking.EraRuns visitor)
            throws IOException {
        int pass = gate.enter();
        try {
            TargetTable t = check(offsetBytes, lengthBytes);
            if (lineage != null && lineage() != lineage) {
                throw new ErrnoException(
                        "the device has got other metadata since the eras were agreed on", Errno.EINVAL.number());
            }
            TableEras.lastWritten(t, offsetBytes, lengthBytes, visitor);
        } finally {
            gate.exit(pass);
        }
    }

    /**
     * The era that writes are counted in, or −1 when no target tracks changes, or several do: each has eras of its own, and
     * what was written since an era can't be told for all of them by one number.
     */
    public long currentEra() {
        return TableEras.currentEra(table);
    }

    /** The record that {@link #currentEra} belongs to, or null when there is none, or several. */
    public Object lineage() {
        ChangeTracking tracking = TableEras.only(table);
        return tracking == null ? null : tracking.lineage();
    }

    /** Whether a write to the range would have to wait for metadata. Never blocks; wrong ranges don't wait. */
    public boolean mustWait(long offsetBytes, long lengthBytes) {
        TargetTable t = table;
        if (t == null || readOnly || offsetBytes < 0 || lengthBytes < 0 || offsetBytes > t.sizeBytes() - lengthBytes) {
            return false;
        }
        return t.mustWait(offsetBytes, lengthBytes);
    }

    /**
     * Has the metadata made ready for a write, together with all others that wait, then calls {@link BackgroundWrite#run}
     * on a background thread. The device counts it as in flight from here until that has returned, and a suspend waits
     * for it; waits here itself while the device is suspended.
     */
    public void submit(long offsetBytes, long lengthBytes, BackgroundWrite write) {
        waiting.submit(offsetBytes, lengthBytes, write);
    }

    /**
     * As {@link Target#prepare}, for a device on top of this one. The device counts it as in flight until {@code then} is
     * called, so that no target is asked that is suspended or gone. The write itself comes later and passes the gate by
     * itself: should the device have got another table meanwhile, it has what it needs made ready again.
     */
    public void prepare(long offsetBytes, long lengthBytes, Target.Prepared then) {
        waiting.prepare(offsetBytes, lengthBytes, then);
    }

    /** What is left of a write when the metadata is ready. */
    public interface BackgroundWrite {
        /** {@link #run} will come soon: so that answers can be collected while more are about to come. */
        void ready();

        /** Writes through {@code io}; or does nothing, when {@code failure} is not null. Must not wait for the client. */
        void run(Inside io, IOException failure);

        /** Tells the client. The device no longer counts the write as in flight, so this may take as long as it likes. */
        void answer();
    }

    /** The writing half of a device, for a caller that has passed its gate already. */
    public interface Inside {
        /** As {@link DeviceIo#write}. */
        void write(long offsetBytes, ByteBuffer src, int flags) throws IOException;

        /** As {@link DeviceIo#discard}. */
        void discard(long offsetBytes, long lengthBytes, int flags) throws IOException;

        /** As {@link DeviceIo#writeZeroes}. */
        void writeZeroes(long offsetBytes, long lengthBytes, int flags) throws IOException;
    }

    private TargetTable check(long offsetBytes, long lengthBytes) throws ErrnoException {
        TargetTable t = table;
        if (t == null || t.count() == 0) {
            throw new ErrnoException("I/O on a device without a live table", Errno.EIO.number());
        }
        if (offsetBytes < 0 || lengthBytes < 0 || offsetBytes > t.sizeBytes() - lengthBytes) {
            throw new ErrnoException(
                    "request of " + lengthBytes + " bytes at " + offsetBytes + " on a device of " + t.sizeBytes()
                            + " bytes",
                    Errno.EINVAL.number());
        }
        return t;
    }

    TargetTable checkWritable(long offsetBytes, long lengthBytes) throws ErrnoException {
        if (readOnly) {
            throw new ErrnoException("write to a read-only device", Errno.EPERM.number());
        }
        return check(offsetBytes, lengthBytes);
    }
}
