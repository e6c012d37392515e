// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.StorageAreas;
import org.junit.jupiter.api.Test;

/** Before whose requests those who have left are waited for. */
class ArrivalTest {
    @Test
    void aWaitThatFailedForWantOfMemoryIsStillDue() {
        Served served = new Served();
        served.add(() -> true, StorageAreas::new);
        AtomicInteger asked = new AtomicInteger();
        Client client = served.add(() -> false, () -> {
            if (asked.getAndIncrement() == 0) {
                throw new OutOfMemoryError("for the test");
            }
            return new StorageAreas();
        });
        Arrival arrival = new Arrival(served, client);
        assertThrows(OutOfMemoryError.class, arrival::await);
        assertTrue(arrival.isDue());
        arrival.await();
        assertFalse(arrival.isDue());
        assertEquals(2, asked.get());
    }
}
