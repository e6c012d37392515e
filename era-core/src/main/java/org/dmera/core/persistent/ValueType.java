// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;
import java.nio.ByteBuffer;

/** What the leaves of a btree hold, and what becomes of the blocks that a value refers to. */
public interface ValueType {
    /** Size of a value in bytes. */
    int sizeBytes();

    /** What the tree is called in messages. */
    String label();

    /** A leaf was copied while the original stays in use: what its value at {@code offset} refers to gains a reference. */
    void addReference(ByteBuffer leaf, int offset) throws IOException;

    /** The value at {@code offset} goes away: what it refers to loses a reference. */
    void release(ByteBuffer leaf, int offset) throws IOException;
}
