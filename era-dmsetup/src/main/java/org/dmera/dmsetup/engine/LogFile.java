// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.TrustedFolder;
import org.dmera.dmsetup.device.EngineLog;

/**
 * The file that the log goes to, when standard error is one. The descriptor itself is replaced, so whatever the virtual
 * machine has to say goes to the new file too.
 *
 * @param path null when the log goes to something else, such as a terminal or the journal
 * @param both whether standard output goes there as well
 */
record LogFile(Path path, boolean both) {
    private static final int STANDARD_OUTPUT = 1;
    private static final int STANDARD_ERROR = 2;
    private static final int MODE = 0600;

    /** What standard error is now: later its name may be another's. */
    static LogFile ofStandardError() throws IOException {
        Path error = opened(STANDARD_ERROR);
        return new LogFile(error, error != null && error.equals(opened(STANDARD_OUTPUT)));
    }

    private static Path opened(int descriptor) throws IOException {
        Path link = Path.of("/proc/self/fd", Integer.toString(descriptor));
        // One that is closed has no link.
        return Files.isRegularFile(link) ? Files.readSymbolicLink(link) : null;
    }

    /** Goes on in a new file of the same name, after somebody has moved the old one away; in the old one when that fails. */
    void reopen(EngineLog log) {
        if (path == null) {
            log.info("SIGHUP: the log goes to no file, so there is none to open again");
            return;
        }
        try {
            // Else others could have it lead elsewhere.
            TrustedFolder.require(path.getParent());
            if (Files.exists(path, LinkOption.NOFOLLOW_LINKS)
                    && !Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
                throw new IOException(path + " is no regular file");
            }
            int fresh = FileDescriptors.append(path.toString(), MODE);
            FileDescriptors.replace(STANDARD_ERROR, fresh);
            if (both) {
                FileDescriptors.replace(STANDARD_OUTPUT, fresh);
            }
            FileDescriptors.close(fresh);
            log.info("the log was opened again (SIGHUP)");
        } catch (IOException e) {
            log.error("the log goes on in the old file: " + e.getMessage());
        }
    }
}
