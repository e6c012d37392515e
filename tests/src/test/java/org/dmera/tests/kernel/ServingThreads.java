// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;

/** An engine's threads by which a node is served, directly or not, in the kernel's words (proc_pid_stat(5)). */
public final class ServingThreads {
    /** What PR_SET_IO_FLUSHER sets: PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE. */
    private static final long IO_FLUSHER = 0x80000 | 0x100000;

    private static final List<String> NAMES =
            List.of("fuse-", "keeper of", "era", "background", "nbd", "kernel-", "ublk");

    private ServingThreads() {}

    /** How many there are in these lines of {@code stat}; each must have both flags. */
    public static int requireIoFlushers(List<String> lines) {
        int serving = 0;
        for (String line : lines) {
            String name = line.substring(line.indexOf('(') + 1, line.lastIndexOf(')'));
            if (NAMES.stream().anyMatch(name::startsWith)) {
                // The ninth field, of which the name is the second.
                long flags =
                        Long.parseLong(line.substring(line.lastIndexOf(')') + 2).split(" ", -1)[6]);
                assertEquals(IO_FLUSHER, flags & IO_FLUSHER, line);
                serving++;
            }
        }
        return serving;
    }
}
