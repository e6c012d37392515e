// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.FileSpace;

/**
 * What of a file was never written, as its file system tells ({@code SEEK_DATA}): zeroes that need no reading. Told is the
 * state at the moment of the question, as reading would tell it: what is written a moment later belongs to the next copy
 * in either case.
 */
final class Holes implements Closeable {
    /** Smaller ones are read: cutting a chunk costs more. */
    private static final long WORTH_BYTES = 64 << 10;

    private final Path file;
    private final int fd;
    private final long sizeBytes;
    /** From {@link #dataFrom} to here there is no hole worth it. */
    private long dataUntil;

    private long dataFrom;
    /** The file system does not report holes. */
    private boolean mute;

    private Holes(Path file, int fd, long sizeBytes) {
        this.file = file;
        this.fd = fd;
        this.sizeBytes = sizeBytes;
    }

    static Holes of(Path file, long sizeBytes) throws IOException {
        return new Holes(file, FileDescriptors.open(file.toString(), FileDescriptors.O_RDONLY), sizeBytes);
    }

    /** As {@link OriginReader#holeUntil}. */
    long holeUntil(long offset) {
        if (mute || offset >= dataFrom && offset < dataUntil) {
            return offset;
        }
        long data = dataAt(offset);
        if (data - offset >= WORTH_BYTES || data == sizeBytes) {
            return data;
        }
        dataFrom = offset;
        dataUntil = nextWorthyHole(data);
        return offset;
    }

    /** As {@link OriginReader#dataUntil}. */
    long dataUntil(long offset) {
        return !mute && offset >= dataFrom && offset < dataUntil ? dataUntil : sizeBytes;
    }

    private long nextWorthyHole(long from) {
        long data = from;
        long before = -1;
        while (data < sizeBytes && !mute) {
            long hole;
            try {
                hole = FileSpace.nextHole(fd, data);
            } catch (ErrnoException e) {
                mute = true;
                return sizeBytes;
            }
            if (hole < 0 || hole >= sizeBytes) {
                return sizeBytes;
            }
            // Up, so that data before it which share its last page are read.
            hole = Math.min(sizeBytes, hole + OriginReader.ALIGNMENT_BYTES - 1 & -OriginReader.ALIGNMENT_BYTES);
            if (hole <= before) {
                // Of a file that was cut: no data come any more, and what is missing is no hole.
                return sizeBytes;
            }
            before = hole;
            data = dataAt(hole);
            if (data - hole >= WORTH_BYTES || data == sizeBytes) {
                return hole;
            }
        }
        return sizeBytes;
    }

    /** The first byte from {@code offset} on that may not be zero, rounded down to where reads begin. */
    private long dataAt(long offset) {
        if (offset >= sizeBytes) {
            return sizeBytes;
        }
        try {
            long data = FileSpace.nextData(fd, offset);
            if (data < 0) {
                // All that is left is a hole, unless the file was cut: reading tells that.
                return Files.size(file) < sizeBytes ? offset : sizeBytes;
            }
            return data >= sizeBytes ? sizeBytes : Math.max(offset, data & -OriginReader.ALIGNMENT_BYTES);
        } catch (IOException e) {
            mute = true;
            return offset;
        }
    }

    @Override
    public void close() throws IOException {
        FileDescriptors.close(fd);
    }
}
