// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.zip.CRC32;
import java.util.zip.CRC32C;
import org.dmera.core.file.Sha256;

/** The checksums of one stream. One instance a thread. */
final class Checksums {
    private final byte[] streamId;
    private final CRC32C crc = new CRC32C();
    private final CRC32 crc32 = new CRC32();
    /** Made when it is first wanted. */
    private MessageDigest sha256;

    Checksums(byte[] streamId) {
        this.streamId = streamId.clone();
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

    /**
     * What the stream's digest takes of a chunk, into {@code chunk.digest}: SHA-256 of its header and table, in which is
     * the data's CRC32C, and of the data's CRC-32. Two independent sums cost next to nothing; SHA-256 of the data
     * themselves would be most of the work of an uncompressed copy.
     */
    void digest(Chunk chunk, ByteBuffer storedBytes) {
        if (sha256 == null) {
            sha256 = Sha256.digest();
        }
        ByteBuffer head = chunk.head;
        head.position(0).limit(Chunk.HEADER_BYTES + chunk.extents().size() * ExtentTable.ENTRY_BYTES);
        sha256.update(head);
        crc32.reset();
        storedBytes.limit(chunk.storedBytes).position(0);
        crc32.update(storedBytes);
        int sum = (int) crc32.getValue();
        for (int shift = 0; shift < 32; shift += 8) {
            sha256.update((byte) (sum >>> shift));
        }
        try {
            sha256.digest(chunk.digest, 0, chunk.digest.length);
        } catch (java.security.DigestException e) {
            throw new AssertionError("32 bytes hold a SHA-256", e);
        }
    }
}
