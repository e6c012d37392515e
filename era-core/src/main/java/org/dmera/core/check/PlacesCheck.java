// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.io.IOException;
import java.util.stream.LongStream;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.read.Places;

/** Parts that trees have lost, or that are another's or older: who reads some of the trees sees nothing wrong. */
public final class PlacesCheck {
    /** A running target may commit at any moment, and what was seen of two states together says nothing. */
    private static final int ATTEMPTS = 20;

    private PlacesCheck() {}

    /**
     * Refuses what was read from {@code roots} if parts of it are missing, or others are in their place.
     *
     * @throws IOException also when {@code roots} are a snapshot's that isn't held any more
     */
    public static void refuse(BlockDevice device, MetadataRoots roots) throws IOException {
        Damage damage = find(device, roots.isSnapshot());
        roots.requireStillHeld(device);
        if (damage != null) {
            String structure = damage.structure().label();
            String block = damage.blockNr() == Damage.NO_BLOCK ? ": " : ": block " + damage.blockNr() + ": ";
            throw new DamagedMetadataException(
                            damage.kind(), damage.blockNr(), structure, structure + block + damage.detail())
                    .on(device.name());
        }
    }

    /**
     * What is wrong in that way with the live metadata, or with the held snapshot: null when nothing is, or when something was
     * committed each time that it was looked at.
     */
    static Damage find(BlockDevice device, boolean isOfSnapshot) throws IOException {
        MetadataRoots roots = MetadataRoots.read(device);
        if (Places.isEachUsedOnce(device, roots) && MetadataRoots.read(device).checksum() == roots.checksum()) {
            return null;
        }
        for (int i = 0; i < ATTEMPTS; i++) {
            CheckReport report = MetadataChecker.check(device, CheckOptions.of(CheckOptions.Scope.PLACES));
            if (report.seal() == MetadataRoots.read(device).checksum()) {
                for (Damage damage : report.damages()) {
                    if (isMisplaced(damage, report.table(), isOfSnapshot)) {
                        return damage;
                    }
                }
                return null;
            }
        }
        return null;
    }

    private static boolean isMisplaced(Damage damage, BlockUse table, boolean isOfSnapshot) {
        int walk = isOfSnapshot ? BlockUse.SNAPSHOT : BlockUse.LIVE;
        long first = damage.blockNr();
        return switch (damage.kind()) {
            case ORPHAN_TREE -> true;
            case ERA_MISSING -> damage.isOfSnapshot() == isOfSnapshot;
            case DOUBLY_USED, MISDIRECTED_WRITE -> !damage.structure().isSpaceMap() && table.hasMark(first, walk);
            case COUNT_TOO_LOW ->
                LongStream.range(first, first + damage.nrBlocks()).anyMatch(b -> table.hasMark(b, walk));
            default -> false;
        };
    }
}
