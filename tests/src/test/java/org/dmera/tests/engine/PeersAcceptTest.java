// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.format.DamageKind;
import org.dmera.testkit.EraExerciser;
import org.dmera.testkit.EraModel;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Every kernel image, gone on with by our engine, is metadata to thin-provisioning-tools too: era_check finds nothing,
 * and era_dump says of every block what our model says.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class PeersAcceptTest {
    private static final int OPERATIONS = Boolean.getBoolean("era.nightly") ? 300 : 30;
    /** The XML of larger origins takes longer to read than it is worth. */
    private static final int LARGEST_DUMPED = 20_000;

    private static final Pattern WRITESET = Pattern.compile("<writeset era=\"(\\d+)\"");
    private static final Pattern BIT = Pattern.compile("<bit block=\"(\\d+)\" value=\"true\"/>");
    private static final Pattern MARKED = Pattern.compile("<marked block_begin=\"(\\d+)\" len=\"(\\d+)\"/>");
    private static final Pattern ERA = Pattern.compile("<era block=\"(\\d+)\" era=\"(\\d+)\"/>");

    /** Metadata that our engine left, and what it means. */
    private record Left(String name, Path file, EraModel model, boolean hasLeftOverBlock) {}

    private final List<Left> left = new ArrayList<>();

    @BeforeAll
    void goOnFromEveryImage() throws IOException {
        // Not on tmpfs: the peers open files with O_DIRECT.
        Path folder = Fixtures.projectRoot().resolve("tests/target/engine-left");
        Files.createDirectories(folder);
        for (JsonNode image : Fixtures.images()) {
            String name = image.get("name").asText();
            MemoryBlockDevice device = new MemoryBlockDevice(Fixtures.imageBytes(image));
            int nrBlocks = image.get("nr_blocks").asInt();
            EraExerciser exerciser = new EraExerciser(
                    device,
                    name.hashCode(),
                    nrBlocks == 0 ? 3000 : nrBlocks,
                    1024,
                    image.get("block_size_sectors").asLong(),
                    state -> {});
            for (int i = 0; i < OPERATIONS || exerciser.model().currentEra == 0; i++) {
                exerciser.step();
            }
            exerciser.metadata().commit();
            Path file = folder.resolve(name);
            Files.write(file, device.bytes());
            boolean leftOver = MetadataChecker.check(device).count(DamageKind.LEFT_OVER_ARRAY_BLOCK) > 0;
            left.add(new Left(name, file, exerciser.model(), leftOver));
        }
    }

    @ParameterizedTest
    @EnumSource
    void aPeersCheckFindsNothingInWhatOurEngineLeft(Peer peer) throws IOException, InterruptedException {
        peer.assumeThere();
        for (Left metadata : left) {
            Peer.Result result = peer.run("era_check", metadata.file());
            String said = metadata.name() + ": " + result.out() + result.err();
            if (peer == Peer.CPP_0_9 && metadata.hasLeftOverBlock()) {
                // Version 0.9 takes the block that the kernel leaves behind after some shrinks for damage.
                assertTrue(said.contains("missing eras from era array"), said);
            } else if (metadata.hasLeftOverBlock() && result.exitCode() != 0) {
                // Version 1.1 does so when blocks before it are gone.
                assertTrue(said.contains("gaps in array indices"), said);
            } else {
                assertEquals(0, result.exitCode(), said);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void aPeersDumpSaysWhatTheModelSays(Peer peer) throws IOException, InterruptedException {
        peer.assumeThere();
        for (Left metadata : left) {
            EraModel model = metadata.model().copy();
            if (model.nrBlocks <= LARGEST_DUMPED && !(peer == Peer.CPP_0_9 && metadata.hasLeftOverBlock())) {
                Peer.Result result = peer.run("era_dump", metadata.file());
                if (metadata.hasLeftOverBlock() && result.err().contains("gaps in array indices")) {
                    continue;
                }
                assertEquals(0, result.exitCode(), () -> metadata.name() + ": " + result.err());
                if (peer == Peer.CPP_0_9) {
                    // Version 0.9 leaves the current writeset out.
                    model.current = null;
                }
                assertArrayEquals(model.eras(), eras(result.out(), model.nrBlocks), metadata.name());
            }
        }
    }

    /** When each block was last written, from a dump. */
    private static int[] eras(String xml, int nrBlocks) {
        int[] fromWritesets = new int[nrBlocks];
        int[] eras = new int[nrBlocks];
        int era = 0;
        for (String line : xml.split("\n", -1)) {
            Matcher writeset = WRITESET.matcher(line);
            Matcher bit = BIT.matcher(line);
            Matcher marked = MARKED.matcher(line);
            Matcher block = ERA.matcher(line);
            if (writeset.find()) {
                era = Integer.parseInt(writeset.group(1));
            } else if (bit.find()) {
                mark(fromWritesets, Integer.parseInt(bit.group(1)), 1, era);
            } else if (marked.find()) {
                mark(fromWritesets, Integer.parseInt(marked.group(1)), Integer.parseInt(marked.group(2)), era);
            } else if (block.find()) {
                int b = Integer.parseInt(block.group(1));
                if (b < nrBlocks) {
                    eras[b] = fromWritesets[b] != 0 ? fromWritesets[b] : Integer.parseInt(block.group(2));
                }
            }
        }
        return eras;
    }

    /** Writesets ascend by era, so the last one wins; their bits past the origin's end mean nothing. */
    private static void mark(int[] eras, int begin, int length, int era) {
        for (int block = begin; block < Math.min(begin + length, eras.length); block++) {
            eras[block] = era;
        }
    }
}
