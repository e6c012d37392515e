// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import org.dmera.core.EraToken;
import org.dmera.core.linux.NativeText;
import org.dmera.tools.backup.copy.MetadataView;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;

/** {@code era_stat}: what metadata holds, for a person. */
public final class StatCommand implements Command {
    @Override
    public Usage usage() {
        return new Usage("era_stat", "Tells what era metadata says: sizes, eras, and what each \"since\" would copy.")
                .flag("metadata-snapshot", 0, "Look at the metadata snapshot that is held: for a device in use")
                .choice("format", 'f', "FORMAT", "text (the default) or json", "text", "json")
                .operand("DEV", "The era device's metadata");
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        String device = arguments.operand(0);
        boolean snapshot = arguments.has("metadata-snapshot");
        try (MetadataView view = new MetadataView(Path.of(device), snapshot)) {
            MetadataFacts facts = MetadataFacts.read(view.device(), view.roots());
            if (arguments.value("format", "text").equals("json")) {
                ByteArrayOutputStream out = new ByteArrayOutputStream();
                EraToken token = EraToken.of(view.device(), view.roots(), view.newEra());
                StatJson.write(out, device, facts, token, snapshot);
                console.answer(out.toByteArray());
            } else {
                console.answer(NativeText.bytes(StatText.of(device, facts, snapshot)));
            }
        }
        return 0;
    }
}
