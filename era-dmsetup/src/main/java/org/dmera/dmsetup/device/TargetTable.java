// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.dmera.dmsetup.targets.SplitIo;
import org.dmera.dmsetup.targets.Target;

/** The targets of one table in the order of their sectors, without gaps: which one covers a byte of the device? */
public final class TargetTable extends SplitIo<Target> {
    static final int SECTOR_BYTES = 512;

    public record Line(long startSector, long lengthSectors, Target target) {}

    private final List<Line> lines;
    private final Target[] targets;
    /** {@code ends[i]}: the first byte of the device after {@code targets[i]}. */
    private final long[] ends;

    /** A table of {@code lines}, each of which begins where the one before it ends. */
    public TargetTable(List<Line> lines) {
        this.lines = List.copyOf(lines);
        targets = new Target[lines.size()];
        ends = new long[lines.size()];
        long nextSector = 0;
        for (int i = 0; i < lines.size(); i++) {
            Line line = lines.get(i);
            if (line.startSector != nextSector) {
                throw new IllegalArgumentException(
                        "line " + i + " starts at sector " + line.startSector + ", expected " + nextSector);
            }
            nextSector += line.lengthSectors;
            targets[i] = line.target;
            ends[i] = Math.multiplyExact(nextSector, SECTOR_BYTES);
        }
    }

    /** The lines, in order. */
    public List<Line> lines() {
        return lines;
    }

    public long sizeBytes() {
        return ends.length == 0 ? 0 : ends[ends.length - 1];
    }

    @Override
    public void flush() throws IOException {
        for (Target target : targets) {
            target.flush();
        }
    }

    int count() {
        return targets.length;
    }

    Target target(int index) {
        return targets[index];
    }

    long startBytes(int index) {
        return index == 0 ? 0 : ends[index - 1];
    }

    @Override
    protected long endBytes(long index) {
        return ends[(int) index];
    }

    @Override
    protected Target beneath(long index) {
        return targets[(int) index];
    }

    @Override
    protected long within(long index, long offsetBytes) {
        return offsetBytes - startBytes((int) index);
    }

    @Override
    protected long pieceAt(long offsetBytes) {
        return indexAt(offsetBytes);
    }

    /** Which target covers the byte at {@code offsetBytes}, which lies inside the device. */
    int indexAt(long offsetBytes) {
        int at = Arrays.binarySearch(ends, 0, ends.length - 1, offsetBytes);
        return at < 0 ? -1 - at : at + 1;
    }
}
