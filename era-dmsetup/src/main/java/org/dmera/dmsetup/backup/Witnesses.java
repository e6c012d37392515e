// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.StringJoiner;
import org.dmera.core.changes.LastWritten;

/**
 * Some blocks and the eras in which they were last written, remembered from one backup to the next, to notice metadata
 * that were made anew in between.
 *
 * <p>Metadata carry no name of their own (the kernel leaves the uuid zero), and an era counter that was reset climbs past
 * the old number again. But history can't change: a block's era at the next backup is either what it was, or at least
 * the base's. Metadata that were made anew say 0, or another era, for blocks that were not written since.
 */
final class Witnesses implements LastWritten.Visitor {
    private static final int SAMPLE = 256;

    private final Map<Long, Long> before = new HashMap<>();
    private final long baseEra;
    private final long[] blocks = new long[SAMPLE];
    private final long[] eras = new long[SAMPLE];
    private final SplittableRandom random = new SplittableRandom();
    private long written;
    private long lastBlock = -1;
    private long lastEra;
    private String contradiction;

    /**
     * @param before what {@link #text} gave at the base, or an empty string
     * @param baseEra the base
     */
    Witnesses(String before, long baseEra) {
        this.baseEra = baseEra;
        for (String pair : before.isEmpty() ? new String[0] : before.split(",", -1)) {
            int colon = pair.indexOf(':');
            this.before.put(Long.parseLong(pair.substring(0, colon)), Long.parseLong(pair.substring(colon + 1)));
        }
    }

    @Override
    public void block(long block, long era) {
        if (!before.isEmpty()) {
            Long was = before.get(block);
            if (was != null && was != era && era < baseEra) {
                contradiction = "block " + block + " was last written in era " + was
                        + " at the base, and now the metadata say era " + era;
            }
        }
        if (era == 0) {
            return;
        }
        // A sample in which every written block is as likely as any other, whatever their number.
        if (written < SAMPLE) {
            keep((int) written, block, era);
        } else {
            long place = random.nextLong(written + 1);
            if (place < SAMPLE) {
                keep((int) place, block, era);
            }
        }
        written++;
        // And the highest, which shows that an origin shrank and grew again.
        if (block > lastBlock) {
            lastBlock = block;
            lastEra = era;
        }
    }

    private void keep(int place, long block, long era) {
        blocks[place] = block;
        eras[place] = era;
    }

    /** What does not fit the base, or null. */
    String contradiction() {
        return contradiction;
    }

    /** What the next backup is to be given. */
    String text() {
        StringJoiner pairs = new StringJoiner(",");
        for (int i = 0; i < Math.min(written, SAMPLE); i++) {
            pairs.add(blocks[i] + ":" + eras[i]);
        }
        if (lastBlock >= 0) {
            pairs.add(lastBlock + ":" + lastEra);
        }
        return pairs.toString();
    }
}
