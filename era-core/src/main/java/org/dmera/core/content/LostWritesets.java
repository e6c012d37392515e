// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

import java.io.IOException;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.evidence.Damage;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.read.WritesetScanner;

/** Eras that have no writeset: whether they have lost it only what is in use shows, so that all has to be looked at. */
final class LostWritesets {
    private LostWritesets() {}

    /** Refuses what {@code writesets} has listed if some are missing; of what a snapshot holds nothing shows it. */
    static void refuse(BlockDevice device, MetadataRoots roots, WritesetScanner writesets) throws IOException {
        if (!writesets.hasGap() || roots.isSnapshot()) {
            return;
        }
        for (Damage damage : MetadataChecker.check(device).damages()) {
            if (damage.kind() == DamageKind.ERA_MISSING) {
                String structure = damage.structure().label();
                String message = structure + ": " + damage.detail();
                throw new DamagedMetadataException(damage.kind(), damage.blockNr(), structure, message)
                        .on(device.name());
            }
        }
    }
}
