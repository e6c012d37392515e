// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * A target that lies on areas of devices: chunks, one after another, each on the next area in turn. One area with one chunk is
 * the simplest.
 */
abstract class AreaTarget extends SplitIo<Backing> implements Target {
    private final long chunkBytes;
    private final Area[] areas;

    /** Sectors of a device, from one on. */
    record Area(Backing backing, long startSector) {}

    AreaTarget(long chunkBytes, List<Area> areas) {
        this.chunkBytes = chunkBytes;
        this.areas = areas.toArray(new Area[0]);
    }

    /**
     * Opens areas of {@code lengthSectors} each.
     *
     * @param words for each its device and its first sector
     * @param badSector the reason that is given for a word that is none, {@code badDevice} for a device that can't be opened
     */
    static List<Area> open(
            List<String> words,
            long lengthSectors,
            TargetFactory.BackingOpener opener,
            String badSector,
            String badDevice)
            throws TableException {
        List<Area> areas = new ArrayList<>();
        try {
            for (int i = 0; i < words.size(); i += 2) {
                long start = TableWords.number(words.get(i + 1), Long.MAX_VALUE / TableWords.SECTOR_BYTES, badSector);
                Backing backing = TableWords.open(opener, words.get(i), badDevice);
                areas.add(new Area(backing, start));
                TableWords.checkArea(backing, start, lengthSectors);
            }
            return areas;
        } catch (TableException | RuntimeException | Error e) {
            areas.forEach(each -> Failures.after(e, each.backing::close));
            throw e;
        }
    }

    @Override
    protected final long pieceAt(long offsetBytes) {
        return offsetBytes / chunkBytes;
    }

    @Override
    protected final long endBytes(long chunk) {
        return (chunk + 1) * chunkBytes;
    }

    private Area area(long chunk) {
        return areas[(int) (chunk % areas.length)];
    }

    @Override
    protected final Backing beneath(long chunk) {
        return area(chunk).backing;
    }

    @Override
    protected final long within(long chunk, long offsetBytes) {
        return area(chunk).startSector * TableWords.SECTOR_BYTES
                + chunk / areas.length * chunkBytes
                + offsetBytes % chunkBytes;
    }

    /** On each device the chunks of a range are one area, which is one part however many those are. */
    @Override
    public final <E extends Exception> boolean split(long offsetBytes, long lengthBytes, Part<? super Backing, E> part)
            throws E {
        long endBytes = offsetBytes + lengthBytes;
        long firstChunk = pieceAt(offsetBytes);
        long lastChunk = pieceAt(endBytes - 1);
        long afterFirsts = lengthBytes == 0 ? 0 : Math.min(firstChunk + areas.length, lastChunk + 1);
        for (long first = firstChunk; first < afterFirsts; first++) {
            long last = lastChunk - (lastChunk - first) % areas.length;
            long from = within(first, Math.max(offsetBytes, first * chunkBytes));
            long to = within(last, Math.min(endBytes, endBytes(last)) - 1) + 1;
            if (!part.on(beneath(first), from, to - from)) {
                return false;
            }
        }
        return true;
    }

    @Override
    public void flush() throws IOException {
        for (Area area : areas) {
            area.backing.flush();
        }
    }

    @Override
    public void answersOwed(OwedAnswers answers) {
        for (Backing each : dependencies()) {
            each.answersOwed(
                    stillOwed -> answers.awaitOrReport((offset, length) -> tellOf(each, offset, length, stillOwed)));
        }
    }

    private void tellOf(Backing backing, long offsetBytes, long lengthBytes, OwedAnswers.Writes stillOwed) {
        split(offsetBytes, lengthBytes, (beneath, offset, length) -> {
            if (beneath == backing) {
                stillOwed.write(offset, length);
            }
            return true;
        });
    }

    /** As a table names them: {@code DEVICE START}, for each, and a blank before each. */
    final String areas() {
        StringBuilder text = new StringBuilder();
        for (Area area : areas) {
            text.append(' ').append(TableWords.of(area.backing)).append(' ').append(area.startSector);
        }
        return text.toString();
    }

    @Override
    public void storage(long offsetBytes, long lengthBytes, StorageAreas found) {
        split(offsetBytes, lengthBytes, (backing, offset, length) -> {
            backing.storage(offset, length, found);
            return true;
        });
    }

    @Override
    public List<Backing> dependencies() {
        return Stream.of(areas).map(Area::backing).toList();
    }

    @Override
    public void close() throws IOException {
        Failures failures = new Failures();
        for (Area area : areas) {
            failures.run(area.backing::close);
        }
        failures.throwFirst();
    }
}
