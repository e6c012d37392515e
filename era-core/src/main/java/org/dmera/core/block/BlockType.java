// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.block;

/**
 * The five kinds of metadata block. The kind of a block is not stored in it: it shows in the salt with which its
 * checksum was mixed, so that exactly one kind verifies.
 *
 * <p>Stored checksum (u32 at byte 0) = CRC32C(bytes 4..4095) XOR 0xFFFFFFFF XOR salt. Salts and offsets: the kernel's
 * dm-era on-disk format, version 1, and the persistent-data library beneath it.
 */
public enum BlockType {
    SUPERBLOCK("superblock", 146538381, 8),
    BTREE_NODE("btree node", 121107, 8),
    ARRAY_BLOCK("array block", 595846735, 16),
    BITMAP("space map bitmap", 240779, 8),
    INDEX("space map index", 160478, 8);

    private final String label;
    private final int salt;
    private final int blockNrOffset;

    BlockType(String label, int salt, int blockNrOffset) {
        this.label = label;
        this.salt = salt;
        this.blockNrOffset = blockNrOffset;
    }

    /** What it is called in messages. */
    public String label() {
        return label;
    }

    /** What a block of this kind is called in messages: {@code an array block}. */
    public String labelWithArticle() {
        return (this == ARRAY_BLOCK ? "an " : "a ") + label;
    }

    /** Mixed into the checksum by XOR. */
    public int salt() {
        return salt;
    }

    /** Byte offset, within the block, of the u64 that holds the block's own number. */
    public int blockNrOffset() {
        return blockNrOffset;
    }
}
