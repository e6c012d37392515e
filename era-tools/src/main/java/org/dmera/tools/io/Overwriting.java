// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.io;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.dmera.core.file.FileIdentity;
import org.dmera.core.file.FileReplacement;
import org.dmera.core.file.Links;
import org.dmera.core.file.LongNames;

/**
 * Refuses an output that is one of the inputs, by whatever path, link or device node, before either is opened; and one that
 * would be written under an input's name before it gets its own.
 */
public final class Overwriting {
    private Overwriting() {}

    /** {@code output} and {@code inputs} may be {@code -} for a standard stream, or null, and need not exist. */
    public static void refuse(String output, List<String> inputs) throws IOException {
        if (output == null || output.equals("-")) {
            return;
        }
        refuseSame("The output", Path.of(output), inputs);
        Path target = Path.of(output).toAbsolutePath();
        if (!Links.leadsToDescriptor(target)) {
            target = Links.follow(target);
        }
        if (target.getFileName() != null) {
            Path partial = LongNames.beside(target, FileReplacement.PARTIAL);
            refuseSame("The output is written as " + partial + " first, and " + partial, partial, inputs);
        }
    }

    private static void refuseSame(String what, Path output, List<String> inputs) throws IOException {
        FileIdentity written = FileIdentity.ofExisting(output);
        if (written == null) {
            return;
        }
        for (String input : inputs) {
            if (input == null || input.equals("-")) {
                continue;
            }
            FileIdentity read = FileIdentity.ofExisting(Path.of(input));
            if (read != null && written.overlaps(read)) {
                throw new IOException(what + " is the input " + input + ": " + output + " would be overwritten");
            }
        }
    }
}
