// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.block;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;

/**
 * O_DIRECT: reads and writes that pass the page cache by. Buffers, offsets and lengths must be aligned to the device's
 * logical block size.
 *
 * <p>The option is {@code com.sun.nio.file.ExtendedOpenOption.DIRECT} of the module jdk.unsupported. It is looked up by
 * name, because newer compilers warn of any other use, and can't be told not to.
 */
public final class DirectIo {
    /** For {@link java.nio.channels.FileChannel#open}. */
    public static final OpenOption DIRECT = find();

    private DirectIo() {}

    private static OpenOption find() {
        try {
            for (Object option :
                    Class.forName("com.sun.nio.file.ExtendedOpenOption").getEnumConstants()) {
                if (option.toString().equals("DIRECT")) {
                    return (OpenOption) option;
                }
            }
            throw new IllegalStateException("this JVM has no DIRECT among its open options");
        } catch (ClassNotFoundException e) {
            throw new IllegalStateException("this JVM lacks the module jdk.unsupported, which O_DIRECT needs", e);
        }
    }

    /**
     * Whether the file system of {@code path} takes direct reads and writes at multiples of {@code alignmentBytes}; false also
     * where that is not to be known, as in a chroot whose root is not a mount, where the path's mount is not listed.
     */
    public static boolean isAligned(Path path, int alignmentBytes) {
        long block;
        try {
            block = Files.getFileStore(path).getBlockSize();
        } catch (IOException | UnsupportedOperationException e) {
            // The page cache does for any.
            return false;
        }
        return block > 0 && alignmentBytes % block == 0;
    }
}
