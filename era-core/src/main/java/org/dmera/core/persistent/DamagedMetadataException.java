// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;
import org.dmera.core.block.BlockType;

/** A metadata block that can't be what it should be. The message names the block, the structure and what was expected. */
public final class DamagedMetadataException extends IOException {
    private static final long serialVersionUID = 1L;

    private final long block;

    /** {@code problem} says what was found and what was expected. */
    public DamagedMetadataException(long block, String structure, String problem) {
        super("metadata block " + Long.toUnsignedString(block) + " (" + structure + "): " + problem);
        this.block = block;
    }

    DamagedMetadataException(long block, BlockType type, String problem) {
        this(block, type.label(), problem);
    }

    /** The block that is damaged, or that is referred to wrongly. */
    public long block() {
        return block;
    }
}
