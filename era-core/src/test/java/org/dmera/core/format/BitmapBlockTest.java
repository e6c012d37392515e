// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import org.junit.jupiter.api.Test;

class BitmapBlockTest {
    private final BitmapBlock bitmap =
            new BitmapBlock().wrap(ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN), 0);

    @Test
    void highBitOfACountIsStoredFirst() {
        bitmap.count(0, 1).count(1, 2).count(2, 3);
        assertEquals(0b00_11_01_10, bitmap.buffer().get(BitmapBlock.COUNTS));
    }

    @Test
    void firstFreeAgreesWithLookingAtEachEntry() {
        Random random = new Random(7);
        for (int e = 0; e < BitmapBlock.ENTRIES; e++) {
            bitmap.count(e, 1 + random.nextInt(3));
        }
        for (int round = 0; round < 500; round++) {
            int hole = random.nextInt(BitmapBlock.ENTRIES);
            bitmap.count(hole, 0);
            int begin = random.nextInt(BitmapBlock.ENTRIES);
            int end = begin + random.nextInt(BitmapBlock.ENTRIES - begin + 1);
            assertEquals(hole >= begin && hole < end ? hole : -1, bitmap.firstFree(begin, end));
            bitmap.count(hole, 1 + random.nextInt(3));
        }
    }
}
