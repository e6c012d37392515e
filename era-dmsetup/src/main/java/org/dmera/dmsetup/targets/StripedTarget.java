// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** {@code striped COUNT CHUNK (DEVICE START)+}: chunks of CHUNK sectors on each device in turn. */
public final class StripedTarget extends SplitIo<Backing> implements Target {
    /** A page: the smallest chunk that the kernel takes. */
    private static final int CHUNK_SECTORS_MULTIPLE = 8;

    private final long chunkBytes;
    private final Backing[] stripes;
    private final long[] startSectors;

    private StripedTarget(long chunkBytes, Backing[] stripes, long[] startSectors) {
        this.chunkBytes = chunkBytes;
        this.stripes = stripes;
        this.startSectors = startSectors;
    }

    /** As {@link TargetFactory#load}. */
    static Target load(
            long startSector, long lengthSectors, List<String> arguments, TargetFactory.BackingOpener backings)
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
                starts[i] =
                        TableWords.number(arguments.get(3 + 2 * i), Long.MAX_VALUE / TableWords.SECTOR_BYTES, reason);
                opened.add(TableWords.open(backings, arguments.get(2 + 2 * i), reason));
                TableWords.checkArea(opened.get(i), starts[i], lengthSectors / count);
            }
            return new StripedTarget(chunk * TableWords.SECTOR_BYTES, opened.toArray(new Backing[0]), starts);
        } catch (TableException | RuntimeException | Error e) {
            opened.forEach(each -> Failures.after(e, each::close));
            throw e;
        }
    }

    // ---- The pieces: chunks, one after another, each on the next stripe.

    @Override
    protected long pieceAt(long offsetBytes) {
        return offsetBytes / chunkBytes;
    }

    @Override
    protected long endBytes(long chunk) {
        return (chunk + 1) * chunkBytes;
    }

    @Override
    protected Backing beneath(long chunk) {
        return stripes[(int) (chunk % stripes.length)];
    }

    @Override
    protected long within(long chunk, long offsetBytes) {
        return startSectors[(int) (chunk % stripes.length)] * TableWords.SECTOR_BYTES
                + chunk / stripes.length * chunkBytes
                + offsetBytes % chunkBytes;
    }

    private long within(long offsetBytes) {
        return within(pieceAt(offsetBytes), offsetBytes);
    }

    @Override
    public String type() {
        return "striped";
    }

    @Override
    public void flush() throws IOException {
        for (Backing b : stripes) {
            b.flush();
        }
    }

    @Override
    public long allocation(long offsetBytes, long lengthBytes) throws IOException {
        Backing first = beneath(pieceAt(offsetBytes));
        return first.allocation(within(offsetBytes), inFirstPiece(offsetBytes, lengthBytes));
    }

    @Override
    public void answersOwed(OwedAnswers answers) {
        for (Backing stripe : stripes) {
            stripe.answersOwed(
                    stillOwed -> answers.awaitOrReport((offset, length) -> tellOf(stripe, offset, length, stillOwed)));
        }
    }

    private void tellOf(Backing stripe, long offsetBytes, long lengthBytes, OwedAnswers.Writes stillOwed) {
        split(offsetBytes, lengthBytes, stillOwed, 0, (beneath, offset, length, owed, flags) -> {
            if (beneath == stripe) {
                owed.write(offset, length);
            }
            return true;
        });
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
        Failures failures = new Failures();
        for (Backing b : stripes) {
            failures.run(b::close);
        }
        failures.throwFirst();
    }
}
