// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** How a request is cut at the borders of pieces. */
@Timeout(60)
class SplitIoTest {
    private static final int SECTOR = 512;

    /** In order. */
    private final List<String> asked = new ArrayList<>();

    /** A device of 2^60 bytes, which notes what it is asked for. */
    private Backing wide(String name) {
        return new MemoryBacking(name, 0) {
            @Override
            public long sizeBytes() {
                return 1L << 60;
            }

            @Override
            public void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags) {
                asked.add(operation + " " + name + " " + offsetBytes + " " + lengthBytes);
            }

            @Override
            public void prepare(long offsetBytes, long lengthBytes, Target.Prepared then) {
                asked.add(name);
                then.prepared(null);
            }
        };
    }

    private static Target striped(long sectors, int chunk, List<? extends Backing> stripes) throws Exception {
        List<String> words = new ArrayList<>(List.of(String.valueOf(stripes.size()), String.valueOf(chunk)));
        for (int i = 0; i < stripes.size(); i++) {
            words.addAll(List.of(String.valueOf(i), "0"));
        }
        return StripedTarget.load(sectors, words, name -> stripes.get(Integer.parseInt(name)));
    }

    @Test
    void aDiscardOfAnyNumberOfChunksIsOnePartOnEachDevice() throws Exception {
        long sectors = 1L << 52;
        Target target = striped(sectors, 1, List.of(wide("a"), wide("b")));
        long length = (sectors - 2) * SECTOR;
        target.submit(Operation.DISCARD, SECTOR, length, null, 0);
        assertFalse(target.mustWait(SECTOR, length));
        target.prepare(SECTOR, length, failure -> asked.add("prepared"));
        long each = (1L << 60) - SECTOR;
        assertEquals(List.of("DISCARD b 0 " + each, "DISCARD a 512 " + each, "b", "a", "prepared"), asked);
    }

    @Test
    void whatIsZeroedIsTheRangeHoweverItLies() throws Exception {
        Random random = new Random(1);
        for (int round = 0; round < 500; round++) {
            int chunk = 1 + random.nextInt(4);
            int stripes = 1 + random.nextInt(4);
            int perStripe = chunk * (1 + random.nextInt(6));
            List<MemoryBacking> beneath = new ArrayList<>();
            for (int i = 0; i < stripes; i++) {
                beneath.add(new MemoryBacking("" + i, perStripe * SECTOR));
            }
            byte[] expected = new byte[stripes * perStripe * SECTOR];
            Target target = striped(stripes * perStripe, chunk, beneath);
            random.nextBytes(expected);
            target.write(0, ByteBuffer.wrap(expected), 0);
            int from = random.nextInt(expected.length);
            int to = from + random.nextInt(expected.length - from + 1);
            target.submit(Operation.WRITE_ZEROES, from, to - from, null, 0);
            Arrays.fill(expected, from, to, (byte) 0);
            byte[] found = new byte[expected.length];
            target.read(0, ByteBuffer.wrap(found));
            assertArrayEquals(expected, found, chunk + " " + stripes + " " + perStripe + " " + from + " " + to);
        }
    }
}
