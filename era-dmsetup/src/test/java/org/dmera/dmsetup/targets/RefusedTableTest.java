// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a table line had opened is closed when there is no target in the end: it would stay claimed. */
class RefusedTableTest {
    @ParameterizedTest
    @ValueSource(strings = {"linear a 0", "striped 2 8 a 0 b 0"})
    void anErrorInTheMiddleLeavesNothingOpen(String line) {
        List<MemoryBacking> opened = new ArrayList<>();
        TargetFactory.BackingOpener opener = name -> {
            MemoryBacking backing = new MemoryBacking(name, 4096) {
                @Override
                public long sizeBytes() {
                    if (name.equals("b") || line.startsWith("linear")) {
                        throw new IllegalStateException("for the test");
                    }
                    return super.sizeBytes();
                }
            };
            opened.add(backing);
            return backing;
        };
        List<String> words = List.of(line.split(" "));
        TargetFactory type = TargetRegistry.simple().stream()
                .filter(each -> each.type().equals(words.get(0)))
                .findFirst()
                .orElseThrow();
        IllegalStateException e =
                assertThrows(IllegalStateException.class, () -> type.load(16, words.subList(1, words.size()), opener));
        assertEquals("for the test", e.getMessage());
        assertEquals(words.contains("b") ? 2 : 1, opened.size());
        for (MemoryBacking backing : opened) {
            assertTrue(backing.closed, backing.display());
        }
    }
}
