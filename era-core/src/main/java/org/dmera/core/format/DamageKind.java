// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

/** Which rule of the format is broken. The label is the stable name that programs may rely on. */
public enum DamageKind {
    /** The device failed. */
    UNREADABLE("unreadable", Severity.FATAL, Remedy.REBUILD),
    /** The checksum is that of no kind of block. */
    BAD_CHECKSUM("bad-checksum", Severity.FATAL, Remedy.REBUILD),
    /** The block is of another kind. */
    WRONG_TYPE("wrong-type", Severity.FATAL, Remedy.REBUILD),
    /** The block has another block's number. */
    WRONG_BLOCK_NUMBER("wrong-block-number", Severity.FATAL, Remedy.REBUILD),
    /** The header is that of no such node or array block. */
    BAD_HEADER("bad-header", Severity.FATAL, Remedy.REBUILD),
    /** A field of a superblock, or of a writeset, can't be. */
    BAD_FIELD("bad-field", Severity.FATAL, Remedy.REBUILD),
    /** A flag that has no meaning. */
    UNKNOWN_FLAG("unknown-flag", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    /** A reference leads where no block can be in use. */
    OUT_OF_RANGE("out-of-range", Severity.FATAL, Remedy.REBUILD),
    /** The keys of a node don't ascend. */
    KEYS_UNSORTED("keys-unsorted", Severity.FATAL, Remedy.REBUILD),
    /** A node has keys outside the range that its parent gives it. */
    KEY_OUTSIDE_PARENT("key-outside-parent", Severity.FATAL, Remedy.REBUILD),
    /** A node has no entries, and isn't the root of an empty tree. */
    EMPTY_NODE("empty-node", Severity.FATAL, Remedy.REBUILD),
    /** The leaves of a tree are at different depths. */
    UNEVEN_DEPTH("uneven-depth", Severity.FATAL, Remedy.REBUILD),
    /** A tree is deeper than any can be. */
    TOO_DEEP("too-deep", Severity.FATAL, Remedy.REBUILD),
    /** A node leads back to itself. */
    CYCLE("cycle", Severity.FATAL, Remedy.REBUILD),
    /** A block is in use in two places. */
    DOUBLY_USED("doubly-used", Severity.FATAL, Remedy.REBUILD),
    /** What was written for a block lies in another one's place. */
    MISDIRECTED_WRITE("misdirected-write", Severity.FATAL, Remedy.REBUILD),
    /** A part with marks is in use, and a reference to it is missing. */
    ORPHAN_TREE("orphan-tree", Severity.FATAL, Remedy.REBUILD),
    /** An era that can't have been archived or digested yet. */
    ERA_ABOVE_CURRENT("era-above-current", Severity.FATAL, Remedy.REBUILD),
    /** An era has no writeset, and something is in use that one may have been lost with. */
    ERA_MISSING("era-missing", Severity.FATAL, Remedy.REBUILD),
    /** An array has no block for some of its entries. */
    ARRAY_BLOCK_MISSING("array-block-missing", Severity.FATAL, Remedy.REBUILD),
    /** An array block has fewer entries than belong there. */
    ARRAY_BLOCK_SHORT("array-block-short", Severity.FATAL, Remedy.REBUILD),
    /** More entries than the array has: the size that is stored elsewhere may be the one that is wrong. */
    ARRAY_BLOCK_LONG("array-block-long", Severity.FATAL, Remedy.REBUILD),
    /** An array has a block past its end. */
    ARRAY_BLOCK_EXTRA("array-block-extra", Severity.FATAL, Remedy.REBUILD),
    /** Bits are set past the end of a bitset. */
    BITS_PAST_END("bits-past-end", Severity.NON_FATAL, Remedy.REBUILD),
    /** The stored reference count is below that of the references found. */
    COUNT_TOO_LOW("count-too-low", Severity.FATAL, Remedy.AUTO_REPAIR),
    /** The stored reference count is above that of the references found. */
    COUNT_TOO_HIGH("count-too-high", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    /** A block counts as used, and nothing refers to it. */
    LEAKED("leaked", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    /** The bitmap says "see the ref-count tree", and nothing is there. */
    REF_COUNT_MISSING("ref-count-missing", Severity.FATAL, Remedy.AUTO_REPAIR),
    /** The ref-count tree has an entry that is never looked up. */
    REF_COUNT_STALE("ref-count-stale", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    /** The ref-count tree holds a count that fits into the bitmap: the kernel takes the block for shared, and leaks it. */
    REF_COUNT_SMALL("ref-count-small", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    /** An index entry counts free blocks wrongly. */
    WRONG_NR_FREE("wrong-nr-free", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    /** The hint of an index entry lies behind a free block. */
    WRONG_NONE_FREE_BEFORE("wrong-none-free-before", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    /** The superblock counts the allocated blocks wrongly. */
    WRONG_NR_ALLOCATED("wrong-nr-allocated", Severity.NON_FATAL, Remedy.AUTO_REPAIR),
    /** The space map is for more blocks than the device has. */
    SPACE_MAP_TOO_LARGE("space-map-too-large", Severity.FATAL, Remedy.AUTO_REPAIR),
    /** A volume that was extended: the kernel goes on with the blocks that it had. */
    SPACE_MAP_TOO_SMALL("space-map-too-small", Severity.NOTE, Remedy.AUTO_REPAIR),
    /** A block is in use for which the space map has no count: the kernel fails when it comes to that block. */
    BEYOND_SPACE_MAP("beyond-space-map", Severity.FATAL, Remedy.AUTO_REPAIR),
    /** An era that has left no writeset, and nothing that one could have been lost with. */
    ERA_WITHOUT_WRITESET("era-without-writeset", Severity.NOTE, Remedy.NONE),
    /** A node has fewer entries than the kernel leaves. */
    UNDER_FILLED("under-filled", Severity.NOTE, Remedy.NONE),
    /** A partial array block past the end, which a shrink has left. */
    LEFT_OVER_ARRAY_BLOCK("left-over-array-block", Severity.NOTE, Remedy.NONE),
    /** Formatted, and not used since: the first index entry counts as formatting leaves it. */
    NEVER_RESUMED("never-resumed", Severity.NOTE, Remedy.NONE),
    /** The last index entry counts no free blocks past the device's end: so it is after thin-provisioning-tools 0.9. */
    NR_FREE_OF_DEVICE("nr-free-of-device", Severity.NOTE, Remedy.NONE),
    /** Stored counts that can't be judged while part of the trees is unreadable. */
    COUNTS_NOT_JUDGED("counts-not-judged", Severity.NOTE, Remedy.NONE);

    private final String label;
    private final Severity severity;
    private final Remedy remedy;

    DamageKind(String label, Severity severity, Remedy remedy) {
        this.label = label;
        this.severity = severity;
        this.remedy = remedy;
    }

    /** {@return the stable name, in lower case with hyphens} */
    public String label() {
        return label;
    }

    /** {@return how bad it is} */
    public Severity severity() {
        return severity;
    }

    /** {@return what can be done about it, unless it is in the space map, which can always be written anew} */
    public Remedy remedy() {
        return remedy;
    }
}
