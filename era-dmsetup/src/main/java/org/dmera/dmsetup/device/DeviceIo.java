// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.Executor;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.BlockIo;
import org.dmera.dmsetup.targets.ChangeTracking;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.OwedAnswers;
import org.dmera.dmsetup.targets.Target;

/**
 * The I/O of one mapped device: finds the target that covers a request, cuts requests at target borders, and holds
 * everything back while the device is suspended.
 *
 * <p>Any number of threads call it; each call is done when it returns. A write that the target can take at once takes no
 * lock and makes no object on the way from the caller to the target. One that would wait for metadata need not block its
 * caller: {@link #submit} has it completed in the background, so that all that wait share one commit.
 *
 * <p>Offsets are bytes from the device's start. A request outside the device is EINVAL, on a device without a live
 * table EIO, and a write to a read-only device EPERM.
 */
public final class DeviceIo implements BlockIo {
    private final IoGate gate = new IoGate();
    private final WaitingWrites waiting;
    private final AnswerScopes scopes = new AnswerScopes();
    private volatile TargetTable table;
    private volatile boolean readOnly;
    private volatile IOException lossOfFormer;

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

    /** Has the targets of a table that is about to be resumed know what is owed to clients. */
    void tellOwed(TargetTable newTable) {
        for (int i = 0; i < newTable.count(); i++) {
            long start = newTable.startBytes(i);
            long end = newTable.endBytes(i);
            newTable.target(i).answersOwed(stillOwed -> scopes.awaitOrReport(start, end, stillOwed));
        }
    }

    /** Puts a table live, null for none. Only while held, or before the first request. */
    public void setTable(TargetTable newTable) {
        if (newTable != null) {
            tellOwed(newTable);
        }
        IOException lost = loss();
        if (lost != null) {
            lossOfFormer = lost;
        }
        table = newTable;
    }

    /** As {@link Target#loss}, of the live table. */
    public IOException loss() {
        TargetTable t = table;
        IOException lost = null;
        for (int i = 0; t != null && lost == null && i < t.count(); i++) {
            lost = t.target(i).loss();
        }
        return lost;
    }

    /** The same of the last table that was replaced after a loss, for who lies on this device since before; null for none. */
    public IOException lossOfFormer() {
        return lossOfFormer;
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

    /**
     * Does {@code request}, on this thread, or has it completed later when it would wait for metadata, together with all others
     * that wait. The device counts those as in flight until they are completed, and a suspend waits for them. Waits here itself
     * while the device is suspended.
     *
     * @return true when it is done, or has a {@link IoRequest#failure}; false when it, or what it was {@linkplain
     *     IoRequest#detach detached} as, is completed later
     * @throws IOException what {@link IoRequest#detach} throws
     */
    public boolean submit(IoRequest request) throws IOException {
        IoRequest detached = request.mustWait(this) ? waiting.detach(request) : null;
        if (detached != null) {
            waiting.submit(detached);
            return false;
        }
        try {
            request.client().begin();
            try {
                int pass = gate.enter();
                try {
                    request.perform(this);
                } finally {
                    gate.exit(pass);
                }
            } finally {
                request.client().end();
            }
        } catch (IOException e) {
            request.fail(e);
        }
        return true;
    }

    @Override
    public void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags)
            throws IOException {
        int pass = gate.enter();
        try {
            perform(operation, offsetBytes, lengthBytes, data, flags);
        } finally {
            gate.exit(pass);
        }
    }

    /** Past the gate. */
    void perform(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags)
            throws IOException {
        TargetTable on =
                operation.isChange() ? checkWritable(offsetBytes, lengthBytes) : check(offsetBytes, lengthBytes);
        on.submit(operation, offsetBytes, lengthBytes, data, flags);
    }

    /** Up to a target border at most; 0 also for a range that can't be read: whoever reads it instead learns why. */
    @Override
    public long sendTo(SocketChannel socket, long offsetBytes, long lengthBytes) {
        try {
            int pass = gate.enter();
            try {
                return check(offsetBytes, lengthBytes).sendTo(socket, offsetBytes, lengthBytes);
            } finally {
                gate.exit(pass);
            }
        } catch (ErrnoException e) {
            // The device is gone, or has another table since the request came, as the read will tell.
            return 0;
        }
    }

    /** A run ends at a target border at the latest. */
    @Override
    public long allocation(long offsetBytes, long lengthBytes) throws IOException {
        int pass = gate.enter();
        try {
            return check(offsetBytes, lengthBytes).allocation(offsetBytes, lengthBytes);
        } finally {
            gate.exit(pass);
        }
    }

    /**
     * As {@link ChangeTracking#lastWritten}, across targets. What is beneath those that track nothing may have been written at
     * any time, and counts as written in the current era, so that no backup leaves it out.
     *
     * @param lineage what {@link #lineage} said when the eras were agreed on; null for whatever record there is
     * @throws ErrnoException EINVAL when the device has gone over to another one since, whose eras are others
     */
    public void lastWritten(long offsetBytes, long lengthBytes, Object lineage, ChangeTracking.EraRuns visitor)
            throws IOException {
        int pass = gate.enter();
        try {
            TargetTable t = check(offsetBytes, lengthBytes);
            if (lineage != null && lineage() != lineage) {
                throw new ErrnoException(
                        "the device counts other eras than those that were agreed on: it has got other metadata, was made"
                                + " smaller, or its era has gone round",
                        Errno.EINVAL);
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

    /** Wrong ranges don't wait. */
    @Override
    public boolean mustWait(long offsetBytes, long lengthBytes) {
        TargetTable t = table;
        if (t == null || readOnly || offsetBytes < 0 || lengthBytes < 0 || offsetBytes > t.sizeBytes() - lengthBytes) {
            return false;
        }
        return t.mustWait(offsetBytes, lengthBytes);
    }

    /**
     * For a device on top of this one, or a write whose data are still to come. The device counts it as in flight until {@code
     * then} is called, so that no target is asked that is suspended or gone. The write itself comes later and passes the gate by
     * itself: should the device have got another table meanwhile, it has what it needs made ready again.
     */
    @Override
    public void prepare(long offsetBytes, long lengthBytes, Target.Prepared then) {
        waiting.prepare(offsetBytes, lengthBytes, then);
    }

    private TargetTable check(long offsetBytes, long lengthBytes) throws ErrnoException {
        TargetTable t = table;
        if (t == null || t.count() == 0) {
            throw new ErrnoException("I/O on a device without a live table", Errno.EIO);
        }
        if (offsetBytes < 0 || lengthBytes < 0 || offsetBytes > t.sizeBytes() - lengthBytes) {
            throw new ErrnoException(
                    "request of " + lengthBytes + " bytes at " + offsetBytes + " on a device of " + t.sizeBytes()
                            + " bytes",
                    Errno.EINVAL);
        }
        return t;
    }

    TargetTable checkWritable(long offsetBytes, long lengthBytes) throws ErrnoException {
        if (readOnly) {
            throw new ErrnoException("write to a read-only device", Errno.EPERM);
        }
        return check(offsetBytes, lengthBytes);
    }
}
