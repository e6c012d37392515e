// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.control.Control;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.junit.jupiter.api.Test;

/** A kernel that does not answer. */
class ImpatientControlTest {
    private final CountDownLatch told = new CountDownLatch(1);
    private final ByteArrayOutputStream text = new ByteArrayOutputStream();
    private final PrintStream err = new PrintStream(text, true, StandardCharsets.US_ASCII) {
        @Override
        public void println(String line) {
            super.println(line);
            told.countDown();
        }
    };

    /** Answers once the user has been told, or when that takes too long. */
    private final Control kernel = new Control() {
        @Override
        public int call(int command, ByteBuffer buffer) throws IOException {
            try {
                return command == DmCommand.TABLE_STATUS.number() && told.await(60, TimeUnit.SECONDS) ? 7 : 0;
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
        }

        @Override
        public String describe() {
            return "a test";
        }

        @Override
        public void close() {}
    };

    @Test
    void isSaidToBeWaitedForAndThenAnswers() throws IOException {
        ImpatientControl control = new ImpatientControl(kernel, err, 1);
        assertEquals(7, control.call(DmCommand.TABLE_STATUS.number(), ByteBuffer.allocate(0)));
        assertTrue(text.toString(StandardCharsets.US_ASCII).contains("still waiting for the kernel"));
    }

    @Test
    void isNotSpokenOfWhileItAnswers() throws IOException {
        ImpatientControl control = new ImpatientControl(kernel, err, 60_000);
        assertEquals(0, control.call(DmCommand.DEV_STATUS.number(), ByteBuffer.allocate(0)));
        assertEquals("", text.toString(StandardCharsets.US_ASCII));
    }
}
