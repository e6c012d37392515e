// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.io.PrintStream;
import org.dmera.tools.cli.HelpText;

/** The help text, which {@link UsagePage} has made when the product was built. */
final class Usage {
    static final String FILE = "era-dmsetup.txt";

    private Usage() {}

    static void print(PrintStream out) throws IOException {
        byte[] text = HelpText.read(Usage.class, FILE);
        out.write(text, 0, text.length);
    }
}
