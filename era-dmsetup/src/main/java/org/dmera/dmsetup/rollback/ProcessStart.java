// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * When a process began, in clock ticks since the system did (source: proc(5), field 22 of /proc/PID/stat). Unlike a time of
 * day, which is reckoned from the clock, it stays the same when the clock is set.
 */
final class ProcessStart {
    /** Behind the command's name, which may hold anything: the state is field 3. */
    private static final int STATE = 0;

    private static final int START_TIME = 19;

    private ProcessStart() {}

    /** {@return the ticks; −1 when there is no such process, or it has ended and nobody has asked for its exit code yet} */
    static long ticks(long pid) throws IOException {
        String stat;
        try {
            stat = Files.readString(Path.of("/proc/" + pid + "/stat"), StandardCharsets.ISO_8859_1);
        } catch (NoSuchFileException e) {
            return -1;
        } catch (IOException e) {
            // It ended between the opening and the reading: ESRCH.
            if (!Files.exists(Path.of("/proc/" + pid))) {
                return -1;
            }
            throw e;
        }
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
        return fields[STATE].equals("Z") || fields[STATE].equals("X") ? -1 : Long.parseLong(fields[START_TIME]);
    }
}
