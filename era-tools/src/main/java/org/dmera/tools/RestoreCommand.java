// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;
import org.dmera.tools.io.Overwriting;
import org.dmera.tools.io.Progress;
import org.dmera.tools.io.TextInput;
import org.dmera.tools.xml.MetadataXmlReader;

/** {@code era_restore}: a metadata device from its dump. */
final class RestoreCommand implements Command {
    @Override
    public Usage usage() {
        return new Usage("era_restore", "Convert XML format metadata to binary")
                .required("input", 'i', "FILE", "Specify the input xml: plain, .gz or .zst; - for standard input")
                .required("output", 'o', "FILE", "Specify the output device; all that is on it is lost")
                .flag("quiet", 'q', "Suppress output messages, return only exit code")
                .ofPeers(true);
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        String input = arguments.value("input");
        Path output = Path.of(arguments.value("output"));
        long inputBytes = !input.equals("-") && Files.isRegularFile(Path.of(input)) ? Files.size(Path.of(input)) : -1;
        try (Progress progress = new Progress(console, "era_restore", " MiB", 1 << 20, inputBytes);
                TextInput xml = TextInput.open(input, console, progress)) {
            Overwriting.refuse(output.toString(), List.of(input));
            try (BlockDevice device = DeviceOpener.open(output, true, DeviceOpener.Claim.EXCLUSIVE)) {
                restore(xml, device);
            }
        }
        return 0;
    }

    private static void restore(TextInput xml, BlockDevice device) throws IOException {
        MetadataBuilder builder = new MetadataBuilder(device);
        boolean complete = false;
        try {
            MetadataXmlReader.read(xml, builder);
            complete = true;
        } finally {
            if (!complete) {
                builder.abandon();
            }
        }
    }
}
