// SPDX-License-Identifier: Apache-2.0
package org.dmera.core;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * A fingerprint of when blocks were last written before some era, in {@value #BYTES} bytes: of each of {@value #PARTS} parts of
 * the origin two sums and two blocks.
 *
 * <p>One sum is of the whole part and finds a difference anywhere, as long as nothing was written to the part since; the other is
 * of a short piece. What is left when a lot was written since are single blocks: the one that had been written longest ago,
 * which is likely to stay as it is, and one of the others, by chance. Of blocks that had been written, because in most places two
 * histories agree that nothing ever was.
 */
final class HistoryPrint {
    private static final int PARTS = 64;
    private static final int PART_BYTES = 2 * Short.BYTES + 2 * (Integer.BYTES + Short.BYTES);
    static final int BYTES = PARTS * PART_BYTES;

    private static final long NONE = 0xFFFFFFFFL;

    private final long nrBlocks;
    private final long since;
    /** For each part: of the whole and of a piece. */
    private final short[] sums = new short[2 * PARTS];
    /** For each part: the block written longest ago, and another one; and their eras, shortened. */
    private final long[] witnesses = new long[2 * PARTS];

    private final short[] eras = new short[2 * PARTS];

    private HistoryPrint(long nrBlocks, long since) {
        this.nrBlocks = nrBlocks;
        this.since = since;
    }

    /** That of {@code history}, of {@code nrBlocks} blocks, before era {@code since}. */
    static HistoryPrint of(long nrBlocks, long since, EraToken.History history) throws IOException {
        HistoryPrint print = new HistoryPrint(nrBlocks, since);
        Pass pass = print.new Pass();
        pass.read(history);
        System.arraycopy(pass.sums(), 0, print.sums, 0, print.sums.length);
        for (int i = 0; i < 2 * PARTS; i++) {
            print.witnesses[i] = pass.found[i];
            print.eras[i] = shortened(pass.foundEra[i]);
        }
        return print;
    }

    /** What blocks of another history, later on, can't be those of this one; null when there are none. */
    String difference(EraToken.History history) throws IOException {
        Pass pass = new Pass();
        pass.read(history);
        if (pass.difference != null) {
            return pass.difference;
        }
        short[] now = pass.sums();
        for (int i = 0; i < 2 * PARTS; i++) {
            if (!pass.written[i] && now[i] != sums[i]) {
                return "the eras of blocks " + pass.first[i] + " to " + (pass.end[i] - 1) + " are not those of then";
            }
        }
        return null;
    }

    void put(ByteBuffer to) {
        for (int i = 0; i < 2 * PARTS; i++) {
            to.putShort(sums[i]).putInt((int) witnesses[i]).putShort(eras[i]);
        }
    }

    static HistoryPrint get(long nrBlocks, long since, ByteBuffer from) {
        HistoryPrint print = new HistoryPrint(nrBlocks, since);
        for (int i = 0; i < 2 * PARTS; i++) {
            print.sums[i] = from.getShort();
            print.witnesses[i] = Integer.toUnsignedLong(from.getInt());
            print.eras[i] = from.getShort();
        }
        return print;
    }

    private static short shortened(long number) {
        long n = mix(number);
        return (short) (n ^ n >>> 16 ^ n >>> 32 ^ n >>> 48);
    }

    /** The finishing step of SplitMix64 (Steele, Lea and Flood, 2014). */
    private static long mix(long number) {
        long n = number + 0x9e3779b97f4a7c15L;
        n = (n ^ n >>> 30) * 0xbf58476d1ce4e5b9L;
        n = (n ^ n >>> 27) * 0x94d049bb133111ebL;
        return n ^ n >>> 31;
    }

    private long begin(int part) {
        return nrBlocks * part / PARTS;
    }

    /** The last part that begins at or before the block: not one of those without blocks. */
    private int part(long block) {
        return (int) ((PARTS * (block + 1) + nrBlocks - 1) / nrBlocks) - 1;
    }

    /** Reads a history once: sums it up, looks for witnesses, and hears those that there are. */
    private final class Pass implements EraToken.Runs {
        final long[] first = new long[2 * PARTS];
        final long[] end = new long[2 * PARTS];
        private final long[] states = new long[2 * PARTS];
        /** Something of what is summed was written since, or is no longer there. */
        final boolean[] written = new boolean[2 * PARTS];

        final long[] found = new long[2 * PARTS];
        final long[] foundEra = new long[2 * PARTS];
        String difference;
        /** Blocks that have come, before the run that is being joined. */
        private long at;

        private long count;
        private long era;

        Pass() {
            Arrays.fill(found, NONE);
            for (int part = 0; part < PARTS; part++) {
                long begin = begin(part);
                long whole = begin(part + 1) - begin;
                first[2 * part] = begin;
                end[2 * part] = begin + whole;
                // Its length is about the square root.
                long piece = whole == 0 ? 0 : 1L << (Long.SIZE - 1 - Long.numberOfLeadingZeros(whole)) / 2;
                first[2 * part + 1] = begin + Long.remainderUnsigned(mix(part), whole - piece + 1);
                end[2 * part + 1] = first[2 * part + 1] + piece;
            }
        }

        void read(EraToken.History history) throws IOException {
            history.forEach(this);
            endRun();
            for (int i = 0; i < 2 * PARTS; i++) {
                written[i] |= at < end[i];
            }
        }

        short[] sums() {
            short[] short16 = new short[2 * PARTS];
            for (int i = 0; i < 2 * PARTS; i++) {
                short16[i] = shortened(states[i]);
            }
            return short16;
        }

        @Override
        public void run(long length, long of) {
            if (of != era) {
                endRun();
                era = of;
            }
            count += length;
        }

        private void endRun() {
            long until = Math.min(at + count, nrBlocks);
            if (at < until) {
                int last = part(until - 1);
                for (int part = part(at); part <= last; part++) {
                    take(2 * part, until);
                    take(2 * part + 1, until);
                }
            }
            at += count;
            count = 0;
        }

        private void take(int i, long until) {
            long from = Math.max(at, first[i]);
            long shared = Math.min(until, end[i]) - from;
            if (shared > 0) {
                written[i] |= era >= since;
                states[i] = mix(mix(states[i] ^ era) + shared);
            }
            if (era >= since) {
                return;
            }
            long witness = witnesses[i];
            if (witness >= at && witness < until && shortened(era) != eras[i] && difference == null) {
                difference = "block " + witness + " was last written in another era than " + era + ", or never, then";
            }
            long place = Math.max(at, first[i & ~1]);
            boolean better = (i & 1) == 0 ? era < foundEra[i] : Long.compareUnsigned(mix(place), mix(found[i])) < 0;
            if (era > 0 && (found[i] == NONE || better)) {
                found[i] = place;
                foundEra[i] = era;
            }
        }
    }
}
