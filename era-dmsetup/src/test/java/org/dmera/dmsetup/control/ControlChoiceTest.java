// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ControlChoiceTest {
    private static final Path DEFAULT = ControlChoice.defaultSocket(Map.of());

    @Test
    void theOptionGoesBeforeTheVariable() {
        assertEquals(new ControlChoice(Path.of("/a"), true), ControlChoice.of("/a", Map.of("ERA_CONTROL", "/b")));
        assertEquals(new ControlChoice(Path.of("/b"), true), ControlChoice.of(null, Map.of("ERA_CONTROL", "/b")));
    }

    @Test
    void kernelAndEngineAreWordsForBoth() {
        assertEquals(new ControlChoice(null, true), ControlChoice.of("kernel", Map.of()));
        assertEquals(new ControlChoice(null, true), ControlChoice.of(null, Map.of("ERA_CONTROL", "kernel")));
        assertEquals(new ControlChoice(DEFAULT, true), ControlChoice.of("engine", Map.of()));
    }

    @Test
    void withoutEitherTheDefaultSocketIsTriedAndTheKernelMayStandIn() {
        assertEquals(new ControlChoice(DEFAULT, false), ControlChoice.of(null, Map.of()));
    }
}
