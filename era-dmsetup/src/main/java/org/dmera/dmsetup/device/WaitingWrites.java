// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Target;

/**
 * The writes of one device that wait for metadata while whoever sent them goes on. Each has passed the gate, and leaves it when
 * it is done, so that a suspend waits for it; all that wait share one commit.
 */
record WaitingWrites(DeviceIo io, IoGate gate, BackgroundTasks background) {
    /**
     * What {@code request} is completed as later; {@link #submit} follows. Null when whoever sent it waits itself, for want of a
     * thread for one.
     */
    IoRequest detach(IoRequest request) throws IOException {
        IoRequest detached = null;
        if (background.reserve()) {
            try {
                detached = request.detach();
            } finally {
                if (detached == null) {
                    background.cancel();
                }
            }
        }
        return detached;
    }

    /** As {@link DeviceIo#submit}. */
    void submit(IoRequest request) {
        IOException failed;
        try {
            request.client().begin();
            try {
                failed = begin(request);
            } finally {
                request.client().end();
            }
        } catch (ErrnoException | RuntimeException | Error e) {
            // Whoever has detached it waits for its answer.
            failed = Failures.ofIo(e);
        }
        if (failed != null) {
            background.cancel();
            request.fail(failed);
            request.ready();
            request.complete();
            request.answer();
        }
    }

    /** Has the metadata made ready; null when it goes on, or why it fails. */
    private IOException begin(IoRequest request) throws ErrnoException {
        int pass = gate.enter();
        WaitingRequest submitted = null;
        IOException failed = null;
        try {
            submitted = new WaitingRequest(request, pass);
            request.prepare(io, submitted);
        } catch (IOException | RuntimeException | Error e) {
            failed = Failures.ofIo(e);
        }
        if (failed == null || submitted != null && !submitted.begin()) {
            return null;
        }
        gate.exit(pass);
        return failed;
    }

    /** As {@link DeviceIo#prepare}. */
    void prepare(long offsetBytes, long lengthBytes, Target.Prepared then) {
        // Made before the gate is passed: nothing may fail between that and whoever leaves it again.
        Leaving leaving = new Leaving(then);
        try {
            leaving.pass = gate.enter();
        } catch (ErrnoException e) {
            then.prepared(e);
            return;
        }
        try {
            io.checkWritable(offsetBytes, lengthBytes).prepare(offsetBytes, lengthBytes, leaving);
        } catch (IOException | RuntimeException | Error e) {
            leaving.prepared(Failures.ofIo(e));
        }
    }

    /** Leaves the gate, once, and passes on why. */
    private final class Leaving implements Target.Prepared {
        private final Target.Prepared then;
        private final AtomicBoolean over = new AtomicBoolean();
        private int pass;

        Leaving(Target.Prepared then) {
            this.then = then;
        }

        @Override
        public void prepared(IOException failure) {
            if (over.compareAndSet(false, true)) {
                gate.exit(pass);
                then.prepared(failure);
            }
        }
    }

    /** A request on its way through the background; it is begun once, and leaves the gate whatever happens. */
    private final class WaitingRequest extends BackgroundTasks.Task implements Target.Prepared {
        private final IoRequest request;
        private final int pass;
        private final AtomicBoolean begun = new AtomicBoolean();

        WaitingRequest(IoRequest request, int pass) {
            this.request = request;
            this.pass = pass;
        }

        boolean begin() {
            return begun.compareAndSet(false, true);
        }

        @Override
        public void prepared(IOException why) {
            if (begin()) {
                request.fail(why);
                request.ready();
                background.execute(this);
            }
        }

        @Override
        void run() {
            try {
                if (request.failure() == null) {
                    perform(request);
                }
                request.complete();
            } finally {
                gate.exit(pass);
            }
        }

        @Override
        void answer() {
            request.answer();
        }
    }

    private void perform(IoRequest request) {
        try {
            request.client().begin();
            try {
                request.perform(io);
            } finally {
                request.client().end();
            }
        } catch (IOException | RuntimeException | Error e) {
            // An error in this program, or memory that is not to be had, is the failure of one write, too.
            request.fail(Failures.ofIo(e));
        }
    }
}
