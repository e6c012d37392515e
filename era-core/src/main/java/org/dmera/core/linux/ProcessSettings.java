// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

/** What prctl(2) and signal(2) set for a thread, or for the process. */
public final class ProcessSettings {
    private static final int PR_SET_IO_FLUSHER = 57;
    private static final long SIG_IGN = 1;
    /** The first two are the C library's own, and not to be had. */
    private static final int FIRST_REALTIME = 34;

    private static final int LAST_REALTIME = 64;

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

    /** Has the process ignore the real-time signals, each of which would end it. The virtual machine has no names for them. */
    public static void ignoreRealtimeSignals() {
        for (int signal = FIRST_REALTIME; signal <= LAST_REALTIME; signal++) {
            Libc.CALLS.signal(signal, SIG_IGN);
        }
    }
}
