// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.control.Control;
import org.dmera.dmsetup.ioctl.DmCommand;

/**
 * The kernel's channel, with a word to the user when a call does not come back: status and messages of a suspended device
 * hang there until it is resumed, and nothing else would say why.
 */
final class ImpatientControl implements Control {
    private static final long PATIENCE_MILLIS = 2000;

    private final Control control;
    private final PrintStream err;
    private final long patienceMillis;

    ImpatientControl(Control control, PrintStream err) {
        this(control, err, PATIENCE_MILLIS);
    }

    ImpatientControl(Control control, PrintStream err, long patienceMillis) {
        this.control = control;
        this.err = err;
        this.patienceMillis = patienceMillis;
    }

    @Override
    public int call(int command, ByteBuffer buffer) throws IOException {
        if (command == DmCommand.DEV_WAIT.number()) {
            // To wait is what was asked for.
            return control.call(command, buffer);
        }
        CountDownLatch answered = new CountDownLatch(1);
        Thread watcher = new Thread(() -> watch(answered), "patience");
        watcher.setDaemon(true);
        watcher.start();
        try {
            return control.call(command, buffer);
        } finally {
            answered.countDown();
        }
    }

    private void watch(CountDownLatch answered) {
        try {
            if (!answered.await(patienceMillis, TimeUnit.MILLISECONDS)) {
                err.println("era-dmsetup: still waiting for the kernel. Status and messages of a suspended device wait"
                        + " until it is resumed.");
                err.flush();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public String describe() {
        return control.describe();
    }

    @Override
    public boolean isKernel() {
        return control.isKernel();
    }

    @Override
    public void close() throws IOException {
        control.close();
    }
}
