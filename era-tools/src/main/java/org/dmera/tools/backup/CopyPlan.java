// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import org.dmera.core.EraToken;
import org.dmera.tools.backup.copy.ByteRanges;
import org.dmera.tools.backup.copy.ChangedRanges;
import org.dmera.tools.backup.copy.CopyEngine;
import org.dmera.tools.backup.copy.MetadataView;
import org.dmera.tools.backup.copy.OriginSource;
import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamWriter;

/** One copy that is to be made: its header, and which ranges it holds. */
public final class CopyPlan {
    private final StreamHeader header;
    private final ByteRanges ranges;
    private final long totalBytes;

    private CopyPlan(StreamHeader header, ByteRanges ranges, long totalBytes) {
        this.header = header;
        this.ranges = ranges;
        this.totalBytes = totalBytes;
    }

    /** As {@link #of(MetadataView, long, Base, String, long, int, EraToken)}; the new era is the metadata's. */
    static CopyPlan of(MetadataView metadata, long sizeBytes, Base base, String identity) throws IOException {
        EraToken token = EraToken.of(metadata.device(), metadata.roots(), metadata.newEra());
        return of(metadata, sizeBytes, base, identity, metadata.newEra(), 0, token);
    }

    /**
     * Plans a copy.
     *
     * @param sizeBytes the part of the origin that the metadata tracks
     * @param base what the copy builds on, {@link Base#NOTHING} for a full one
     * @param newEra the first era whose writes may be missing from the copy
     * @param flags further flags of the header
     * @param token of {@code newEra}, or null for none
     * @throws IOException when the base is another device's, or the metadata can't be read
     */
    public static CopyPlan of(
            MetadataView metadata, long sizeBytes, Base base, String identity, long newEra, int flags, EraToken token)
            throws IOException {
        boolean full = base.isNothing();
        if (base.identity() != null && !base.identity().equals(identity)) {
            throw new IOException("the base's metadata is \"" + base.identity() + "\", this is \"" + identity
                    + "\": another device (if it was only renamed, say --identity '" + base.identity() + "')");
        }
        if (base.blockSizeBytes() != 0 && base.blockSizeBytes() != metadata.blockSizeBytes()) {
            throw new IOException("the base's block size is " + base.blockSizeBytes() + " bytes, the metadata's is "
                    + metadata.blockSizeBytes() + ": it was made anew since; take a full copy");
        }
        String contradiction =
                base.token() == null ? null : base.token().contradiction(metadata.device(), metadata.roots());
        if (contradiction != null) {
            throw new IOException("the metadata is not that of the base: it is another device's, or was made anew"
                    + " since (" + contradiction + "); take a full copy");
        }
        ByteRanges ranges;
        long total;
        if (full) {
            ranges = ByteRanges.all(sizeBytes);
            total = sizeBytes;
        } else {
            ChangedRanges changed = new ChangedRanges(
                    metadata.changedSince(base.era()), metadata.blockSizeBytes(), sizeBytes, base.sizeBytes());
            ranges = changed;
            total = changed.totalBytes();
        }
        byte[] streamId = newStreamId();
        StreamHeader header = new StreamHeader(
                streamId,
                sizeBytes,
                full ? 0 : Math.min(base.sizeBytes(), sizeBytes),
                metadata.blockSizeBytes(),
                flags | (full ? StreamHeader.FULL : 0) | (metadata.isSnapshot() ? StreamHeader.METADATA_SNAPSHOT : 0),
                base.era(),
                newEra,
                Instant.now().getEpochSecond(),
                metadata.roots().uuid(),
                identity,
                full ? ByteBuffer.wrap(streamId).getLong() : base.history(),
                token == null ? new byte[0] : token.encode());
        return new CopyPlan(header, ranges, total);
    }

    /** Random: from the kernel itself, because Java's own source takes 30 ms to set up. */
    public static byte[] newStreamId() throws IOException {
        try (InputStream random = Files.newInputStream(Path.of("/dev/urandom"))) {
            return random.readNBytes(StreamHeader.ID_BYTES);
        }
    }

    public StreamHeader header() {
        return header;
    }

    /** Bytes of the origin that will be read. */
    public long totalBytes() {
        return totalBytes;
    }

    /** Makes the copy. */
    public StreamFooter run(OriginSource origin, WritableByteChannel out, CopyEngine.Options options, boolean quiet)
            throws IOException {
        try (CopyEngine engine = new CopyEngine(origin, header.streamId(), header.blockSizeBytes(), options);
                TransferProgress progress = new TransferProgress("era_copy", totalBytes, quiet)) {
            StreamWriter writer = new StreamWriter(out, header);
            engine.copy(ranges, writer, progress);
            return writer.finish();
        }
    }
}
