// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Severity;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.persistent.NoSpaceException;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.repair.SpaceMapRepair;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.testkit.Anatomy;
import org.dmera.testkit.Anatomy.Role;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.MetadataMutator;
import org.dmera.testkit.Readers;

/**
 * What must hold for any bytes on a metadata device. Given sound metadata and what has become of it, fails or says how
 * it went, in a few words that are the same for what is alike.
 */
public final class FuzzSubject implements BiFunction<byte[], byte[], String> {
    private static final Set<Role> WITHOUT_MARKS = EnumSet.of(Role.INDEX, Role.BITMAP, Role.REF_COUNT_TREE);

    private final IdentityHashMap<byte[], Map<Integer, Role>> rolesOfSound = new IdentityHashMap<>();
    private final IdentityHashMap<byte[], EraTruth> truthOfSound = new IdentityHashMap<>();
    private final BlockSeal seal = new BlockSeal();

    @Override
    public String apply(byte[] sound, byte[] image) {
        try {
            return judge(sound, image);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private String judge(byte[] sound, byte[] image) throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(image.clone());
        CheckReport report = MetadataChecker.check(device);
        EraTruth mustKeep = mustKeep(sound, image);
        StringBuilder how = new StringBuilder(summary(report)).append(rebuild(device, mustKeep));
        if (report.isClean()) {
            EraTruth content = isUsable(device);
            device = new MemoryBlockDevice(image.clone());
            assertArrayEquals(
                    content.latest(), salvage(device, SalvageHints.NONE).latest(), "clean, and salvaged");
            surviveTheEngine(device);
        } else if (!report.isBeyondAutoRepair() && !report.areTreesIncomplete() && SpaceMapRepair.isNeeded(report)) {
            how.append(autoRepair(device, report));
        }
        return how.toString();
    }

    private static String summary(CheckReport report) {
        StringBuilder what = new StringBuilder();
        for (DamageKind kind : DamageKind.values()) {
            long found = report.count(kind);
            if (found > 0) {
                what.append(kind.label())
                        .append(64 - Long.numberOfLeadingZeros(found))
                        .append(' ');
            }
        }
        return what.toString();
    }

    /**
     * What the sound metadata knew, if what has changed leaves no doubt that all of it has to survive: blocks that broke
     * can be told from sound ones, and the space map, forged or not, holds no mark. Else null.
     */
    private EraTruth mustKeep(byte[] sound, byte[] image) throws IOException {
        Map<Integer, Role> roles = rolesOfSound.get(sound);
        if (roles == null) {
            roles = new HashMap<>();
            for (Anatomy.Part part : new Anatomy(sound).parts()) {
                roles.put(part.blockNr(), part.role());
            }
            rolesOfSound.put(sound, roles);
            truthOfSound.put(sound, salvage(new MemoryBlockDevice(sound), SalvageHints.NONE));
        }
        boolean forged = false;
        for (int b = 0; b < image.length / 4096; b++) {
            if (MetadataMutator.isSame(sound, image, b) || !isInPlace(image, b)) {
                continue;
            }
            if (!WITHOUT_MARKS.contains(roles.get(b))) {
                return null;
            }
            forged = true;
        }
        // Without a superblock the space map decides which state was the last, so it must not lie then.
        return forged && !isInPlace(image, 0) ? null : truthOfSound.get(sound);
    }

    private boolean isInPlace(byte[] image, int blockNr) {
        ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        BlockType type = seal.identify(bytes, blockNr * 4096);
        return type != null && bytes.getLong(blockNr * 4096 + type.blockNrOffset()) == blockNr;
    }

    private static EraTruth salvage(MemoryBlockDevice device, SalvageHints hints) throws IOException {
        EraTruth content = new EraTruth();
        Salvage.open(device, hints).stream(content);
        return content;
    }

    private static String rebuild(MemoryBlockDevice device, EraTruth mustKeep) throws IOException {
        MemoryBlockDevice rebuilt = new MemoryBlockDevice(512);
        Salvage salvage;
        try {
            SalvageHints hints = mustKeep == null
                    ? new SalvageHints(8, -1, -1)
                    : new SalvageHints(mustKeep.dataBlockSizeSectors(), -1, mustKeep.currentEra());
            salvage = Salvage.open(device, hints);
            salvage.stream(new MetadataBuilder(rebuilt));
        } catch (IOException e) {
            // Refused: by what the message begins with.
            return " refused "
                    + e.getMessage().substring(0, Math.min(24, e.getMessage().length()));
        }
        CheckReport check = MetadataChecker.check(rebuilt);
        assertTrue(check.isClean(), () -> "the rebuilt metadata: " + check);
        EraTruth content = isUsable(rebuilt);
        if (mustKeep != null) {
            assertEquals(0, mustKeep.lostIn(content), () -> "marks lost; " + salvage.damages() + salvage.remarks());
        }
        return " rebuilt " + salvage.remarks().size();
    }

    private static String autoRepair(MemoryBlockDevice device, CheckReport report) throws IOException {
        try {
            SpaceMapRepair.repair(device, report);
        } catch (IOException e) {
            return " not mended";
        }
        CheckReport after = MetadataChecker.check(device);
        assertEquals(0, after.count(Severity.FATAL), () -> "after repair in place " + after);
        return " mended";
    }

    /** Reads all there is to read of metadata that the check calls clean, and returns it. */
    private static EraTruth isUsable(MemoryBlockDevice device) throws IOException {
        MetadataRoots roots = MetadataRoots.read(device);
        EraTruth content = new EraTruth();
        MetadataScanner.scan(device, roots, content);
        Readers.assertReadAlike(device, content.latest(), "clean");
        if (roots.metadataSnap() != 0) {
            MetadataRoots snapshot = MetadataRoots.readSnapshot(device);
            MetadataScanner.scan(device, snapshot, new EraTruth());
        }
        return content;
    }

    /** What the check calls clean can be written to, and stays clean. */
    private static void surviveTheEngine(MemoryBlockDevice device) throws IOException {
        MetadataRoots roots = MetadataRoots.read(device);
        try {
            EraMetadata metadata = EraMetadata.open(device, roots.dataBlockSizeSectors(), 64);
            for (int round = 0; round < 3; round++) {
                metadata.rollover();
                for (long b = round; b < Math.min(roots.nrBlocks(), 5000); b += 997) {
                    metadata.mark(b);
                }
                metadata.commit();
            }
        } catch (NoSpaceException e) {
            return;
        }
        CheckReport after = MetadataChecker.check(device);
        assertTrue(after.isClean(), () -> "clean, and written to: " + after);
    }
}
