// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.Words;

/** Reads the words of a table line, and refuses them with the reasons that the kernel logs. */
final class TableWords {
    static final int SECTOR_BYTES = 512;

    private TableWords() {}

    /** A backing as a table's word, which loads as the same again. */
    static String of(Backing backing) {
        return Words.escape(backing.display());
    }

    static TableException invalid(String reason) {
        return new TableException(reason, Errno.EINVAL.number());
    }

    /** A decimal number without sign, at most {@code max}; anything else is refused with {@code reason}. */
    static long number(String word, long max, String reason) throws TableException {
        if (word.isEmpty() || word.length() > 19 || !word.chars().allMatch(c -> c >= '0' && c <= '9')) {
            throw invalid(reason);
        }
        try {
            long value = Long.parseLong(word);
            if (value <= max) {
                return value;
            }
        } catch (NumberFormatException e) {
            throw new TableException(reason, Errno.EINVAL.number(), e);
        }
        throw invalid(reason);
    }

    /** Opens a device word; a failure keeps its errno and is logged with {@code reason}. */
    static Backing open(TargetFactory.BackingOpener backings, String word, String reason) throws TableException {
        try {
            return backings.open(word);
        } catch (ErrnoException e) {
            throw new TableException(reason, e.errno(), e);
        } catch (IOException e) {
            throw new TableException(reason, Errno.EIO.number(), e);
        }
    }

    /** Refuses an area that does not lie within {@code backing}. */
    static void checkArea(Backing backing, long startSector, long lengthSectors) throws TableException {
        long sectors = backing.sizeBytes() / SECTOR_BYTES;
        if (startSector > sectors - lengthSectors) {
            throw invalid(backing.display() + " too small for target: start=" + startSector + ", len=" + lengthSectors
                    + ", dev_size=" + sectors);
        }
    }
}
