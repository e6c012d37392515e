// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.zip.CRC32C;

/** The checksums of one stream. One instance a thread. */
final class Checksums {
    private final byte[] streamId;
    private final CRC32C crc = new CRC32C();
    private final MessageDigest sha256 = sha256();

    Checksums(byte[] streamId) {
        this.streamId = streamId.clone();
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has SHA-256", e);
        }
    }

    /** CRC32C of the stream id and bytes {@code 0..end} of {@code b}, but for the four from {@code hole} on. */
    int seeded(ByteBuffer b, int hole, int end) {
        crc.reset();
        crc.update(streamId);
        part(b, 0, hole);
        if (end > hole + 4) {
            part(b, hole + 4, end);
        }
        return (int) crc.getValue();
    }

    int plain(ByteBuffer b, int bytes) {
        crc.reset();
        part(b, 0, bytes);
        return (int) crc.getValue();
    }

    private void part(ByteBuffer b, int from, int to) {
        b.limit(to).position(from);
        crc.update(b);
    }

    /** SHA-256 of the whole chunk as it lies in the stream, into {@code chunk.digest}. */
    void digest(Chunk chunk, ByteBuffer storedBytes) {
        ByteBuffer head = chunk.head;
        head.position(0).limit(Chunk.HEADER_BYTES + chunk.extents().size() * ExtentTable.ENTRY_BYTES);
        sha256.update(head);
        storedBytes.limit(chunk.storedBytes).position(0);
        sha256.update(storedBytes);
        try {
            sha256.digest(chunk.digest, 0, chunk.digest.length);
        } catch (java.security.DigestException e) {
            throw new AssertionError("32 bytes hold a SHA-256", e);
        }
    }
}
