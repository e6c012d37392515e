// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.metadata.EraMetadata;
import org.junit.jupiter.api.Test;

/** Metadata of a running target is read until nothing was committed meanwhile; what is damaged then is said to be. */
class UnchangedReadingTest {
    private final MemoryBlockDevice device = new MemoryBlockDevice(64);
    private final EraMetadata metadata = formatted();
    private int readings;

    private EraMetadata formatted() {
        try {
            EraMetadata fresh = EraMetadata.openOrFormat(device, 8);
            fresh.resize(100);
            fresh.commit();
            return fresh;
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private void nextEra() throws IOException {
        metadata.rollover();
        metadata.commit();
    }

    private <T> T read(MetadataRoots.Reading<T> reading) throws IOException {
        return MetadataRoots.readUnchanged(device, "m", "stop it", roots -> {
            readings++;
            return reading.from(roots);
        });
    }

    private static DamagedMetadataException damage() {
        return new DamagedMetadataException(DamageKind.BAD_CHECKSUM, 7, "era array", "bad checksum in block 7");
    }

    @Test
    void whatWasReadWhileAnEraBeganIsReadAgain() throws IOException {
        long before = metadata.currentEra();
        long era = read(roots -> {
            if (readings == 1) {
                nextEra();
            }
            return roots.currentEra();
        });
        assertEquals(before + 1, era);
        assertEquals(2, readings);
    }

    @Test
    void damageThatACommitExplainsIsReadAgain() throws IOException {
        long era = read(roots -> {
            if (readings == 1) {
                nextEra();
                throw damage();
            }
            return roots.currentEra();
        });
        assertEquals(metadata.currentEra(), era);
        assertEquals(2, readings);
    }

    @Test
    void damageOfUnchangedMetadataIsToldAtOnce() {
        DamagedMetadataException e = assertThrows(
                DamagedMetadataException.class,
                () -> read(roots -> {
                    throw damage();
                }));
        assertEquals(7, e.blockNr());
        assertEquals(1, readings);
    }

    @Test
    void metadataThatChangesEachTimeIsRefused() {
        IOException e = assertThrows(
                IOException.class,
                () -> read(roots -> {
                    nextEra();
                    return roots.currentEra();
                }));
        assertEquals("m changed each of the 20 times that it was read: stop it", e.getMessage());
        assertEquals(20, readings);
    }
}
