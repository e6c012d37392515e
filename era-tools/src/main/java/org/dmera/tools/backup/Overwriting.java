// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dmera.core.block.DeviceOpener;

/** Refuses an output that is one of the inputs, before either is opened. */
final class Overwriting {
    private Overwriting() {}

    /** {@code output} and {@code inputs} may be {@code -} for a standard stream, and need not exist. */
    static void refuse(String output, List<String> inputs) throws IOException {
        for (String input : inputs) {
            if (!output.equals("-") && !input.equals("-") && isSame(Path.of(output), Path.of(input))) {
                throw new IOException("the output " + output + " is the input " + input + ", which it would overwrite");
            }
        }
    }

    private static boolean isSame(Path a, Path b) throws IOException {
        if (!Files.exists(a) || !Files.exists(b)) {
            return false;
        }
        if (Files.isSameFile(a, b)) {
            return true;
        }
        // A device may have several nodes.
        return DeviceOpener.isBlockDevice(a)
                && DeviceOpener.isBlockDevice(b)
                && Files.getAttribute(a, "unix:rdev").equals(Files.getAttribute(b, "unix:rdev"));
    }
}
