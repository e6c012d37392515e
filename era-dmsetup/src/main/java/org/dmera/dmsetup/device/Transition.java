// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;

/**
 * A change of a device: the state that follows, and what is to be done on the way there. {@link RememberedState#apply} takes
 * every change through the same steps in the same order, so each is written down here once and for all:
 *
 * <ol>
 *   <li>{@link #prepare}: what can be taken back. A table is opened, a name reserved, I/O held and what was written synced.
 *   <li>{@link #next} is saved. When this fails, or anything before it, {@link #undo} has the device be as before.
 *   <li>{@link #publish}: it is the device's state, for whoever looks.
 *   <li>{@link #release}: it is carried out. Targets are suspended or resumed, I/O goes, listeners are told.
 *   <li>The tables in whose place others are, or none, are closed, also when carrying it out has failed.
 * </ol>
 *
 * <p>So whatever has been seen or answered is what a restart finds, at a kill between any two of them.
 */
@FunctionalInterface
interface Transition {
    /** The state that follows {@code now}, null for none: the device is gone. A refusal is thrown; nothing is done. */
    DeviceState next(DeviceState now) throws IOException;

    /** {@code next} alone, which comes about whether it can be saved or not. */
    static Transition savedOrNot(Transition next) {
        return new Transition() {
            @Override
            public DeviceState next(DeviceState now) throws IOException {
                return next.next(now);
            }

            @Override
            public boolean mustBeSaved() {
                return false;
            }
        };
    }

    /** Whether a state that can't be saved is none; otherwise it is one all the same, and the log says so. */
    default boolean mustBeSaved() {
        return true;
    }

    /** Does what can be taken back. May wait for I/O. */
    default void prepare() throws IOException {}

    /** Takes back as much of {@link #prepare} as was done; {@code cause}, which the caller hears of, takes what fails here. */
    default void undo(Throwable cause) {}

    /** The state is saved, and no other change comes in between. Waits for nothing. */
    default void publish() {}

    /** Carries it out. What fails here is told to the caller, and does not undo the change. */
    default void release() throws IOException {}
}
