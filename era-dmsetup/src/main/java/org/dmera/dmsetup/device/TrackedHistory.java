// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.dmera.core.EraToken;
import org.dmera.dmsetup.targets.ChangeTracking;

/**
 * The history of the one target of a device that tracks changes, as {@link EraToken} wants it. It is read in slices of a
 * moment each: all of a large device takes a while, during which it can be suspended.
 */
public record TrackedHistory(DeviceIo io, Object lineage, ChangeTracking target, long startBytes, long lengthBytes) {
    private static final long MAX_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

    /** That of the device as it is now; null when no target tracks changes, or several do. */
    public static TrackedHistory of(DeviceIo io) {
        // First: should other metadata come in between, reading is refused.
        Object lineage = io.lineage();
        TargetTable table = io.table();
        for (int i = 0; lineage != null && table != null && i < table.count(); i++) {
            if (table.target(i) instanceof ChangeTracking target) {
                return new TrackedHistory(
                        io, lineage, target, table.startBytes(i), table.endBytes(i) - table.startBytes(i));
            }
        }
        return null;
    }

    private long blocks() {
        return (lengthBytes + target.blockSizeBytes() - 1) / target.blockSizeBytes();
    }

    /** For asking later what was written after what can be read now. */
    public EraToken token() throws IOException {
        long era = Integer.toUnsignedLong(target.newEra());
        long current = Integer.toUnsignedLong(target.currentEra());
        return EraToken.of(era, current, blocks(), target.blockSizeBytes() / 512, this::forEach);
    }

    /** As {@link EraToken#contradiction}. */
    public String contradiction(EraToken token) throws IOException {
        long current = Integer.toUnsignedLong(target.currentEra());
        return token.contradiction(current, blocks(), target.blockSizeBytes() / 512, this::forEach);
    }

    private void forEach(EraToken.Runs visitor) throws IOException {
        long[] at = {0};
        while (at[0] < lengthBytes) {
            long began = System.nanoTime();
            io.lastWritten(startBytes + at[0], lengthBytes - at[0], lineage, (bytes, era) -> {
                visitor.run(
                        (bytes + target.blockSizeBytes() - 1) / target.blockSizeBytes(), Integer.toUnsignedLong(era));
                at[0] += bytes;
                return System.nanoTime() - began < MAX_NANOS;
            });
        }
    }
}
