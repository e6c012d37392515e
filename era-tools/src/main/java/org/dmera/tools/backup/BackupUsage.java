// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import org.dmera.tools.cli.Usage;

/** The options of {@code era_backup}, which lives above, beside the control channels: completion wants them here too. */
public final class BackupUsage {
    private BackupUsage() {}

    public static Usage usage() {
        Usage usage = new Usage("era_backup", "Backs up a running era device: what changed since the last time.")
                .required("to", 't', "DIR", "Where the streams go")
                .flag("full", 0, "Copy everything")
                .option("full-every", 0, "N", "Copy everything each Nth time [default: never again]")
                .option("max-changed", 0, "PERCENT", "Copy everything when more of the origin changed")
                .option("keep", 0, "N", "Keep N increments; merge older ones into the full copy")
                .option("cow", 0, "DIR", "Where the engine keeps what is overwritten meanwhile [default: as --to]")
                .flag("no-freeze", 0, "Read the device of an engine as it is, not a view of one moment")
                .option("origin-snapshot-cmd", 0, "COMMAND", "Makes and removes a snapshot of the origin")
                .option("state", 0, "FILE", "What is remembered between backups [default: DIR/DEVICE.erabackup]")
                .option("metadata", 'm', "DEV", "The metadata, if not what the table says")
                .option("origin", 0, "DEV", "The origin, if not what the table says")
                .option("identity", 0, "TEXT", "Names the metadata instead of what the device says of itself")
                .option("control", 0, "CHANNEL", "kernel, engine, or the path of an engine's socket")
                .option("metrics", 0, "FILE", "Write metrics for Prometheus when done")
                .flag("list", 0, "List the backups that there are, make none")
                .flag("json", 0, "With --list: as JSON, for monitoring")
                .flag("verify", 0, "Read every chunk of the backups that there are, make none");
        return CopyOptions.declare(usage)
                .flag("quiet", 'q', "Say nothing")
                .operands("DEVICE", true, "The era device's name; several of an engine are copied as of one moment")
                .footer("Exit codes: 0 done; 1 failed; 75 another backup is at work or holds the metadata snapshot.");
    }
}
