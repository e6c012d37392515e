// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.IOException;
import java.nio.channels.ServerSocketChannel;

/** What prctl(2) and signal(2) set for a thread, or for the process. */
public final class ProcessSettings {
    private static final int PR_SET_IO_FLUSHER = 57;
    private static final long SIG_IGN = 1;
    /** The first two are the C library's own, and not to be had. */
    private static final int FIRST_REALTIME = 34;

    private static final int LAST_REALTIME = 64;
    /**
     * By this one the virtual machine wakes a thread whose channel is closed while it waits in accept(2) or read(2); were it
     * ignored, that thread would wait for ever, and whoever joins it. Its handler does nothing, so it ends nothing either.
     */
    private static final int WAKES_CHANNELS = LAST_REALTIME - 2;

    private ProcessSettings() {}

    /**
     * Has the kernel take memory for the calling thread, and for each that it starts from now on, without writing dirty pages
     * out for that (PR_SET_IO_FLUSHER). Who serves a block device must not wait for what it serves.
     *
     * @throws ErrnoException EPERM without CAP_SYS_RESOURCE, EINVAL before Linux 5.6
     */
    public static void setIoFlusher() throws ErrnoException {
        if (Libc.CALLS.prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0) {
            throw new ErrnoException("PR_SET_IO_FLUSHER", Libc.errno());
        }
    }

    /** Has the C library give back to the system what it keeps of freed memory. One that has no such call keeps it. */
    public static void returnFreeMemory() {
        try {
            Libc.CALLS.malloc_trim(0);
        } catch (UnsatisfiedLinkError e) {
            // It is glibc's: others give freed memory back by themselves, or not at all.
            return;
        }
    }

    /**
     * Has the process ignore the real-time signals, each of which would end it, but for the one that the virtual machine
     * handles itself. It has no names for them.
     */
    public static void ignoreRealtimeSignals() throws IOException {
        // The first channel of a process installs that handler.
        ServerSocketChannel.open().close();
        for (int signal = FIRST_REALTIME; signal <= LAST_REALTIME; signal++) {
            if (signal != WAKES_CHANNELS) {
                Libc.CALLS.signal(signal, SIG_IGN);
            }
        }
    }
}
