// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.core.linux.NativeText;

/** Where the devices are that tables name: by number, and our engine's files by path. */
public final class DevicePaths {
    private DevicePaths() {}

    /**
     * The node, or the file, that a table's word is about.
     *
     * @param word {@code major:minor}, or a path
     * @throws IOException when no node has that number
     */
    public static Path of(String word) throws IOException {
        if (!word.matches("[0-9]+:[0-9]+")) {
            return NativeText.path(word);
        }
        Path byNumber = Path.of("/dev/block", word);
        if (Files.exists(byNumber)) {
            return byNumber;
        }
        // Without udev there are no links by number; the kernel's own name of the device is its node's.
        Path sys = Path.of("/sys/dev/block", word);
        if (Files.exists(sys)) {
            // A slash in a name stands as ! there.
            String name = sys.toRealPath().getFileName().toString().replace('!', '/');
            Path node = Path.of("/dev").resolve(name);
            if (Files.exists(node)) {
                return node;
            }
        }
        throw new IOException("there is no node for the device " + word + " that the table names");
    }
}
