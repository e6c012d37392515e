// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.io.Closeable;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.dmera.core.linux.ProcessSettings;
import org.dmera.dmsetup.targets.Threads;

/**
 * Gives memory back to the system when the process has had nothing to do for a while after it had a lot.
 *
 * <p>Under load the heap grows, blocks of metadata and buffers are kept for the next request, and the C library keeps what
 * the compiler has freed. All of it is given back by somebody's next request for memory, which an idle process never makes; so
 * it would stay that large for good. Whether there is something to do is seen by the processor time of the process, which
 * costs the way of a request nothing.
 */
public final class IdleMemory implements Closeable {
    /** Between two looks. */
    static final long LOOK_NANOS = TimeUnit.SECONDS.toNanos(10);
    /** With less than this between two looks the process is idle: what a few requests and the engine's own watches take. */
    static final long IDLE_NANOS = LOOK_NANOS / 50;
    /** After so many looks without a break: threads that wait for more work for a minute have ended, and their stacks are free. */
    static final int IDLE_LOOKS = 7;
    /** So much must have been done since the last time: a collection of the whole heap takes a part of a second. */
    static final long WORTH_NANOS = TimeUnit.SECONDS.toNanos(2);

    /** In percent of the heap, the least and the most that is to be free after the collection of an idle process. */
    private static final String[] IDLE_FREE_PERCENT = {"5", "10"};

    private static final List<String> FREE_PERCENT = List.of("MinHeapFreeRatio", "MaxHeapFreeRatio");

    private final Runnable collect;
    private final Runnable trim;
    private final Thread thread;
    private boolean closed;
    /** The heap has been collected, and what that has freed outside of it is to be given back. */
    private boolean collected;

    private long cpuNanos;
    private long releasedCpuNanos;
    private int idleLooks;

    /**
     * Begins to look, for the process whose buffers are {@code served}'s; all others let go by {@code release} of what they
     * can have again.
     */
    public IdleMemory(Served served, Runnable release) {
        this(
                () -> {
                    release.run();
                    collect(served);
                },
                ProcessSettings::returnFreeMemory);
        thread.setDaemon(true);
        thread.start();
    }

    /** One that does these two, a look apart, and looks only when it is told to. */
    IdleMemory(Runnable collect, Runnable trim) {
        this.collect = collect;
        this.trim = trim;
        this.thread = new Thread(this::watch, "idle-memory");
    }

    /** Direct buffers are freed some time after they are collected; and the heap shrinks only when it is collected. */
    static void collect(Served served) {
        served.releaseIdle();
        HotSpotDiagnosticMXBean machine = ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
        if (machine == null) {
            System.gc();
            return;
        }
        // Under load the heap has more room, so that it is collected less often.
        List<String> before = FREE_PERCENT.stream()
                .map(option -> machine.getVMOption(option).getValue())
                .toList();
        for (int i = 0; i < IDLE_FREE_PERCENT.length; i++) {
            machine.setVMOption(FREE_PERCENT.get(i), IDLE_FREE_PERCENT[i]);
        }
        try {
            System.gc();
        } finally {
            // The most first: it may never be below the least.
            for (int i = IDLE_FREE_PERCENT.length - 1; i >= 0; i--) {
                machine.setVMOption(FREE_PERCENT.get(i), before.get(i));
            }
        }
    }

    private void watch() {
        long next = System.nanoTime() + LOOK_NANOS;
        while (awaitOrClosed(next)) {
            look(processNanos());
            next = System.nanoTime() + LOOK_NANOS;
        }
    }

    private synchronized boolean awaitOrClosed(long time) {
        Threads.awaitWhile(this, time - System.nanoTime(), () -> !closed);
        return !closed && !Thread.currentThread().isInterrupted();
    }

    private static long processNanos() {
        return ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class)
                .getProcessCpuTime();
    }

    /** A look, when the process has taken so much processor time; gives memory back if it is time for that. */
    void look(long nowCpuNanos) {
        boolean idle = nowCpuNanos - cpuNanos < IDLE_NANOS;
        cpuNanos = nowCpuNanos;
        idleLooks = idle ? idleLooks + 1 : 0;
        if (collected) {
            collected = false;
            trim.run();
        } else if (idleLooks >= IDLE_LOOKS && nowCpuNanos - releasedCpuNanos >= WORTH_NANOS) {
            collect.run();
            collected = true;
            releasedCpuNanos = nowCpuNanos;
        }
    }

    /** Looks no more. */
    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            notifyAll();
        }
    }
}
