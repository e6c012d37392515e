// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.read.BlockVerdict;

/**
 * Which tree a walk is about.
 *
 * @param structure the part of the metadata
 * @param era of a writeset, else −1
 * @param walk on whose behalf: {@link BlockUse#LIVE}, {@link BlockUse#SNAPSHOT} or {@link BlockUse#SPACE_MAP}
 */
public record TreeSpec(Structure structure, long era, int walk) implements DamageLocation {
    static final String SNAPSHOT_PATH = "superblock > metadata snapshot > ";

    /** A tree of the live superblock that is no writeset. */
    public static TreeSpec live(Structure structure) {
        return new TreeSpec(structure, -1, BlockUse.LIVE);
    }

    /** The writeset of {@code era} to which the live superblock leads. */
    public static TreeSpec live(Structure structure, long era) {
        return new TreeSpec(structure, era, BlockUse.LIVE);
    }

    /** Size of the values in leaves. */
    public int valueBytes() {
        return switch (structure) {
            case WRITESET_TREE -> WritesetValue.BYTES;
            case REF_COUNT_TREE -> Integer.BYTES;
            default -> BTreeNode.BLOCK_VALUE_BYTES;
        };
    }

    /** Size of the entries of this array. */
    public int entryBytes() {
        return structure == Structure.ERA_ARRAY ? ArrayBlock.ERA_BYTES : ArrayBlock.WORD_BYTES;
    }

    /** The {@link BlockVerdict} code of its array blocks. */
    int verdictCode() {
        return structure == Structure.ERA_ARRAY ? BlockVerdict.ERAS : BlockVerdict.WORDS;
    }

    /** The way to its root. */
    @Override
    public String path() {
        String start = walk == BlockUse.SNAPSHOT ? SNAPSHOT_PATH : "superblock > ";
        return switch (structure) {
            case WRITESET -> start + "writeset tree > era " + era;
            case REF_COUNT_TREE -> start + "space map > ref-count tree";
            default -> start + structure.label();
        };
    }

    /** Tells places of different trees apart; the depth is left out, as a tree may have grown since the snapshot. */
    int place(long key) {
        long place = (structure.ordinal() * 0x9E3779B97F4A7C15L + era + 1) * 0x9E3779B97F4A7C15L + key;
        place *= 0xBF58476D1CE4E5B9L;
        return (int) (place >>> 32);
    }

    /** What repair does about a part of this tree that can't be read. */
    @Override
    public String consequence() {
        return switch (structure) {
            case WRITESET_TREE -> "every origin block counts as written in the lost eras";
            case WRITESET, CURRENT_WRITESET -> "the origin blocks of the lost part count as written in this era";
            case ERA_ARRAY -> "the origin blocks of the lost part count as written in the current era";
            default -> "written anew";
        };
    }
}
