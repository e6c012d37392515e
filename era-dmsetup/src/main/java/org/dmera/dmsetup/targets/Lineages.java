// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import org.dmera.core.block.BlockDevice;

/**
 * Which metadata goes on with which record. The number of an era means something in one record only: metadata that was made
 * anew, or put back, count the same numbers again. So a record gets a token when it is first opened, and keeps it for as
 * long as each table that opens it finds the superblock that the one before left.
 */
final class Lineages {
    /** One that is forgotten counts as another when it comes back, and whoever asks for it asks anew. */
    private static final int MAX_KNOWN = 1024;

    private record Left(Object token, ByteBuffer superblock) {}

    private final Map<Object, Left> known = new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Object, Left> eldest) {
            return size() > MAX_KNOWN;
        }
    };

    /** The token of the record that now lies on the metadata device of that identity. */
    synchronized Object opened(Object identity, BlockDevice device) throws IOException {
        Left left = known.get(identity);
        return left != null && left.superblock.equals(superblock(device)) ? left.token : new Object();
    }

    /** A table leaves the record of {@code token} as it is now. */
    synchronized void left(Object identity, BlockDevice device, Object token) throws IOException {
        known.remove(identity);
        known.put(identity, new Left(token, superblock(device)));
    }

    private static ByteBuffer superblock(BlockDevice device) throws IOException {
        ByteBuffer block = ByteBuffer.allocate(BlockDevice.BLOCK_BYTES);
        device.read(0, block);
        return block.flip();
    }
}
