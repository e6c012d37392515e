// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Map;

/**
 * Folders whose files can be believed, because nobody but root and this process's own user can have put them there. As sshd(8)
 * judges: neither the folder nor any above it belongs to somebody else, or can be written by group or others; those above
 * may be, where only a file's owner may move it (the sticky bit), as in {@code /tmp}.
 */
public final class TrustedFolder {
    private static final int OTHERS_WRITE = 022;
    private static final int STICKY = 01000;
    private static final int PERMISSIONS = 07777;
    private static final int PRIVATE = 0700;

    private TrustedFolder() {}

    /**
     * Requires that {@code folder}, which must be there, is such a one; symbolic links on the way to it are followed.
     *
     * @throws IOException with one line that says which folder is not, why, and what was expected
     */
    public static void require(Path folder) throws IOException {
        Path real = folder.toRealPath();
        for (Path each = real; each != null; each = each.getParent()) {
            requireOwner(each);
            int mode = (Integer) Files.getAttribute(each, "unix:mode", LinkOption.NOFOLLOW_LINKS);
            if ((mode & OTHERS_WRITE) != 0 && (each.equals(real) || (mode & STICKY) == 0)) {
                throw new IOException(each + " can be written by others (mode " + octal(mode)
                        + "); expected a folder that only its owner can write");
            }
        }
    }

    /** Fails for a file or folder that is neither root's nor this user's, by number: not everybody has a name. */
    public static void requireOwner(Path file) throws IOException {
        int uid = (Integer) Files.getAttribute(file, "unix:uid", LinkOption.NOFOLLOW_LINKS);
        if (uid != 0 && uid != ownUser()) {
            throw new IOException(file + " belongs to " + Files.getOwner(file) + "; expected root or this user");
        }
    }

    /**
     * Whether {@code folder} is this user's own, a folder itself and no link to one, and nobody else can even look into it
     * (mode 0700).
     */
    public static boolean isPrivate(Path folder) throws IOException {
        Map<String, Object> attributes = Files.readAttributes(folder, "unix:uid,mode", LinkOption.NOFOLLOW_LINKS);
        return Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)
                && (Integer) attributes.get("uid") == ownUser()
                && ((Integer) attributes.get("mode") & PERMISSIONS) == PRIVATE;
    }

    private static int ownUser() throws IOException {
        return (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid");
    }

    private static String octal(int mode) {
        return String.format("%04o", mode & PERMISSIONS);
    }
}
