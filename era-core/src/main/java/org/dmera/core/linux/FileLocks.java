// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.StringTokenizer;

/**
 * Who holds a flock(2) lock, from /proc/locks (proc_locks(5)). Java's own locks are fcntl(2)'s, which don't see these, and
 * flock(2) itself would cost a tool the start of jnr-ffi. No regular expressions here for the same reason.
 */
public final class FileLocks {
    private static final Path LOCKS = Path.of("/proc/locks");

    private FileLocks() {}

    /** Whether another process holds the file's exclusive flock(2) lock; false where there is no /proc/locks. */
    public static boolean heldElsewhere(Path file) throws IOException {
        return Files.isReadable(LOCKS)
                && heldElsewhere(file, new String(Files.readAllBytes(LOCKS), StandardCharsets.ISO_8859_1));
    }

    /** {@code locks}: all that there are, as /proc/locks has them. */
    static boolean heldElsewhere(Path file, String locks) throws IOException {
        long device = (long) Files.getAttribute(file, "unix:dev");
        long inode = (long) Files.getAttribute(file, "unix:ino");
        long self = Long.parseLong(Files.readSymbolicLink(Path.of("/proc/self")).toString());
        StringTokenizer lines = new StringTokenizer(locks, "\n");
        while (lines.hasMoreTokens()) {
            // 4: FLOCK  ADVISORY  WRITE 7876 fe:00:5308419 0 EOF; one who waits has "->" before FLOCK
            StringTokenizer words = new StringTokenizer(lines.nextToken(), " :");
            if (words.countTokens() < 8) {
                continue;
            }
            words.nextToken();
            boolean flock = words.nextToken().equals("FLOCK");
            words.nextToken();
            boolean exclusive = words.nextToken().equals("WRITE");
            if (!flock || !exclusive) {
                continue;
            }
            long pid = Long.parseLong(words.nextToken());
            long major = Long.parseLong(words.nextToken(), 16);
            long minor = Long.parseLong(words.nextToken(), 16);
            // Some file systems use all 64 bits.
            if (Long.parseUnsignedLong(words.nextToken()) != inode || pid == self) {
                continue;
            }
            boolean sameDevice = major == DeviceNumber.major(device) && minor == DeviceNumber.minor(device);
            if (sameDevice || hasOpen(pid, file)) {
                return true;
            }
        }
        return false;
    }

    /** For btrfs and overlayfs, where st_dev is not the number that /proc/locks has. */
    private static boolean hasOpen(long pid, Path file) throws IOException {
        Path descriptors = Path.of("/proc/" + pid + "/fd");
        if (!Files.isReadable(descriptors)) {
            return false;
        }
        try (DirectoryStream<Path> open = Files.newDirectoryStream(descriptors)) {
            for (Path descriptor : open) {
                if (Files.exists(descriptor) && isSame(descriptor, file)) {
                    return true;
                }
            }
        } catch (NoSuchFileException | DirectoryIteratorException e) {
            return false; // The process has ended, and its locks with it.
        }
        return false;
    }

    private static boolean isSame(Path descriptor, Path file) throws IOException {
        try {
            return Files.isSameFile(descriptor, file);
        } catch (NoSuchFileException e) {
            return false; // Closed meanwhile.
        }
    }
}
