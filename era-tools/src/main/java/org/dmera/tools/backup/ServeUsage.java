// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import org.dmera.tools.cli.Usage;

/** The options of {@code era_serve}, which lives above, beside the NBD server: completion wants them here too. */
public final class ServeUsage {
    private ServeUsage() {}

    public static Usage usage() {
        return new Usage("era_serve", "Serves what streams of era_copy hold, to be read as a disk.")
                .option("socket", 's', "PATH", "Listen there [default: in a folder of its own]")
                .flag("attach", 0, "Make a block device of the last state")
                .option("cache", 0, "SIZE", "Memory for what was read last [default: 128M]")
                .flag("quiet", 'q', "Say nothing")
                .operands("STREAM", true, "The streams, oldest first, the first a full one")
                .footer("""
                        Serves until a signal (Ctrl-C) ends it.

                        Examples:
                          era_serve data.??????.????.erastream --attach
                          era_serve data.??????.????.erastream --socket /run/backup
                          nbdinfo --list 'nbd+unix:///?socket=/run/backup'""");
    }
}
