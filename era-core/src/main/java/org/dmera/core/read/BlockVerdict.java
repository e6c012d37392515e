// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;

/**
 * What is kept of a block once it has been read: two bytes, a code in the low four bits and, for array blocks, the
 * number of entries above it, and in the two highest bits whether an era is too late for the current one, or for the held
 * snapshot. Everything that needs more than that reads the block again.
 *
 * <p>One instance a thread, because of the checksum engine in it.
 */
public final class BlockVerdict {
    public static final int UNREAD = 0;
    /** The device failed. */
    public static final int UNREADABLE = 1;
    /** The checksum is right for no kind of block. */
    public static final int UNSEALED = 2;
    /** The checksum is right, but the block has another block's number. */
    public static final int MISPLACED = 3;

    public static final int SUPERBLOCK = 4;
    public static final int NODE = 5;
    public static final int BITMAP = 6;
    public static final int INDEX = 7;
    /** An array block with an impossible header. */
    public static final int BAD_ARRAY = 8;
    /** A block of eras. */
    public static final int ERAS = 9;
    /** A block of 64-bit words. */
    public static final int WORDS = 10;

    private static final int CODE_BITS = 4;
    /** This and the next lie above the entries, of which there are at most 1018. */
    private static final int ABOVE_CURRENT = 1 << 14;

    private static final int ABOVE_HELD = 1 << 15;

    private final BlockSeal seal = new BlockSeal();
    private final ArrayBlock array = new ArrayBlock();
    private final int[] eras = new int[ArrayBlock.ERAS_PER_BLOCK];
    private final int flippedCurrentEra;
    private final int flippedHeldEra;
    /** The buffer that was classified last, and a view of it as numbers: a new view a block would be garbage by the MiB. */
    private ByteBuffer viewed;

    private IntBuffer view;

    /** {@code currentEra}: u32, what eras of an era array are compared with. */
    public BlockVerdict(int currentEra) {
        this(currentEra, currentEra);
    }

    /** The same, and {@code heldEra}: u32, what they are compared with for {@link #isAboveHeld}. */
    public BlockVerdict(int currentEra, int heldEra) {
        this.flippedCurrentEra = currentEra ^ Integer.MIN_VALUE;
        this.flippedHeldEra = heldEra ^ Integer.MIN_VALUE;
    }

    /** The same for another thread. */
    public BlockVerdict another() {
        return new BlockVerdict(flippedCurrentEra ^ Integer.MIN_VALUE, flippedHeldEra ^ Integer.MIN_VALUE);
    }

    public static int code(short seen) {
        return seen & ((1 << CODE_BITS) - 1);
    }

    public static int nrEntries(short seen) {
        return (seen & ABOVE_CURRENT - 1) >>> CODE_BITS;
    }

    /** Whether a block of eras holds one that is above the current one. */
    public static boolean isAboveCurrent(short seen) {
        return (seen & ABOVE_CURRENT) != 0;
    }

    /** Whether a block of eras holds one that the held snapshot can't have. */
    public static boolean isAboveHeld(short seen) {
        return (seen & ABOVE_HELD) != 0;
    }

    /** Classifies the block {@code blockNr}, which is at {@code offset} of a little-endian buffer. */
    public short classify(ByteBuffer buffer, int offset, long blockNr) {
        BlockType type = seal.identify(buffer, offset);
        if (type == null) {
            return UNSEALED;
        }
        if (buffer.getLong(offset + type.blockNrOffset()) != blockNr) {
            return MISPLACED;
        }
        if (type == BlockType.BTREE_NODE) {
            return NODE;
        }
        if (type == BlockType.ARRAY_BLOCK) {
            return classifyArray(buffer, offset);
        }
        return (short) (type == BlockType.BITMAP ? BITMAP : type == BlockType.INDEX ? INDEX : SUPERBLOCK);
    }

    /** The verdict {@code code} of an array block with {@code nrEntries}. */
    public static short of(int code, int nrEntries) {
        return (short) (nrEntries << CODE_BITS | code);
    }

    private short classifyArray(ByteBuffer buffer, int offset) {
        array.wrap(buffer, offset);
        if (array.hasSaneShape(ArrayBlock.ERA_BYTES)) {
            int highest = highest(buffer, offset, array.nrEntries());
            int above = (highest > flippedCurrentEra ? ABOVE_CURRENT : 0) | (highest > flippedHeldEra ? ABOVE_HELD : 0);
            return of(ERAS | above, array.nrEntries());
        }
        return array.hasSaneShape(ArrayBlock.WORD_BYTES) ? of(WORDS, array.nrEntries()) : BAD_ARRAY;
    }

    /** A maximum over a plain array: the compiler makes vector code of it, which matters at millions of blocks. */
    @SuppressWarnings("ReferenceEquality")
    private int highest(ByteBuffer buffer, int offset, int n) {
        if (viewed != buffer) {
            viewed = buffer;
            view = buffer.duplicate().clear().order(buffer.order()).asIntBuffer();
        }
        view.get((offset + ArrayBlock.VALUES) / Integer.BYTES, eras, 0, n);
        return highest(eras, n);
    }

    private static int highest(int[] eras, int n) {
        int highest = Integer.MIN_VALUE;
        for (int i = 0; i < n; i++) {
            highest = Math.max(highest, eras[i] ^ Integer.MIN_VALUE);
        }
        return highest;
    }
}
