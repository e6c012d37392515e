// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.EnumSet;
import java.util.Random;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.CheckOptions;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.testkit.FaultyBlockDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The quick look at the places of blocks knows what it says: what it takes for sound, the thorough one does. */
class PlacesTest {
    private static final EnumSet<DamageKind> MISSED = EnumSet.of(
            DamageKind.ORPHAN_TREE,
            DamageKind.ERA_MISSING,
            DamageKind.DOUBLY_USED,
            DamageKind.MISDIRECTED_WRITE,
            DamageKind.COUNT_TOO_LOW);

    @ParameterizedTest
    @ValueSource(ints = {64, 3 * BitmapBlock.ENTRIES})
    void metadataOfARunningDeviceNeedsNoThoroughLookUnlessASnapshotIsHeld(int metadataBlocks) throws Exception {
        MemoryBlockDevice device = new MemoryBlockDevice(metadataBlocks);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(metadataBlocks * 300L);
        for (int i = 0; i < 4; i++) {
            metadata.rollover();
            metadata.mark(i);
            metadata.commit();
            assertTrue(isSound(device), "era " + i);
        }
        metadata.takeSnapshot();
        metadata.commit();
        assertFalse(isSound(device), "a snapshot is held");
    }

    @Test
    void whateverFieldIsWrongTheQuickLookSeesWhatTheThoroughOneSees() throws IOException {
        MemoryBlockDevice sound = new MemoryBlockDevice(64);
        EraMetadata metadata = EraMetadata.openOrFormat(sound, 8);
        metadata.resize(3000);
        for (int i = 0; i < 5; i++) {
            metadata.rollover();
            metadata.mark(i * 500L);
        }
        metadata.commit();
        int missed = 0;
        for (int seed = 0; seed < 1000; seed++) {
            MemoryBlockDevice device = new MemoryBlockDevice(64);
            System.arraycopy(sound.bytes(), 0, device.bytes(), 0, sound.bytes().length);
            change(device, new Random(seed));
            boolean isMissed =
                    MetadataChecker.check(device, CheckOptions.of(CheckOptions.Scope.PLACES)).damages().stream()
                            .anyMatch(damage -> MISSED.contains(damage.kind()));
            missed += isMissed ? 1 : 0;
            assertFalse(isMissed && isSound(device), "seed " + seed);
        }
        assertTrue(missed > 300, missed + " of the changes can be seen");
    }

    /** Another value in a node, another number of entries, or another count. */
    private static void change(MemoryBlockDevice device, Random random) {
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        BlockSeal seal = new BlockSeal();
        BlockType type = null;
        int at = 0;
        while (type != BlockType.BTREE_NODE && type != BlockType.BITMAP) {
            at = random.nextInt(64) * BlockDevice.BLOCK_BYTES;
            type = seal.identify(bytes, at);
        }
        if (type == BlockType.BITMAP) {
            int entry = random.nextInt(64);
            new BitmapBlock().wrap(bytes, at).count(entry, random.nextInt(4));
        } else {
            BTreeNode node = new BTreeNode().wrap(bytes, at);
            int n = node.nrEntries();
            if (n > 0 && random.nextInt(4) > 0 && node.valueSize() == Long.BYTES) {
                node.valueLong(random.nextInt(n), random.nextInt(70));
            } else {
                node.nrEntries(Math.max(0, n + random.nextInt(3) - 1));
            }
        }
        seal.seal(type, bytes, at, at / BlockDevice.BLOCK_BYTES);
    }

    /** The trees are whole, and tell what was written. */
    @Test
    void aSpaceMapThatTheDeviceFailsToReadKeepsNobodyFromReadingTheTrees() throws IOException {
        MemoryBlockDevice sound = new MemoryBlockDevice(64);
        EraMetadata metadata = EraMetadata.openOrFormat(sound, 8);
        metadata.resize(3000);
        metadata.rollover();
        metadata.mark(5);
        metadata.commit();
        MetadataRoots roots = MetadataRoots.read(sound);
        long index = roots.superblock().spaceMapBitmapRoot();
        ByteBuffer bytes = ByteBuffer.wrap(sound.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        long bitmap = new IndexBlock()
                .wrap(bytes, (int) index * BlockDevice.BLOCK_BYTES)
                .bitmapBlock(0);
        for (long block : new long[] {index, bitmap}) {
            FaultyBlockDevice device = new FaultyBlockDevice(sound);
            device.failOn(block);
            assertEquals(1, ChangedBlocks.since(device, roots, 1).count(), "block " + block);
        }
    }

    private static boolean isSound(BlockDevice device) throws IOException {
        return Places.isEachUsedOnce(device, MetadataRoots.read(device));
    }

    @Test
    void countsThatDifferFromTheReferencesAreFoundOneByOne() {
        Random random = new Random(1);
        for (int round = 0; round < 50; round++) {
            int size = 1 + random.nextInt(3 * BitmapBlock.ENTRIES);
            BlockUse table = new BlockUse(size);
            StoredCounts counts = new StoredCounts(3);
            int unread = random.nextInt(4);
            for (int i = 0; i < 3; i++) {
                if (i != unread) {
                    ByteBuffer block =
                            ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
                    counts.bitmap(i, block);
                }
            }
            for (int i = 0; i < 200; i++) {
                int b = random.nextInt(size);
                for (int n = random.nextInt(5); n > 0; n--) {
                    table.addReference(b);
                }
                int entry = random.nextInt(4) == 0 ? random.nextInt(size) : b;
                if (counts.bitmap(entry / BitmapBlock.ENTRIES) != null) {
                    new BitmapBlock()
                            .wrap(counts.bitmap(entry / BitmapBlock.ENTRIES), 0)
                            .count(entry % BitmapBlock.ENTRIES, random.nextInt(4));
                }
            }
            int from = random.nextInt(size);
            for (int b = from; b < size; b++) {
                int stored = counts.count(b);
                boolean differs = stored < 0 || stored == BitmapBlock.SEE_TREE || stored != table.references(b);
                if (differs) {
                    assertEquals(b, table.firstOther(from, counts), "round " + round);
                    from = b + 1;
                }
            }
            assertEquals(size, table.firstOther(from, counts), "round " + round);
        }
    }
}
