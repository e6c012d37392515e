// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.dmera.dmsetup.targets.ChangeTracking;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What is said of blocks by the slice is what would be said of each of them by itself. */
@Timeout(300)
class StatusRunsTest {
    private static final long GIB = 1L << 30;

    /** The eras of one device, and what is asked for of it. */
    private static final class Case {
        final int[] eras;
        final long blockBytes;
        final long fromBytes;
        final long endBytes;
        final long sinceEra;
        final int limit;

        Case(int[] eras, long blockBytes, long fromBytes, long endBytes, long sinceEra, int limit) {
            this.eras = eras;
            this.blockBytes = blockBytes;
            this.fromBytes = fromBytes;
            this.endBytes = endBytes;
            this.sinceEra = sinceEra;
            this.limit = limit;
        }
    }

    /** Runs as (bytes, status), with up to {@code limit} of them, the last cut at {@code longest} bytes: the plain way. */
    private static List<String> expected(Case c, boolean wide) {
        long longest = wide ? Long.MAX_VALUE : 2 * GIB;
        List<String> runs = new ArrayList<>();
        long bytes = 0;
        long last = -1;
        for (long at = c.fromBytes; at < c.endBytes && bytes < longest; ) {
            long blockEnd = Math.min(c.endBytes, (at / c.blockBytes + 1) * c.blockBytes);
            long era = Integer.toUnsignedLong(c.eras[(int) (at / c.blockBytes)]);
            long status = c.sinceEra < 0 ? era : era >= c.sinceEra ? 1 : 0;
            if (status != last) {
                if (bytes > 0) {
                    runs.add(bytes + ":" + last);
                }
                if (runs.size() == c.limit) {
                    return runs;
                }
                bytes = 0;
                last = status;
            }
            bytes += blockEnd - at;
            at = blockEnd;
        }
        runs.add(Math.min(bytes, longest) + ":" + last);
        return runs;
    }

    /** The same by slices of random lengths, some of which begin or end inside of a block. */
    private static List<String> said(Case c, boolean wide, NbdMemory memory, Random random) throws Exception {
        try (StatusRuns out = new StatusRuns(memory, wide)) {
            out.clear(c.limit);
            boolean more = true;
            for (long at = c.fromBytes; more && at < c.endBytes; ) {
                int first = (int) (at / c.blockBytes);
                int blocks = 1 + random.nextInt(c.eras.length - first);
                long start = first * c.blockBytes;
                long end = Math.min(c.endBytes, start + blocks * c.blockBytes);
                if (random.nextInt(4) == 0) {
                    end = Math.max(at + 512, end - 512);
                }
                int[] slice = new int[blocks];
                System.arraycopy(c.eras, first, slice, 0, blocks);
                more = out.addBlocks(slice, c.blockBytes, at - start, end - start, c.sinceEra);
                at = end;
            }
            out.end();
            ByteBuffer sent = ByteBuffer.allocate(out.bytes());
            // Longer ones are not copied in the engine, but may be.
            out.copyTo(sent);
            sent.flip();
            List<String> runs = new ArrayList<>();
            while (sent.hasRemaining()) {
                runs.add(
                        wide
                                ? sent.getLong() + ":" + sent.getLong()
                                : Integer.toUnsignedLong(sent.getInt()) + ":" + Integer.toUnsignedLong(sent.getInt()));
            }
            assertEquals(runs.size(), out.count());
            return runs;
        }
    }

    private static Case random(Random random) {
        long blockBytes = random.nextInt(5) == 0 ? GIB / 4 : 4096L << random.nextInt(3);
        int[] eras = new int[1 + random.nextInt(random.nextInt(10) == 0 ? 9000 : 40)];
        int kinds = 1 + random.nextInt(4);
        for (int i = 0; i < eras.length; i++) {
            // Eras on both sides of 2^31 are compared as unsigned numbers.
            eras[i] = random.nextInt(kinds) * 0x60000001;
        }
        long from = random.nextInt(eras.length) / 2 * blockBytes + 512L * random.nextInt(8);
        long end = Math.max(from + 512, eras.length * blockBytes - 512L * random.nextInt(8));
        long since = List.of(-1L, 1L, 0x60000001L, 0xc0000002L).get(random.nextInt(4));
        return new Case(eras, blockBytes, from, end, since, random.nextInt(3) == 0 ? 1 : StatusRuns.MAX_RUNS);
    }

    @Test
    void slicesSayWhatEachBlockWouldSay() throws Exception {
        NbdMemory memory = new NbdMemory(64 << 20);
        int most = 0;
        for (int seed = 0; seed < 4000; seed++) {
            Random random = new Random(seed);
            Case c = random(random);
            boolean wide = random.nextBoolean();
            List<String> runs = said(c, wide, memory, random);
            assertEquals(expected(c, wide), runs, "seed " + seed);
            most = Math.max(most, runs.size());
        }
        // More than the small buffer holds, so that runs have moved to the large one.
        assertTrue(most > 4096, "longest answer: " + most);
        assertEquals(0, memory.payloadBytes());
    }

    @Test
    void anAnswerForWhichThereIsNoMemoryEndsWithWhatTheSmallBufferHolds() throws Exception {
        int[] eras = new int[20_000];
        for (int i = 0; i < eras.length; i++) {
            eras[i] = i & 1;
        }
        NbdMemory none = new NbdMemory(4 << 20);
        Case all = new Case(eras, 4096, 0, eras.length * 4096L, -1, StatusRuns.MAX_RUNS);
        List<String> runs = said(all, true, none, new Random(1));
        assertEquals(expected(all, true).subList(0, runs.size()), runs);
        assertEquals(((32 << 10) - 64) / 16, runs.size());
    }

    @Test
    void visitorsOfRunsHearTheSame() throws Exception {
        for (int seed = 0; seed < 500; seed++) {
            Case c = random(new Random(seed));
            List<String> heard = new ArrayList<>();
            ChangeTracking.EraRuns visitor = (bytes, era) -> heard.add(bytes + ":" + Integer.toUnsignedLong(era));
            visitor.blocks(c.eras, c.blockBytes, c.fromBytes, c.endBytes);
            Case eras = new Case(c.eras, c.blockBytes, c.fromBytes, c.endBytes, -1, StatusRuns.MAX_RUNS);
            assertEquals(expected(eras, true), heard, "seed " + seed);
        }
    }
}
