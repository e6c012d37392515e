// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** {@code striped COUNT CHUNK (DEVICE START)+}: chunks of CHUNK sectors on each device in turn. */
public final class StripedTarget implements Target {
    private final long chunkBytes;
    private final Backing[] stripes;
    private final long[] startSectors;

    private StripedTarget(long chunkBytes, Backing[] stripes, long[] startSectors) {
        this.chunkBytes = chunkBytes;
        this.stripes = stripes;
        this.startSectors = startSectors;
    }

    /** Makes striped targets. */
    public static final class Factory implements TargetFactory {
        /** A page: the smallest chunk that the kernel takes. */
        private static final int CHUNK_SECTORS_MULTIPLE = 8;

        @Override
        public String type() {
            return "striped";
        }

        @Override
        public int[] version() {
            return new int[] {1, 6, 0};
        }

        @Override
        public Target load(long startSector, long lengthSectors, List<String> arguments, BackingOpener backings)
                throws TableException, IOException {
            if (arguments.size() < 2) {
                throw TableWords.invalid("Not enough arguments");
            }
            long count = TableWords.number(arguments.get(0), Integer.MAX_VALUE, "Invalid stripe count");
            if (count == 0) {
                throw TableWords.invalid("Invalid stripe count");
            }
            long chunk = TableWords.number(arguments.get(1), Integer.MAX_VALUE, "Invalid chunk_size");
            if (chunk == 0 || chunk % CHUNK_SECTORS_MULTIPLE != 0) {
                throw TableWords.invalid("Invalid chunk_size");
            }
            if (lengthSectors % count != 0) {
                throw TableWords.invalid("Target length not divisible by number of stripes");
            }
            if (lengthSectors / count % chunk != 0) {
                throw TableWords.invalid("Target length not divisible by chunk size");
            }
            if (arguments.size() != 2 + 2 * count) {
                throw TableWords.invalid("Not enough destinations specified");
            }
            List<Backing> opened = new ArrayList<>();
            long[] starts = new long[(int) count];
            try {
                for (int i = 0; i < count; i++) {
                    String reason = "Couldn't parse stripe destination";
                    starts[i] = TableWords.number(
                            arguments.get(3 + 2 * i), Long.MAX_VALUE / TableWords.SECTOR_BYTES, reason);
                    opened.add(TableWords.open(backings, arguments.get(2 + 2 * i), reason));
                    TableWords.checkArea(opened.get(i), starts[i], lengthSectors / count);
                }
            } catch (TableException e) {
                for (Backing b : opened) {
                    b.close();
                }
                throw e;
            }
            return new StripedTarget(chunk * TableWords.SECTOR_BYTES, opened.toArray(new Backing[0]), starts);
        }
    }

    private int stripe(long offsetBytes) {
        return (int) (offsetBytes / chunkBytes % stripes.length);
    }

    private long within(long offsetBytes) {
        long chunk = offsetBytes / chunkBytes;
        return startSectors[(int) (chunk % stripes.length)] * TableWords.SECTOR_BYTES
                + chunk / stripes.length * chunkBytes
                + offsetBytes % chunkBytes;
    }

    /** How much of a request at {@code offsetBytes} lies in its first chunk. */
    private long inChunk(long offsetBytes, long lengthBytes) {
        return Math.min(lengthBytes, chunkBytes - offsetBytes % chunkBytes);
    }

    @Override
    public String type() {
        return "striped";
    }

    @Override
    public void read(long offsetBytes, ByteBuffer dst) throws IOException {
        int limit = dst.limit();
        for (long at = offsetBytes; dst.position() < limit; ) {
            int n = (int) inChunk(at, limit - dst.position());
            dst.limit(dst.position() + n);
            stripes[stripe(at)].read(within(at), dst);
            dst.limit(limit);
            at += n;
        }
    }

    @Override
    public void write(long offsetBytes, ByteBuffer src, int flags) throws IOException {
        int limit = src.limit();
        for (long at = offsetBytes; src.position() < limit; ) {
            int n = (int) inChunk(at, limit - src.position());
            src.limit(src.position() + n);
            stripes[stripe(at)].write(within(at), src, flags);
            src.limit(limit);
            at += n;
        }
    }

    @Override
    public void flush() throws IOException {
        for (Backing b : stripes) {
            b.flush();
        }
    }

