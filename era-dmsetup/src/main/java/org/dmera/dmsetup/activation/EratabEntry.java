// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.activation;

import java.util.Set;

/**
 * A line of eratab.
 *
 * @param name the device's
 * @param metadata a path
 * @param origin a path
 * @param blockSizeSectors as in the table
 * @param options the words of the last field
 */
public record EratabEntry(String name, String metadata, String origin, long blockSizeSectors, Set<String> options) {
    /** Whether the engine makes it, not the kernel. */
    public boolean isEngines() {
        return options.contains("engine");
    }

    /** Whether the device gets a node. The kernel's have one of their own. */
    public boolean isAttached() {
        return options.contains("attach");
    }

    /** Whether all metadata is checked first, and not the superblock alone. */
    public boolean isChecked() {
        return options.contains("check") || isMended();
    }

    /** Whether counts that are wrong are mended before, as {@code era_check --auto-repair} does. */
    public boolean isMended() {
        return options.contains("repair=counts");
    }

    /** Whether {@code --all} goes on, and succeeds, without it. */
    public boolean mayFail() {
        return options.contains("nofail");
    }

    /** Whether {@code --all} leaves it out. */
    public boolean isManual() {
        return options.contains("noauto");
    }
}
