// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What the kernel's log-writes target recorded of a device: its writes and flushes in their order, with marks in between. The
 * first sector is a header (u64 magic, u64 version, u64 entries, u32 sector size); each entry is a sector (u64 first sector,
 * u64 sectors, u64 flags, u64 bytes of mark), followed by the mark's or the write's data in whole sectors. Sectors are of the
 * device's own logical size.
 */
final class WriteLog {
    /** The mark with which the target itself ends the record. */
    static final String END = "dm-log-writes-end";

    private static final long MAGIC = 0x6a736677736872L;
    private static final int FLUSH = 1;
    private static final int FUA = 2;
    private static final int DISCARD = 4;
    private static final int MARK = 8;

    /** One entry; a flush without data has none, and a mark has a text. */
    record Entry(long offsetBytes, ByteBuffer data, boolean flush, boolean fua, String mark) {}

    private final List<Entry> entries = new ArrayList<>();

    private WriteLog() {}

    static WriteLog read(Path file) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        if (bytes.getLong(0) != MAGIC) {
            throw new IOException(file + " is not a record of writes");
        }
        long count = bytes.getLong(16);
        int sectorBytes = bytes.getInt(24);
        WriteLog log = new WriteLog();
        int at = sectorBytes;
        for (long i = 0; i < count; i++) {
            long sector = bytes.getLong(at);
            int length = Math.toIntExact(bytes.getLong(at + 8)) * sectorBytes;
            long flags = bytes.getLong(at + 16);
            int markBytes = Math.toIntExact(bytes.getLong(at + 24));
            int headerEnd = at + sectorBytes;
            if ((flags & MARK) != 0) {
                // The mark's text stands in the entry's own sector.
                String mark = StandardCharsets.US_ASCII
                        .decode(bytes.slice(at + 32, markBytes))
                        .toString()
                        .replace("\0", "");
                log.entries.add(new Entry(0, null, false, false, mark));
                at = headerEnd;
                continue;
            }
            if ((flags & DISCARD) != 0) {
                throw new IOException(file + ": the era target discards none of its metadata");
            }
            ByteBuffer data = length == 0 ? null : bytes.slice(headerEnd, length);
            log.entries.add(new Entry(sector * sectorBytes, data, (flags & FLUSH) != 0, (flags & FUA) != 0, null));
            at = headerEnd + length;
        }
        return log;
    }

    List<Entry> entries() {
        return entries;
    }
}
