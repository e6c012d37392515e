// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Arrays;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.content.LastWritten;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.metadata.Digest;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;

/** All who read metadata, and that they read the same. */
public final class Readers {
    private Readers() {}

    /** Every reader there is: the check, the dump, the changes, the fold, the salvage, and the engine, which digests too. */
    public static void assertCleanAndReadAlike(MemoryBlockDevice device, int[] latest, String context)
            throws IOException {
        CheckReport report = MetadataChecker.check(device);
        assertTrue(report.isClean(), () -> context + ": " + report);
        assertReadAlike(device, latest, context);
        engine(device, MetadataRoots.read(device), latest, context);
    }

    /** Those that change nothing: the dump, the changes, the fold and the salvage. */
    public static void assertReadAlike(MemoryBlockDevice device, int[] latest, String context) throws IOException {
        MetadataRoots roots = MetadataRoots.read(device);
        EraTruth dumped = new EraTruth();
        MetadataScanner.scan(device, roots, dumped);
        assertArrayEquals(latest, dumped.latest(), context + ": dump");
        EraTruth folded = new EraTruth();
        LastWritten.stream(device, roots, folded);
        assertArrayEquals(latest, folded.latest(), context + ": logical dump");
        int[] told = new int[latest.length];
        LastWritten.forEach(device, roots, (block, era) -> told[(int) block] = (int) era);
        assertArrayEquals(latest, told, context + ": last written");
        EraTruth salvaged = new EraTruth();
        Salvage.open(device, SalvageHints.NONE).stream(salvaged);
        assertArrayEquals(latest, salvaged.latest(), context + ": salvage");
        for (long since :
                new long[] {0, 1, roots.currentEra() / 2, Math.max(0, roots.currentEra() - 3), roots.currentEra()}) {
            long expected = Arrays.stream(latest)
                    .filter(era -> Integer.toUnsignedLong(era) >= since)
                    .count();
            assertEquals(expected, ChangedBlocks.since(device, roots, since).count(), context + ": since " + since);
        }
    }

    private static void engine(MemoryBlockDevice device, MetadataRoots roots, int[] latest, String context)
            throws IOException {
        EraMetadata metadata = EraMetadata.open(device, roots.dataBlockSizeSectors(), 64);
        int[] live = new int[latest.length];
        metadata.readEras(0, live.length, live, 0);
        assertArrayEquals(latest, live, context + ": engine");
        Digest digest = new Digest(metadata);
        digest.begin();
        while (digest.step()) {
            metadata.readEras(0, live.length, live, 0);
            assertArrayEquals(latest, live, context + ": engine, during digestion");
        }
        metadata.commit();
        assertArrayEquals(latest, Arrays.copyOf(eras(device), latest.length), context + ": digested");
        CheckReport after = MetadataChecker.check(device);
        assertTrue(after.isClean(), () -> context + ": digested, " + after);
    }

    private static int[] eras(MemoryBlockDevice device) throws IOException {
        EraTruth content = new EraTruth();
        MetadataScanner.scan(device, MetadataRoots.read(device), content);
        return content.latest();
    }
}
