// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;

/**
 * What a client wants of a device: the kernel's bio. Whoever serves the client fills it in and gives it to
 * {@link DeviceIo#submit}, again and again, so that one that is done at once makes no object.
 *
 * <p>A change of blocks that are not marked would wait there for metadata. So {@link #detach} is asked first for a request
 * that may be completed later, with data that stay as they are, while the client's next one is served. Of that one {@link
 * #ready}, {@link #complete} and {@link #answer} are called, once each, in this order, on any thread.
 */
public class IoRequest {
    private final Client client;
    private final AnswerScope answers;
    private Operation operation;
    private long offsetBytes;
    private long lengthBytes;
    private int flags;
    private ByteBuffer data;
    private IOException failure;

    /** Requests of {@code client}, which does not get them done once it has left; {@code answers} owes what they change. */
    public IoRequest(Client client, AnswerScope answers) {
        this.client = client;
        this.answers = answers;
    }

    /** Begins anew, with a read into {@code data} or a write from there; {@code flags} is 0 or {@link Target#FUA}. */
    public final IoRequest set(Operation newOperation, long newOffsetBytes, ByteBuffer newData, int newFlags) {
        set(newOperation, newOffsetBytes, newData.remaining(), newFlags);
        data = newData;
        return this;
    }

    /** Begins anew, without data; {@code flags} as in {@link org.dmera.dmsetup.targets.BlockIo#submit}. A flush is of no range. */
    public final IoRequest set(Operation newOperation, long newOffsetBytes, long newLengthBytes, int newFlags) {
        operation = newOperation;
        offsetBytes = newOffsetBytes;
        lengthBytes = newLengthBytes;
        flags = newFlags;
        data = null;
        failure = null;
        return this;
    }

    /** The same as {@code request}, but with {@code newData}, null for none. */
    protected final void setAs(IoRequest request, ByteBuffer newData) {
        set(request.operation, request.offsetBytes, request.lengthBytes, request.flags);
        data = newData;
    }

    /** What is read or written, or null. */
    public final ByteBuffer data() {
        return data;
    }

    /** Where it is owed what it changes. */
    protected final AnswerScope answers() {
        return answers;
    }

    /** Why it failed, or null when it went well. */
    public final IOException failure() {
        return failure;
    }

    /** 0, or the errno of its failure, which is EIO where none is known. */
    public final int errno() {
        return failure == null ? 0 : failure instanceof ErrnoException e ? e.errno() : Errno.EIO.number();
    }

    /** How much is read, written, discarded or zeroed. */
    public final long lengthBytes() {
        return lengthBytes;
    }

    final void fail(IOException why) {
        failure = why;
    }

    final Client client() {
        return client;
    }

    /** Whether it would wait for metadata now. */
    final boolean mustWait(DeviceIo io) {
        return operation.isChange() && io.mustWait(offsetBytes, lengthBytes);
    }

    /** Has {@code io} make the metadata ready for it, past the gate. */
    final void prepare(DeviceIo io, Target.Prepared then) throws ErrnoException {
        io.checkWritable(offsetBytes, lengthBytes).prepare(offsetBytes, lengthBytes, then);
    }

    /** Has {@code io} do it, past the gate: what waits for a resume has done nothing yet, and owes nothing. */
    final void perform(DeviceIo io) throws IOException {
        if (operation.isChange()) {
            answers.owe(offsetBytes, lengthBytes);
        }
        io.perform(operation, offsetBytes, lengthBytes, data, flags);
    }

    /**
     * What is to be completed later in its stead, which may be itself; or null, and this request waits.
     *
     * @throws IOException when the client can't be served any more
     */
    protected IoRequest detach() throws IOException {
        return null;
    }

    /** {@link #complete} will come soon: so that answers can be collected while more are about to come. */
    protected void ready() {}

    /** It is done, or has failed. The device still counts it as in flight: must not wait for the client. */
    protected void complete() {}

    /** To tell the client. The device no longer counts it as in flight, so this may take as long as it likes. */
    protected void answer() {}
}
