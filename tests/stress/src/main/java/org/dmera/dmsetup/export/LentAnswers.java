// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.concurrent.Executor;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.Client;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/**
 * A connection's answers while its thread is at the device: another thread may send what is there, once, and is waited for
 * before the memory is used again, by the connection or, when that is closed, by another one.
 */
public class LentAnswers {
    private static final BufferPool POOL = new BufferPool(64L << 20);
    private static final AnswerWatch WATCH = new AnswerWatch();
    private static final Executor NONE = task -> {
        throw new IllegalStateException();
    };
    private static final int SIMPLE_BYTES = 16;
    /** Room for some answers: there are thousands of connections at a time. */
    private static final int OUT_BYTES = 4096;

    private LentAnswers() {}

    /** A client, which looks at each answer that it gets: the next cookie is expected, and nothing else. */
    private static final class Reading implements WritableByteChannel {
        private int answers;
        private boolean damaged;

        @Override
        public int write(ByteBuffer src) {
            int bytes = src.remaining();
            while (src.remaining() >= SIMPLE_BYTES) {
                damaged |= src.getInt() != Nbd.SIMPLE_REPLY_MAGIC;
                damaged |= src.getInt() != 0;
                Thread.onSpinWait();
                damaged |= src.getLong() != ++answers;
            }
            damaged |= src.hasRemaining();
            src.position(src.limit());
            return bytes;
        }

        @Override
        public boolean isOpen() {
            return true;
        }

        @Override
        public void close() {}
    }

    /** A connection with one buffer for answers. */
    public static class Connection {
        private final Reading client = new Reading();
        private final DeviceIo io = new DeviceIo(NONE);
        private final AnswerScope scope = io.openScope(4);
        private final ByteBuffer out = POOL.take(OUT_BYTES);
        private final ReplyForm form = ReplyForm.SIMPLE;
        private final BackgroundWrites background =
                new BackgroundWrites(io, client, null, form, WATCH, new Client(() -> false));
        private final AnswerBuffer answers = new AnswerBuffer(form, background, client, scope, POOL, WATCH, out);

        void lendOnce() {
            done(1);
            answers.lend();
            answers.reclaim();
        }

        void sendTheRest() {
            done(2);
            try {
                answers.flush();
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        }

        private void done(long cookie) {
            try {
                answers.done(cookie, 0);
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        }

        /** Closes it; the next connection that gets the memory writes there. */
        void close() {
            answers.close();
            background.close();
            for (int i = 0; i < 2 * SIMPLE_BYTES; i++) {
                out.put(i, (byte) 0xee);
            }
        }

        void sendHeld() {
            answers.sendHeld();
        }

        int received() {
            return client.answers;
        }

        int isDamaged() {
            return client.damaged ? 1 : 0;
        }
    }

    /** Each answer is sent once, in its turn. */
    @JCStressTest
    @State
    @Outcome(id = "2, 0", expect = ACCEPTABLE, desc = "Both answers, each once.")
    @Outcome(expect = FORBIDDEN, desc = "An answer is lost, doubled, or damaged.")
    public static class Sent extends Connection {
        @Actor
        public void connection() {
            lendOnce();
            sendTheRest();
        }

        @Actor
        public void watch() {
            sendHeld();
        }

        @Arbiter
        public void end(II_Result r) {
            r.r1 = received();
            r.r2 = isDamaged();
            close();
        }
    }

    /** The connection is closed while another thread may be sending. */
    @JCStressTest
    @State
    @Outcome(id = "[01], 0", expect = ACCEPTABLE, desc = "The answer that was held, or none.")
    @Outcome(expect = FORBIDDEN, desc = "What another connection wrote to the memory was sent.")
    public static class Closed extends Connection {
        @Actor
        public void connection() {
            lendOnce();
            close();
        }

        @Actor
        public void watch() {
            sendHeld();
        }

        @Arbiter
        public void end(II_Result r) {
            r.r1 = received();
            r.r2 = isDamaged();
        }
    }
}
