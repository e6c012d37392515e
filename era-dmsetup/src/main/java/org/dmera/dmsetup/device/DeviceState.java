// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

/**
 * What a mapped device is at one moment. It never changes: a change of the device is another value, made from this one.
 *
 * @param name its name
 * @param uuid its uuid, empty for none
 * @param suspended whether it is suspended
 * @param attached whether it is to have a node in /dev
 * @param deferredRemove whether its last close removes it
 * @param live the live table, or null
 * @param inactive the inactive table, or null
 */
record DeviceState(
        String name,
        String uuid,
        boolean suspended,
        boolean attached,
        boolean deferredRemove,
        Slot live,
        Slot inactive) {

    /**
     * A table in one of the two slots. One that could not be brought back after a restart is lost: it has no targets, but its
     * words stay, until another table takes the slot.
     *
     * @param table the table, or null for a lost one
     * @param words how it is loaded again
     */
    record Slot(LoadedTable table, DeviceRecord.Table words) {
        static Slot of(LoadedTable table) {
            return new Slot(table, table.words());
        }

        private static Slot lost(DeviceRecord.Table words) {
            return words == null ? null : new Slot(null, words);
        }

        boolean isLost() {
            return table == null;
        }
    }

    /** A device as it is made: without tables. */
    static DeviceState fresh(String name, String uuid) {
        return new DeviceState(name, uuid, false, false, false, null, null);
    }

    /** A device that is about to be brought back: its tables are lost so far. */
    static DeviceState remembered(DeviceRecord record) {
        return new DeviceState(
                record.name(),
                record.uuid(),
                record.suspended(),
                record.attached(),
                record.deferredRemove(),
                Slot.lost(record.live()),
                Slot.lost(record.inactive()));
    }

    /** What is remembered of it. */
    DeviceRecord record(int minor, String id) {
        return new DeviceRecord(
                minor,
                id,
                name,
                uuid,
                suspended,
                live == null ? null : live.words,
                inactive == null ? null : inactive.words,
                attached,
                deferredRemove);
    }

    /** The table in the inactive slot, or the live one; null for none, and for a lost one. */
    LoadedTable table(boolean ofInactive) {
        Slot slot = ofInactive ? inactive : live;
        return slot == null ? null : slot.table;
    }

    /** Whether there is a live table that could not be brought back. */
    boolean hasLostLive() {
        return live != null && live.isLost();
    }

    /** Whether there is an inactive table that could not be brought back. */
    boolean hasLostInactive() {
        return inactive != null && inactive.isLost();
    }

    DeviceState withName(String newName) {
        return new DeviceState(newName, uuid, suspended, attached, deferredRemove, live, inactive);
    }

    DeviceState withUuid(String newUuid) {
        return new DeviceState(name, newUuid, suspended, attached, deferredRemove, live, inactive);
    }

    DeviceState withSuspended(boolean nowSuspended) {
        return new DeviceState(name, uuid, nowSuspended, attached, deferredRemove, live, inactive);
    }

    DeviceState withAttached(boolean nowAttached) {
        return new DeviceState(name, uuid, suspended, nowAttached, deferredRemove, live, inactive);
    }

    DeviceState withDeferredRemove(boolean nowDeferred) {
        return new DeviceState(name, uuid, suspended, attached, nowDeferred, live, inactive);
    }

    DeviceState withLive(Slot newLive) {
        return new DeviceState(name, uuid, suspended, attached, deferredRemove, newLive, inactive);
    }

    DeviceState withInactive(Slot newInactive) {
        return new DeviceState(name, uuid, suspended, attached, deferredRemove, live, newInactive);
    }
}
