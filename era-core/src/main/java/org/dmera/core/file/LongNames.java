// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.file;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.dmera.core.linux.NativeText;

/**
 * What files are called that stand beside another one: its name and a suffix. Where that is longer than a name may be, the
 * beginning and a digest stand for the name, so that whatever name a file system takes will do.
 */
public final class LongNames {
    /** The most bytes of a name, on nearly all file systems (NAME_MAX). */
    private static final int MAX_BYTES = 255;

    private static final int KEPT_CHARACTERS = 40;
    private static final int DIGEST_CHARACTERS = 16;

    private LongNames() {}

    /** The file beside {@code file} that is called after it. */
    public static Path beside(Path file, String suffix) {
        return file.resolveSibling(stem(file, suffix.length()) + suffix);
    }

    /** What stands for the file's name where {@code suffixBytes} follow: the name, unless that is too long. */
    public static String stem(Path file, int suffixBytes) {
        String name = file.getFileName().toString();
        int bytes = NativeText.isTransparent() ? name.length() : name.getBytes(StandardCharsets.UTF_8).length;
        if (bytes + suffixBytes <= MAX_BYTES) {
            return name;
        }
        String digest = Sha256.hex(name.getBytes(StandardCharsets.UTF_8));
        return name.substring(0, name.offsetByCodePoints(0, KEPT_CHARACTERS))
                + '~'
                + digest.substring(0, DIGEST_CHARACTERS);
    }
}
