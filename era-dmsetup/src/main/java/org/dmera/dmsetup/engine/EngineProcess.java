// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.ProcessSettings;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.targets.Threads;

/**
 * An engine in a process of its own, until a signal ends it.
 *
 * <p>The first SIGTERM or SIGINT, or any other signal by which a process ends, suspends every device and exits. A second one
 * within five seconds exits at once: nothing that was acknowledged is lost by that, because an engine must survive even
 * kill -9; but the eras that a clean suspend would have archived stay open until the next start. SIGHUP, which a terminal
 * sends when it is closed, and a rotation of logs, begins a new log file.
 */
public final class EngineProcess {
    private static final long IMPATIENCE_NANOS = TimeUnit.SECONDS.toNanos(5);
    private static final int KILLED_BY_TERM = 128 + 15;
    private static final long NEVER = Long.MIN_VALUE;

    private EngineProcess() {}

    /** Runs an engine; returns the exit code, when it has stopped. */
    public static int run(EngineOptions options, EngineLog log) throws IOException {
        serveBlockDevices(log::debug);
        CountDownLatch stop = new CountDownLatch(1);
        AtomicLong last = new AtomicLong(NEVER);
        Runnable onSignal = () -> {
            long now = System.nanoTime();
            long before = last.getAndSet(now);
            if (before != NEVER && now - before < IMPATIENCE_NANOS) {
                log.warn("a second signal: exits at once");
                Runtime.getRuntime().halt(KILLED_BY_TERM);
            }
            stop.countDown();
        };
        Signals.ENDING.forEach(name -> Signals.handle(name, onSignal));
        LogFile logFile = LogFile.ofStandardError();
        Signals.handle("HUP", () -> logFile.reopen(log));
        ProcessSettings.ignoreRealtimeSignals();
        Engine engine = new Engine(options, log);
        ServiceManager manager = new ServiceManager(log);
        manager.ready();
        Threads.await(stop::await);
        manager.stopping();
        engine.close();
        return 0;
    }

    /** Whether the service manager hands sockets over to this process. */
    public static boolean isHandedSockets(Map<String, String> environment) {
        return PassedSockets.count(environment) > 0;
    }

    /**
     * Has this process serve nodes in /dev as it must, and fast. Before any native call, and any thread that may serve one;
     * {@code log} gets a line without the right to it, when there are no nodes either.
     */
    public static void serveBlockDevices(Consumer<String> log) {
        // The launcher turns this off for a fast start of short commands; an attached device makes a native call for
        // each request, and reflection would cost as much as the request itself.
        System.setProperty("jnr.ffi.asm.enabled", "true");
        try {
            ProcessSettings.setIoFlusher();
        } catch (ErrnoException e) {
            log.accept(e.getMessage());
        }
    }
}
