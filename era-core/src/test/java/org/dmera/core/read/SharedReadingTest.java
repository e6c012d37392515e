// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.EOFException;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/** What ends one of several threads that read is told as what it is. */
class SharedReadingTest {
    private static final class Failing extends SharedReading {
        private final Throwable failure;
        private final Thread caller = Thread.currentThread();
        private final boolean onCaller;

        Failing(Throwable failure, boolean onCaller) {
            super("the device");
            this.failure = failure;
            this.onCaller = onCaller;
        }

        @Override
        protected void read() throws IOException {
            if (Thread.currentThread().equals(caller) != onCaller) {
                return;
            }
            if (failure instanceof IOException e) {
                throw e;
            }
            throw (Error) failure;
        }

        void share() throws IOException {
            share(2, task -> new Thread(task).start());
        }
    }

    @Test
    void wantOfMemoryAndErrorsOfTheDeviceComeThroughFromWhicheverThread() {
        for (boolean onCaller : new boolean[] {true, false}) {
            Error memory = new OutOfMemoryError("none left");
            assertSame(memory, assertThrows(Error.class, () -> new Failing(memory, onCaller).share()));
            IOException device = new EOFException("cut");
            assertSame(device, assertThrows(IOException.class, () -> new Failing(device, onCaller).share()));
        }
    }
}
