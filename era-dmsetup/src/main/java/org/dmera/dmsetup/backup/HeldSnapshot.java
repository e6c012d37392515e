// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.IOException;
import org.dmera.tools.backup.copy.MetadataView;

/**
 * A metadata snapshot that is held, as it can be told from others: where it is, and the era that was begun with it. Only one
 * is ever begun with an era, but after it was dropped another one may come to lie in the same block.
 *
 * @param block of the metadata device
 * @param era the current era in it
 */
record HeldSnapshot(long block, long era) {
    /** Before one is taken, when it isn't known yet where it will be. */
    private static final String ASKED = "asked";

    /** The one that the device holds, or null. */
    static HeldSnapshot of(EraDevice device) throws IOException {
        long block = device.snapshotBlock();
        if (block < 0) {
            return null;
        }
        try (MetadataView view = new MetadataView(device.metadata(), true)) {
            return new HeldSnapshot(block, view.roots().currentEra());
        }
    }

    /** What the state holds before one is taken; {@code currentEra} is the device's, and taking one begins the next. */
    static String asked(long currentEra) {
        return ASKED + " " + (currentEra + 1);
    }

    /** What the state holds once it is taken. */
    String text() {
        return block + " " + era;
    }

    /** Whether this is what the state noted. Of one that was noted before it was taken the era alone is known. */
    boolean isNotedAs(String note) {
        return note.equals(text()) || note.equals(ASKED + " " + era);
    }

    /**
     * Whether this may be one that was noted before it was taken, or may be somebody else's: another era began in between, by
     * somebody's checkpoint before it was taken, or with a snapshot that somebody took after a kill.
     */
    boolean mayBeNotedAs(String note) {
        return note.matches(ASKED + " [0-9]{1,18}") && era > Long.parseLong(note.substring(ASKED.length() + 1));
    }
}
