// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

/** Which rule of the format is broken. The label is the stable name that programs may rely on. */
public enum DamageKind {
    UNREADABLE("unreadable", Severity.FATAL, Remedy.REBUILD),
    BAD_CHECKSUM("bad-checksum", Severity.FATAL, Remedy.REBUILD),
    WRONG_TYPE("wrong-type", Severity.FATAL, Remedy.REBUILD),
    WRONG_BLOCK_NUMBER("wrong-block-number", Severity.FATAL, Remedy.REBUILD),
    BAD_HEADER("bad-header", Severity.FATAL, Remedy.REBUILD),
    BAD_FIELD("bad-field", Severity.FATAL, Remedy.REBUILD),
    UNKNOWN_FLAG("unknown-flag", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    OUT_OF_RANGE("out-of-range", Severity.FATAL, Remedy.REBUILD),
    KEYS_UNSORTED("keys-unsorted", Severity.FATAL, Remedy.REBUILD),
    KEY_OUTSIDE_PARENT("key-outside-parent", Severity.FATAL, Remedy.REBUILD),
    EMPTY_NODE("empty-node", Severity.FATAL, Remedy.REBUILD),
    UNEVEN_DEPTH("uneven-depth", Severity.FATAL, Remedy.REBUILD),
    TOO_DEEP("too-deep", Severity.FATAL, Remedy.REBUILD),
    CYCLE("cycle", Severity.FATAL, Remedy.REBUILD),
    DOUBLY_USED("doubly-used", Severity.FATAL, Remedy.REBUILD),
    ORPHAN_TREE("orphan-tree", Severity.FATAL, Remedy.REBUILD),
    ERA_ABOVE_CURRENT("era-above-current", Severity.FATAL, Remedy.REBUILD),
    ERA_MISSING("era-missing", Severity.FATAL, Remedy.REBUILD),
    ARRAY_BLOCK_MISSING("array-block-missing", Severity.FATAL, Remedy.REBUILD),
    ARRAY_BLOCK_SHORT("array-block-short", Severity.FATAL, Remedy.REBUILD),
    /** More entries than the array has: the size that is stored elsewhere may be the one that is wrong. */
    ARRAY_BLOCK_LONG("array-block-long", Severity.FATAL, Remedy.REBUILD),
    ARRAY_BLOCK_EXTRA("array-block-extra", Severity.FATAL, Remedy.REBUILD),
    BITS_PAST_END("bits-past-end", Severity.NON_FATAL, Remedy.REBUILD),
    COUNT_TOO_LOW("count-too-low", Severity.FATAL, Remedy.AUTO_REPAIR),
    COUNT_TOO_HIGH("count-too-high", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    LEAKED("leaked", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    /** The bitmap says "see the ref-count tree", and nothing is there; or the tree holds what is never looked up. */
    REF_COUNT_MISSING("ref-count-missing", Severity.FATAL, Remedy.AUTO_REPAIR),
    REF_COUNT_STALE("ref-count-stale", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    /** The ref-count tree holds a count that fits into the bitmap: the kernel takes the block for shared, and leaks it. */
    REF_COUNT_SMALL("ref-count-small", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    WRONG_NR_FREE("wrong-nr-free", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    WRONG_NONE_FREE_BEFORE("wrong-none-free-before", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    WRONG_NR_ALLOCATED("wrong-nr-allocated", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    SPACE_MAP_TOO_LARGE("space-map-too-large", Severity.FATAL, Remedy.AUTO_REPAIR),
    /** A volume that was extended: the kernel goes on with the blocks that it had. */
    SPACE_MAP_TOO_SMALL("space-map-too-small", Severity.NOTE, Remedy.AUTO_REPAIR),
    /** A block is in use for which the space map has no count: the kernel fails when it comes to that block. */
    BEYOND_SPACE_MAP("beyond-space-map", Severity.FATAL, Remedy.AUTO_REPAIR),
    /** An era that has left no writeset, and nothing that one could have been lost with. */
    ERA_WITHOUT_WRITESET("era-without-writeset", Severity.NOTE, Remedy.NONE),
    UNDER_FILLED("under-filled", Severity.NOTE, Remedy.NONE),
    LEFT_OVER_ARRAY_BLOCK("left-over-array-block", Severity.NOTE, Remedy.NONE),
    NEVER_RESUMED("never-resumed", Severity.NOTE, Remedy.NONE),
    /** The last index entry counts no free blocks past the device's end: so it is after thin-provisioning-tools 0.9. */
    NR_FREE_OF_DEVICE("nr-free-of-device", Severity.NOTE, Remedy.NONE),
    COUNTS_NOT_JUDGED("counts-not-judged", Severity.NOTE, Remedy.NONE);

    private final String label;
    private final Severity severity;
    private final Remedy remedy;

    DamageKind(String label, Severity severity, Remedy remedy) {
        this.label = label;
        this.severity = severity;
        this.remedy = remedy;
    }

    /** The stable name, in lower case with hyphens. */
    public String label() {
        return label;
    }

    /** How bad it is. */
    public Severity severity() {
        return severity;
    }

    /** What can be done about it, unless it is in the space map, which can always be written anew. */
    Remedy remedy() {
        return remedy;
    }
}
