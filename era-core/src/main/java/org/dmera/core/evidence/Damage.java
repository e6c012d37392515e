// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Remedy;
import org.dmera.core.format.Severity;

/**
 * One finding of a check.
 *
 * @param kind which rule is broken
 * @param structure in which part of the metadata
 * @param path how one gets there from the superblock, as {@code superblock > era array > key 0 > key 509}
 * @param blockNr the metadata block at fault (u64), or {@link #NO_BLOCK}
 * @param nrBlocks how many blocks in a row from {@code blockNr} on the finding covers, at least 1
 * @param detail what was found and what was expected, one line
 * @param consequence what repair would do, one line; empty for a note
 */
public record Damage(
        DamageKind kind,
        Structure structure,
        String path,
        long blockNr,
        long nrBlocks,
        String detail,
        String consequence) {
    /** In place of a block number when the finding concerns no block in particular. */
    public static final long NO_BLOCK = -1;

    /** The same for all blocks up to {@code end}, if it doesn't go further itself. */
    public Damage upTo(long end) {
        long blocks = Math.max(nrBlocks, end - blockNr);
        return new Damage(kind, structure, path, blockNr, blocks, detail, consequence);
    }

    /** Whether it is in what the held snapshot leads to. */
    public boolean isOfSnapshot() {
        return path.startsWith(TreeSpec.SNAPSHOT_PATH);
    }

    /** How bad it is. */
    public Severity severity() {
        return kind.severity();
    }

    /** What can be done about it: the space map can be written anew from the trees, whatever is wrong with it. */
    public Remedy remedy() {
        return kind.severity() != Severity.NOTE && structure.isSpaceMap() ? Remedy.AUTO_REPAIR : kind.remedy();
    }

    /** One line for people. */
    @Override
    public String toString() {
        StringBuilder line = new StringBuilder(120);
        line.append(severity().label()).append(": ").append(structure.label());
        if (blockNr != NO_BLOCK) {
            line.append(nrBlocks == 1 ? ", block " : ", blocks ").append(Long.toUnsignedString(blockNr));
            if (nrBlocks > 1) {
                line.append('-').append(Long.toUnsignedString(blockNr + nrBlocks - 1));
            }
        }
        line.append(": ").append(detail);
        if (!path.isEmpty()) {
            line.append(" [").append(path).append(']');
        }
        if (!consequence.isEmpty()) {
            line.append("; repair: ").append(consequence);
        }
        return line.toString();
    }
}
