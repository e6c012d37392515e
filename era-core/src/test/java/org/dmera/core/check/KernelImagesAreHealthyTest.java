// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.format.DamageKind;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class KernelImagesAreHealthyTest {
    static Stream<JsonNode> images() {
        return Fixtures.images().stream();
    }

    @ParameterizedTest
    @MethodSource("images")
    void nothingIsWrongWithWhatTheKernelWrote(JsonNode image) throws Exception {
        CheckReport report = MetadataChecker.check(new MemoryBlockDevice(Fixtures.imageBytes(image)));
        assertTrue(report.isClean(), () -> image.get("name").asText() + "\n" + report);
        boolean formatted = image.get("state").asText().equals("loaded-never-resumed");
        assertEquals(formatted ? 1 : 0, report.count(DamageKind.NEVER_RESUMED));
    }

    @ParameterizedTest
    @MethodSource("images")
    void theHeldSnapshotAloneIsHealthyOrThereIsNone(JsonNode image) throws Exception {
        CheckReport report = MetadataChecker.check(
                new MemoryBlockDevice(Fixtures.imageBytes(image)), CheckOptions.of(CheckOptions.Scope.SNAPSHOT));
        boolean held = image.get("superblock").get("metadata_snap").asLong() != 0;
        assertEquals(held, report.isClean(), report::toString);
        assertEquals(!held, report.toString().contains("no current metadata snap"));
    }

    @Test
    void severalReadersSeeTheSame() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(3);
        try {
            CheckReport report = MetadataChecker.check(
                    new MemoryBlockDevice(Fixtures.imageBytes(Fixtures.image("h_large.snap_live"))),
                    CheckOptions.defaults().withThreads(4, threads));
            assertTrue(report.isClean(), report::toString);
        } finally {
            threads.shutdownNow();
        }
    }
}
