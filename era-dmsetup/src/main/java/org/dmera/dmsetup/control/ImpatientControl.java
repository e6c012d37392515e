// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.targets.Threads;

/**
 * The kernel's channel, for people: it says what it waits for, and can be interrupted in what would else hang.
 *
 * <p>The kernel's era target answers status and messages by its worker, which does nothing while the device is suspended. Who
 * asks then sits in a wait that no signal ends, with the table held, so that not even another table can take its place. So
 * the kernel is not asked before the device is resumed: until then we wait here, where Ctrl-C ends it as any program, and
 * not for ever where nobody is there to press that. A
 * device that is suspended between the look and the question still hangs, and so may other targets.
 */
public final class ImpatientControl implements Control {
    private static final long PATIENCE_MILLIS = 2000;
    private static final long LOOKS_EVERY_MILLIS = 50;

    private final Control control;
    private final Consumer<String> user;
    private final long patienceMillis;
    private final Duration longest;

    /**
     * Over the kernel's channel, which it closes.
     *
     * @param user gets a line when a call does not come back
     * @param longest for which a suspended device is waited for: a program that nobody watches is not to hang
     */
    public ImpatientControl(Control control, Consumer<String> user, Duration longest) {
        this(control, user, PATIENCE_MILLIS, longest);
    }

    ImpatientControl(Control control, Consumer<String> user, long patienceMillis, Duration longest) {
        this.control = control;
        this.user = user;
        this.patienceMillis = patienceMillis;
        this.longest = longest;
    }

    @Override
    public int call(int command, ByteBuffer buffer) throws IOException {
        if (command == DmCommand.DEV_WAIT.number()) {
            // To wait is what was asked for.
            return control.call(command, buffer);
        }
        if (isAnsweredByWorker(command, buffer)) {
            awaitResumption(DeviceId.of(DmIoctl.over(buffer)));
        }
        CountDownLatch answered = new CountDownLatch(1);
        Threads.start("patience", () -> watch(answered));
        try {
            return control.call(command, buffer);
        } finally {
            answered.countDown();
        }
    }

    /** Of the live table; that of an inactive one is at work. */
    private static boolean isAnsweredByWorker(int command, ByteBuffer buffer) {
        return command == DmCommand.TARGET_MSG.number()
                || command == DmCommand.TABLE_STATUS.number()
                        && !DmIoctl.over(buffer).has(DmFlags.STATUS_TABLE | DmFlags.QUERY_INACTIVE_TABLE);
    }

    private void awaitResumption(DeviceId device) throws IOException {
        long begin = System.nanoTime();
        boolean told = false;
        while (isSuspendedEra(device)) {
            long waited = System.nanoTime() - begin;
            if (waited >= longest.toNanos()) {
                throw new IOException(device.describe().trim() + " has been suspended for " + longest.toSeconds()
                        + " s, and the kernel's era target answers nothing until it is resumed");
            }
            if (!told && waited >= TimeUnit.MILLISECONDS.toNanos(patienceMillis)) {
                user.accept("waiting for the device to be resumed: the kernel's era target answers neither status nor"
                        + " messages while it is suspended.");
                told = true;
            }
            try {
                Thread.sleep(LOOKS_EVERY_MILLIS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted while the device was suspended", e);
            }
        }
    }

    private boolean isSuspendedEra(DeviceId device) throws IOException {
        try {
            DmClient client = new DmClient(control);
            return client.info(device).has(DmFlags.SUSPEND | DmFlags.INTERNAL_SUSPEND)
                    && client.table(device).stream()
                            .anyMatch(line -> line.type().equals("era"));
        } catch (DmException e) {
            // That there is no such device, or no right to ask, is the answer to the question itself.
            return false;
        }
    }

    private void watch(CountDownLatch answered) {
        try {
            if (!answered.await(patienceMillis, TimeUnit.MILLISECONDS)) {
                user.accept("still waiting for the kernel. Status and messages of a suspended device wait until it is"
                        + " resumed.");
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
