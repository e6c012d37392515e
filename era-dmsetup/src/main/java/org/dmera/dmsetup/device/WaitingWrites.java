// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicBoolean;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.Target;

/**
 * The writes of one device that wait for metadata while whoever sent them goes on. Each has passed the gate, and leaves it when
 * it is done, so that a suspend waits for it; all that wait share one commit.
 */
final class WaitingWrites {
    private final DeviceIo io;
    private final IoGate gate;
    private final BackgroundTasks background;
    private final Inside inside = new Inside();

    /** Writes through {@code io}, past its {@code gate}. */
    WaitingWrites(DeviceIo io, IoGate gate, BackgroundTasks background) {
        this.io = io;
        this.gate = gate;
        this.background = background;
    }

    /** As {@link DeviceIo#submit}. */
    void submit(long offsetBytes, long lengthBytes, DeviceIo.BackgroundWrite write) {
        int pass;
        try {
            pass = gate.enter();
        } catch (ErrnoException e) {
            fail(write, e);
            return;
        }
        Submitted submitted = null;
        IOException failed = null;
        try {
            TargetTable t = io.checkWritable(offsetBytes, lengthBytes);
            background.reserve();
            submitted = new Submitted(write, pass);
            t.prepare(offsetBytes, lengthBytes, submitted);
        } catch (IOException e) {
            failed = e;
        } catch (RuntimeException | Error e) {
            failed = internal(e);
        }
        if (failed != null && (submitted == null || submitted.begin())) {
            if (submitted != null) {
                background.cancel();
            }
            gate.exit(pass);
            fail(write, failed);
        }
    }

    /** As {@link DeviceIo#prepare}. */
    void prepare(long offsetBytes, long lengthBytes, Target.Prepared then) {
        int pass;
        try {
            pass = gate.enter();
        } catch (ErrnoException e) {
            then.prepared(e);
            return;
        }
        AtomicBoolean over = new AtomicBoolean();
        Target.Prepared leaving = failure -> {
            if (over.compareAndSet(false, true)) {
                gate.exit(pass);
                then.prepared(failure);
            }
        };
        try {
            io.checkWritable(offsetBytes, lengthBytes).prepare(offsetBytes, lengthBytes, leaving);
        } catch (IOException e) {
            leaving.prepared(e);
        } catch (RuntimeException | Error e) {
            leaving.prepared(internal(e));
        }
    }

    private static void fail(DeviceIo.BackgroundWrite write, IOException why) {
        write.ready();
        write.run(null, why);
        write.answer();
    }

    /** An error in this program, or memory that is not to be had, is the failure of one write, too. */
    private static IOException internal(Throwable why) {
        return new IOException("internal error: " + why, why);
    }

    /** A write on its way through the background; it is begun once, and leaves the gate whatever happens. */
    private final class Submitted extends BackgroundTasks.Task implements Target.Prepared {
        private final DeviceIo.BackgroundWrite write;
        private final int pass;
        private final AtomicBoolean begun = new AtomicBoolean();
        private IOException failure;

        Submitted(DeviceIo.BackgroundWrite write, int pass) {
            this.write = write;
            this.pass = pass;
        }

        boolean begin() {
            return begun.compareAndSet(false, true);
        }

        @Override
        public void prepared(IOException why) {
            if (begin()) {
                failure = why;
                write.ready();
                background.execute(this);
            }
        }

        @Override
        void run() {
            try {
                write.run(inside, failure);
            } finally {
                gate.exit(pass);
            }
        }

        @Override
        void answer() {
            write.answer();
        }
    }

    /** The device past its gate. */
    private final class Inside implements DeviceIo.Inside {
        @Override
        public void write(long offsetBytes, ByteBuffer src, int flags) throws IOException {
            try {
                io.checkWritable(offsetBytes, src.remaining()).write(offsetBytes, src, flags);
            } catch (RuntimeException | Error e) {
                throw internal(e);
            }
        }

        @Override
        public void discard(long offsetBytes, long lengthBytes, int flags) throws IOException {
            try {
                io.checkWritable(offsetBytes, lengthBytes).discard(offsetBytes, lengthBytes, flags);
            } catch (RuntimeException | Error e) {
                throw internal(e);
            }
        }

        @Override
        public void writeZeroes(long offsetBytes, long lengthBytes, int flags) throws IOException {
            try {
                io.checkWritable(offsetBytes, lengthBytes).writeZeroes(offsetBytes, lengthBytes, flags);
            } catch (RuntimeException | Error e) {
                throw internal(e);
            }
        }
    }
}
