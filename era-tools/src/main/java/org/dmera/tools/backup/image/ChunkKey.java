// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.image;

/**
 * A chunk of a chain of streams.
 *
 * @param stream which stream of the chain, from 0
 * @param place where it begins in the stream's file, in bytes
 */
record ChunkKey(int stream, long place) {
    // Not by the record's own: the JVM needs 30 ms to put those together.
    @Override
    public int hashCode() {
        return Long.hashCode(place * 31 + stream);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ChunkKey key && key.stream == stream && key.place == place;
    }
}