    @Override
    public void discard(long offsetBytes, long lengthBytes, int flags) throws IOException {
        long n;
        for (long at = 0; at < lengthBytes; at += n) {
            n = inChunk(offsetBytes + at, lengthBytes - at);
            stripes[stripe(offsetBytes + at)].discard(within(offsetBytes + at), n, flags);
        }
    }

    @Override
    public void writeZeroes(long offsetBytes, long lengthBytes, int flags) throws IOException {
        long n;
        for (long at = 0; at < lengthBytes; at += n) {
            n = inChunk(offsetBytes + at, lengthBytes - at);
            stripes[stripe(offsetBytes + at)].writeZeroes(within(offsetBytes + at), n, flags);
        }
    }

    @Override
    public long allocation(long offsetBytes, long lengthBytes) throws IOException {
        return stripes[stripe(offsetBytes)].allocation(within(offsetBytes), inChunk(offsetBytes, lengthBytes));
    }

    @Override
    public boolean mustWait(long offsetBytes, long lengthBytes) {
        long n;
        for (long at = 0; at < lengthBytes; at += n) {
            n = inChunk(offsetBytes + at, lengthBytes - at);
            if (stripes[stripe(offsetBytes + at)].mustWait(within(offsetBytes + at), n)) {
                return true;
            }
        }
        return false;
    }

    @Override
    public void prepare(long offsetBytes, long lengthBytes, Prepared then) {
        if (lengthBytes == 0) {
            then.prepared(null);
            return;
        }
        long chunks = (offsetBytes + lengthBytes - 1) / chunkBytes - offsetBytes / chunkBytes + 1;
        Prepared each = new PreparedTogether((int) chunks, then);
        long n;
        for (long at = 0; at < lengthBytes; at += n) {
            n = inChunk(offsetBytes + at, lengthBytes - at);
            stripes[stripe(offsetBytes + at)].prepare(within(offsetBytes + at), n, each);
        }
    }

    @Override
    public void answersOwed(OwedAnswers answers) {
        for (int i = 0; i < stripes.length; i++) {
            int stripe = i;
            stripes[i].answersOwed(
                    stillOwed -> answers.settle((offset, length) -> tellOf(stripe, offset, length, stillOwed)));
        }
    }

    private void tellOf(int stripe, long offsetBytes, long lengthBytes, OwedAnswers.Writes stillOwed) {
        long n;
        for (long at = offsetBytes; at < offsetBytes + lengthBytes; at += n) {
            n = inChunk(at, offsetBytes + lengthBytes - at);
            if (stripe(at) == stripe) {
                stillOwed.write(within(at), n);
            }
        }
    }

    @Override
    public String table() {
        StringBuilder text = new StringBuilder().append(stripes.length).append(' ');
        text.append(chunkBytes / TableWords.SECTOR_BYTES);
        for (int i = 0; i < stripes.length; i++) {
            text.append(' ').append(TableWords.of(stripes[i])).append(' ').append(startSectors[i]);
        }
        return text.toString();
    }

    @Override
    public String status() {
        StringBuilder text = new StringBuilder().append(stripes.length);
        for (Backing b : stripes) {
            text.append(' ').append(TableWords.of(b));
        }
        return text.append(" 1 ").append("A".repeat(stripes.length)).toString();
    }

    @Override
    public void storage(long offsetBytes, long lengthBytes, StorageAreas areas) {
        long firstChunk = offsetBytes / chunkBytes;
        long lastChunk = (offsetBytes + lengthBytes - 1) / chunkBytes;
        // On each stripe the range is one area: from its first chunk there to its last.
        for (int i = 0; i < stripes.length; i++) {
            long first = firstChunk + Math.floorMod(i - firstChunk, stripes.length);
            long last = lastChunk - Math.floorMod(lastChunk - i, stripes.length);
            if (first <= last) {
                long from = within(Math.max(offsetBytes, first * chunkBytes));
                long to = within(Math.min(offsetBytes + lengthBytes, (last + 1) * chunkBytes) - 1) + 1;
                stripes[i].storage(from, to - from, areas);
            }
        }
    }

    @Override
    public List<Backing> dependencies() {
        return List.of(stripes);
    }

    @Override
    public void close() throws IOException {
        for (Backing b : stripes) {
            b.close();
        }
    }
}
