// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;

/**
 * What a mapped device is at one moment. It never changes: a change of the device is another value, made from this one by one
 * of the methods below, which do nothing else. What has to be done for it is the matter of a {@link Transition}.
 *
 * @param name its name
 * @param uuid its uuid, empty for none
 * @param phase whether requests go through
 * @param attached whether it is to have a node in /dev
 * @param deferredRemove whether its last close removes it
 * @param arriving a table that is open and on its way into a slot, or null
 * @param live the live table, or null
 * @param inactive the inactive table, or null
 */
record DeviceState(
        String name,
        String uuid,
        Phase phase,
        boolean attached,
        boolean deferredRemove,
        LoadedTable arriving,
        Slot live,
        Slot inactive) {

    /** Whether requests go through. */
    enum Phase {
        /** They do, if there is a live table. */
        RUNNING,
        /** They are about to: a restart would let them, and nobody is told yet. */
        STARTING,
        /** They wait, by a user's wish or because a target failed; after a restart too. */
        SUSPENDED,
        /** They wait because the engine ends; a restart lets them go. */
        STOPPED
    }

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
        return new DeviceState(name, uuid, Phase.RUNNING, false, false, null, null, null);
    }

    /** A device that is about to be brought back: its tables are lost so far. */
    static DeviceState remembered(DeviceRecord record) {
        return new DeviceState(
                record.name(),
                record.uuid(),
                record.suspended() ? Phase.SUSPENDED : Phase.RUNNING,
                record.attached(),
                record.deferredRemove(),
                null,
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
                phase == Phase.SUSPENDED,
                live == null ? null : live.words,
                inactive == null ? null : inactive.words,
                attached,
                deferredRemove);
    }

    /** What users are told: also while it is on its way out of that. */
    boolean isSuspended() {
        return phase == Phase.SUSPENDED || phase == Phase.STARTING;
    }

    /** Whether its targets are suspended, for whatever reason. */
    boolean isAtRest() {
        return phase == Phase.SUSPENDED || phase == Phase.STOPPED;
    }

    /** Whether the engine has brought it to rest for its own end. */
    boolean isStopped() {
        return phase == Phase.STOPPED;
    }

    /** Every table that there is: in the slots, and on the way there. */
    List<LoadedTable> tables() {
        return Stream.of(arriving, table(false), table(true))
                .filter(Objects::nonNull)
                .distinct()
                .toList();
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

    /** Whether a table that could not be brought back was on the mapped device of that id. */
    boolean waitsFor(String id) {
        return Stream.of(live, inactive)
                .filter(slot -> slot != null && slot.isLost())
                .flatMap(slot -> slot.words.found().stream())
                .anyMatch(found -> found.isMapped(id));
    }

    DeviceState renamed(String newName) {
        return new DeviceState(newName, uuid, phase, attached, deferredRemove, arriving, live, inactive);
    }

    /** Throws EINVAL when it has a uuid: that is for ever. */
    DeviceState identified(String newUuid) throws ErrnoException {
        if (!uuid.isEmpty()) {
            throw new ErrnoException(name + " has a uuid already", Errno.EINVAL);
        }
        return new DeviceState(name, newUuid, phase, attached, deferredRemove, arriving, live, inactive);
    }

    DeviceState attached(boolean nowAttached) {
        return new DeviceState(name, uuid, phase, nowAttached, deferredRemove, arriving, live, inactive);
    }

    DeviceState removalDeferred(boolean nowDeferred) {
        return new DeviceState(name, uuid, phase, attached, nowDeferred, arriving, live, inactive);
    }

    /** A table is open; {@link #loaded} or {@link #startedWithArriving} puts it into a slot. Null: it is gone again. */
    DeviceState arriving(LoadedTable table) {
        return new DeviceState(name, uuid, phase, attached, deferredRemove, table, live, inactive);
    }

    /** The table that was on its way is in the inactive slot. */
    DeviceState loaded() {
        return new DeviceState(name, uuid, phase, attached, deferredRemove, null, live, Slot.of(arriving));
    }

    DeviceState cleared() {
        return new DeviceState(name, uuid, phase, attached, deferredRemove, arriving, live, null);
    }

    DeviceState suspended() {
        return in(Phase.SUSPENDED);
    }

    DeviceState stopped() {
        return in(Phase.STOPPED);
    }

    /** It is about to go on as it is; EINVAL without a live table. */
    DeviceState started() throws ErrnoException {
        if (table(false) == null) {
            throw new ErrnoException("resume of " + name + ", which has no table", Errno.EINVAL);
        }
        return in(Phase.STARTING);
    }

    /** It is about to go on with the inactive table. */
    DeviceState startedWithInactive() {
        return new DeviceState(name, uuid, Phase.STARTING, attached, deferredRemove, arriving, inactive, null);
    }

    /** It is about to go on with the table that is on its way. */
    DeviceState startedWithArriving() {
        return broughtBack().in(Phase.STARTING);
    }

    /** The table that was on its way is live; the device is suspended as before, or not. */
    DeviceState broughtBack() {
        return new DeviceState(name, uuid, phase, attached, deferredRemove, null, Slot.of(arriving), inactive);
    }

    /** Requests go through now. */
    DeviceState running() {
        return in(Phase.RUNNING);
    }

    /** The device is gone, and its tables are closed. */
    DeviceState ended() {
        return new DeviceState(name, uuid, phase, attached, deferredRemove, null, null, null);
    }

    private DeviceState in(Phase newPhase) {
        return new DeviceState(name, uuid, newPhase, attached, deferredRemove, arriving, live, inactive);
    }
}
