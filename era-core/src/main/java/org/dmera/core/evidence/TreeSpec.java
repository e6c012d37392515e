// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

/**
 * Which tree a walk is about.
 *
 * @param structure the part of the metadata
 * @param era of a writeset, else −1
 * @param valueBytes size of the values in leaves
 * @param walk on whose behalf: {@link BlockUse#LIVE}, {@link BlockUse#SNAPSHOT} or {@link BlockUse#SPACE_MAP}
 */
public record TreeSpec(Structure structure, long era, int valueBytes, int walk) {
    /** The way to its root. */
    public String path() {
        String start = walk == BlockUse.SNAPSHOT ? "superblock > metadata snapshot > " : "superblock > ";
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
    String consequence() {
        return switch (structure) {
            case WRITESET_TREE -> "every origin block counts as written in the lost eras";
            case WRITESET, CURRENT_WRITESET -> "the origin blocks of the lost part count as written in this era";
            case ERA_ARRAY -> "the origin blocks of the lost part count as written in the current era";
            default -> "written anew";
        };
    }
}
