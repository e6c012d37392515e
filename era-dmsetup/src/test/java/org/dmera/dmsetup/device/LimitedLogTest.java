// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A storm of lines is cut short, told of, and hides nothing else. */
@Timeout(300)
class LimitedLogTest {
    private final BlockingQueue<String> log = new LinkedBlockingQueue<>();

    private List<String> all() {
        return new ArrayList<>(log);
    }

    @Test
    void aStormOfOneCauseHidesNoOther() {
        try (LimitedLog limited = new LimitedLog(log::add, Duration.ofHours(1))) {
            for (int i = 0; i < 5000; i++) {
                limited.accept("storms", () -> "storm");
            }
            limited.accept("others", () -> "other");
            assertEquals(LimitedLog.LINES + 1, log.size());
            assertTrue(log.contains("other"));
        }
        List<String> said = all();
        assertEquals(
                "storms: " + (5000 - LimitedLog.LINES) + " more lines like these were left out",
                said.get(said.size() - 1));
    }

    @Test
    void whatWasLeftOutIsToldWhenTheTimeIsOverThoughNothingFollows() throws Exception {
        try (LimitedLog limited = new LimitedLog(log::add, Duration.ofMillis(100))) {
            // On a busy machine the time may be over in the middle, so until the last is left out.
            AtomicBoolean written = new AtomicBoolean(true);
            int storms = 0;
            for (; written.getAndSet(false); storms++) {
                limited.accept("storms", () -> {
                    written.set(true);
                    return "storm";
                });
            }
            int known = 0;
            while (known < storms) {
                String line = log.poll(200, TimeUnit.SECONDS);
                assertNotNull(line, "it is not told");
                known += line.equals("storm")
                        ? 1
                        : Integer.parseInt(
                                line.replaceFirst("^storms: ([0-9]+) more lines like these were left out$", "$1"));
            }
            assertEquals(storms, known);
            limited.accept("storms", () -> "anew");
            assertEquals("anew", log.poll(200, TimeUnit.SECONDS));
        }
        assertEquals(List.of(), all(), "nothing is told twice");
    }
}
