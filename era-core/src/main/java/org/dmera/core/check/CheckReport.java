// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.util.List;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Severity;

/**
 * What a check found.
 *
 * @param log all of it
 * @param table per block what the walks found; only after a check of everything that could use the superblock
 * @param scope how much of the device it is about
 * @param seal the checksum that the superblock had: another one now means that the report is about what is no more
 */
public record CheckReport(DamageLog log, BlockUse table, CheckOptions.Scope scope, int seal) {
    /** The findings, notes included, in the order in which they were made; of each kind only the first hundred. */
    public List<Damage> damages() {
        return log.kept();
    }

    /** How many findings of a severity there are, those that are not kept included. */
    public long count(Severity severity) {
        long n = 0;
        for (DamageKind kind : DamageKind.values()) {
            if (kind.severity() == severity) {
                n += log.found(kind);
            }
        }
        return n;
    }

    /** How many findings of a kind there are, those that are not kept included. */
    public long count(DamageKind kind) {
        return log.found(kind);
    }

    /** Whether nothing is wrong; notes don't count. */
    public boolean isClean() {
        return count(Severity.FATAL) == 0 && count(Severity.NON_FATAL) == 0;
    }

    /** Whether a repair in place can't help before the metadata has been rebuilt. */
    public boolean isBeyondAutoRepair() {
        return log.isBeyondAutoRepair();
    }

    public boolean areTreesIncomplete() {
        return log.areTreesIncomplete();
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        for (Damage damage : damages()) {
            text.append(damage).append('\n');
        }
        return text.toString();
    }
}
