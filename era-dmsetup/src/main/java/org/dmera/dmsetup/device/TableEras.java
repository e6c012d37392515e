// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import org.dmera.dmsetup.targets.ChangeTracking;

/** What the targets of one table know of when their blocks were written. */
final class TableEras {
    private TableEras() {}

    /** The only target that tracks changes, or null when none does, or several do. */
    static ChangeTracking only(TargetTable table) {
        ChangeTracking only = null;
        for (int i = 0; table != null && i < table.count(); i++) {
            if (table.target(i) instanceof ChangeTracking tracking) {
                if (only != null) {
                    return null;
                }
                only = tracking;
            }
        }
        return only;
    }

    /** The era that writes are counted in, or −1 without {@link #only} one. */
    static long currentEra(TargetTable table) {
        ChangeTracking tracking = only(table);
        return tracking == null ? -1 : Integer.toUnsignedLong(tracking.currentEra());
    }

    /** As {@link DeviceIo#lastWritten}, of a range within the table. */
    static void lastWritten(TargetTable table, long offsetBytes, long lengthBytes, ChangeTracking.EraRuns visitor)
            throws IOException {
        int untracked = (int) currentEra(table);
        table.<IOException>split(
                offsetBytes,
                lengthBytes,
                (target, offset, length) -> target instanceof ChangeTracking tracking
                        ? tracking.lastWritten(offset, length, visitor)
                        : visitor.run(length, target.dependencies().isEmpty() ? 0 : untracked));
    }
}
