// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Random;
import java.util.zip.CRC32;
import org.dmera.core.content.BlockSet;
import org.dmera.tools.backup.copy.ByteRanges;
import org.dmera.tools.backup.copy.ChangedRanges;
import org.dmera.tools.backup.copy.CopyEngine;
import org.dmera.tools.backup.copy.OriginReader;
import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamWriter;

/** A file that plays an origin: it is written at random, remembers what was written since when, and is copied. */
final class ScratchOrigin {
    private static final CopyEngine.Options[] OPTIONS = {
        new CopyEngine.Options(3, 0, 0), new CopyEngine.Options(2, 1, 0), new CopyEngine.Options(1, 9, 0)
    };

    final Path path;
    final int blockBytes;
    final Random random;
    private final long[] eraOfBlock;
    long era = 1;
    /** Of the last full copy. */
    long history;

    ScratchOrigin(Path path, long sizeBytes, int blockBytes, int maxBlocks, long seed) throws IOException {
        this.path = path;
        this.blockBytes = blockBytes;
        this.random = new Random(seed);
        this.eraOfBlock = new long[maxBlocks];
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(sizeBytes);
        }
    }

    long size() throws IOException {
        return Files.size(path);
    }

    int blocks() throws IOException {
        return (int) ((size() + blockBytes - 1) / blockBytes);
    }

    /** Writes {@code count} random stretches: noise, text-like data, or zeroes. */
    void scribble(int count) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            long size = file.length();
            for (int i = 0; i < count && size > 0; i++) {
                long at = (long) (random.nextDouble() * size);
                byte[] bytes = new byte[(int) Math.min(size - at, 1 + random.nextInt(5 * blockBytes))];
                switch (random.nextInt(3)) {
                    case 0 -> random.nextBytes(bytes);
                    case 1 -> java.util.Arrays.fill(bytes, (byte) random.nextInt());
                    default -> {}
                }
                file.seek(at);
                file.write(bytes);
                for (long b = at / blockBytes; b <= (at + bytes.length - 1) / blockBytes; b++) {
                    eraOfBlock[(int) b] = era;
                }
            }
        }
    }

    void resize(long sizeBytes) throws IOException {
        long before = size();
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(sizeBytes);
            // What an origin grows by holds whatever was on the disk there.
            if (sizeBytes > before) {
                byte[] noise = new byte[(int) (sizeBytes - before)];
                random.nextBytes(noise);
                file.seek(before);
                file.write(noise);
            }
        }
        for (int b = blocks(); b < eraOfBlock.length; b++) {
            eraOfBlock[b] = 0;
        }
    }

    BlockSet since(long baseEra) throws IOException {
        BlockSet set = new BlockSet(blocks());
        for (int b = 0; b < blocks(); b++) {
            if (eraOfBlock[b] >= baseEra) {
                set.add(b);
            }
        }
        return set;
    }

    StreamHeader full(Path stream) throws IOException {
        return write(stream, ByteRanges.all(size()), header(0, 0, StreamHeader.FULL, "scratch"), options());
    }

    StreamHeader increment(Path stream, long baseEra, long baseSize) throws IOException {
        return increment(stream, baseEra, baseSize, "scratch");
    }

    StreamHeader increment(Path stream, long baseEra, long baseSize, String identity) throws IOException {
        ByteRanges ranges = new ChangedRanges(since(baseEra), blockBytes, size(), baseSize);
        return write(stream, ranges, header(baseEra, Math.min(baseSize, size()), 0, identity), options());
    }

    private CopyEngine.Options options() {
        return OPTIONS[random.nextInt(OPTIONS.length)];
    }

    /** The next copy begins at {@code newEra}, which is the era from now on. */
    StreamHeader header(long baseEra, long baseSize, int flags, String identity) throws IOException {
        era++;
        byte[] id = new byte[16];
        random.nextBytes(id);
        history = (flags & StreamHeader.FULL) != 0 ? random.nextLong() : history;
        // Readers that don't ask what it is take it as it is, if its checksum is right.
        byte[] token = new byte[random.nextInt(3) * 331];
        random.nextBytes(token);
        if (token.length > 0) {
            CRC32 crc = new CRC32();
            crc.update(token, 0, token.length - Integer.BYTES);
            ByteBuffer.wrap(token).putInt(token.length - Integer.BYTES, (int) crc.getValue());
        }
        return new StreamHeader(
                id,
                size(),
                baseSize,
                blockBytes,
                flags,
                baseEra,
                era,
                1700000000,
                new byte[16],
                identity,
                history,
                token);
    }

    StreamHeader write(Path stream, ByteRanges ranges, StreamHeader header, CopyEngine.Options options)
            throws IOException {
        try (OriginReader origin = OriginReader.open(path);
                CopyEngine engine = new CopyEngine(origin, header.streamId(), blockBytes, options);
                FileChannel out = FileChannel.open(
                        stream,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.TRUNCATE_EXISTING,
                        StandardOpenOption.WRITE)) {
            StreamWriter writer = new StreamWriter(out, header);
            engine.copy(ranges, writer, bytes -> {});
            StreamFooter footer = writer.finish();
            if (footer.streamBytes() + StreamFooter.BYTES != out.size()) {
                throw new AssertionError("footer counts " + footer.streamBytes() + " of " + out.size());
            }
        }
        return header;
    }
}
