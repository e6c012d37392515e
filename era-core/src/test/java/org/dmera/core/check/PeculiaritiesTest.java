// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Consumer;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Severity;
import org.dmera.core.format.Superblock;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.RefusedException;
import org.dmera.core.repair.SpaceMapRepair;
import org.dmera.testkit.Anatomy;
import org.dmera.testkit.Anatomy.Role;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;

/** Figures that look wrong and are right, and figures that look right and are wrong. */
class PeculiaritiesTest {
    private static final String HELD = "c_snap_bs24.live";

    @Test
    void aSnapshotFromBeforeTheErasWentRoundIsOlderThanTheLiveTrees() throws IOException, RefusedException {
        MemoryBlockDevice device = new MemoryBlockDevice(64);
        MetadataBuilder builder = new MetadataBuilder(device);
        builder.superblock(8, 0, 0xFFFFFFFEL);
        builder.beginEraArray();
        builder.endEraArray();
        builder.end();
        EraMetadata metadata = EraMetadata.open(device, 8, 64);
        metadata.resize(100);
        metadata.takeSnapshot();
        metadata.commit();
        metadata.rollover();
        metadata.mark(3);
        metadata.commit();
        assertEquals(0, superblock(device.bytes()).currentEra());
        CheckReport report = MetadataChecker.check(device);
        assertFalse(report.toString().contains("the snapshot is of era"), report::toString);
        // The writeset of the highest era is still in the tree.
        assertEquals(1, report.count(DamageKind.ERA_ABOVE_CURRENT), report::toString);
    }

    @Test
    void aPartialArrayBlockThatAShrinkHasLeftIsANote() throws IOException, RefusedException {
        MemoryBlockDevice device = new MemoryBlockDevice(256);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8, 64);
        metadata.resize(5000);
        metadata.commit();
        metadata.resize(4 * 1018);
        metadata.commit();
        CheckReport report = MetadataChecker.check(device);
        assertTrue(report.isClean(), report::toString);
        assertEquals(1, report.count(DamageKind.LEFT_OVER_ARRAY_BLOCK), report::toString);
        assertTrue(report.toString().contains("repair: the block is left out"), report::toString);
    }

    @Test
    void aSnapshotThatIsNewerThanTheLiveTreesIsDamage() throws IOException {
        byte[] image = Fixtures.imageBytes(Fixtures.image(HELD));
        ByteBuffer bytes = little(image);
        Superblock live = superblock(image);
        int at = (int) live.metadataSnap() * 4096;
        bytes.putInt(at + Superblock.CURRENT_ERA, (int) live.currentEra() + 1);
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, at, live.metadataSnap());
        CheckReport report = MetadataChecker.check(new MemoryBlockDevice(image));
        assertTrue(report.toString().contains("the snapshot is of era"), report::toString);
    }

    @Test
    void aBlockInUsePastTheEndOfTheSpaceMapIsFatal() throws IOException {
        byte[] image = spoilt(
                HELD,
                sb -> sb.spaceMapRoot(4, sb.spaceMapNrAllocated(), sb.spaceMapBitmapRoot(), sb.spaceMapRefCountRoot()));
        CheckReport report = MetadataChecker.check(new MemoryBlockDevice(image));
        assertEquals(1, report.count(DamageKind.BEYOND_SPACE_MAP), report::toString);
        assertTrue(report.count(Severity.FATAL) > 0, report::toString);
        assertFalse(report.isBeyondAutoRepair());
        assertMendedInPlace(image, report);
    }

    @Test
    void aSpaceMapThatEndsBehindAllThatIsInUseIsAHint() throws IOException {
        byte[] image = spoilt(
                HELD,
                sb -> sb.spaceMapRoot(
                        sb.spaceMapNrBlocks() - 1,
                        sb.spaceMapNrAllocated(),
                        sb.spaceMapBitmapRoot(),
                        sb.spaceMapRefCountRoot()));
        CheckReport report = MetadataChecker.check(new MemoryBlockDevice(image));
        assertEquals(1, report.count(DamageKind.SPACE_MAP_TOO_SMALL), report::toString);
        assertEquals(0, report.count(Severity.FATAL), report::toString);
    }

    @Test
    void aCountInTheTreeThatFitsIntoTheBitmapIsFound() throws IOException {
        byte[] image = Fixtures.imageBytes(Fixtures.image(HELD));
        Anatomy anatomy = new Anatomy(image);
        ByteBuffer bytes = little(image);
        int tree = anatomy.parts(Role.REF_COUNT_TREE).get(0).blockNr();
        int bitmap = anatomy.parts(Role.BITMAP).get(0).blockNr();
        int used = (int) superblock(image).writesetTreeRoot();
        BitmapBlock counts = new BitmapBlock().wrap(bytes, bitmap * 4096);
        int count = counts.count(used);
        counts.count(used, BitmapBlock.SEE_TREE);
        BTreeNode leaf = new BTreeNode().wrap(bytes, tree * 4096);
        leaf.nrEntries(1);
        leaf.key(0, used);
        bytes.putInt(leaf.valueOffset(0), count);
        new BlockSeal().seal(BlockType.BTREE_NODE, bytes, tree * 4096, tree);
        new BlockSeal().seal(BlockType.BITMAP, bytes, bitmap * 4096, bitmap);
        CheckReport report = MetadataChecker.check(new MemoryBlockDevice(image));
        assertEquals(1, report.count(DamageKind.REF_COUNT_SMALL), report::toString);
        assertMendedInPlace(image, report);
    }

    @Test
    void aFreeCountThatLeavesOutWhatIsPastTheEndIsANote() throws IOException {
        byte[] image = withMoreFree(1024 - BitmapBlock.ENTRIES);
        CheckReport report = MetadataChecker.check(new MemoryBlockDevice(image));
        assertTrue(report.isClean(), report::toString);
        assertEquals(1, report.count(DamageKind.NR_FREE_OF_DEVICE), report::toString);
    }

    @Test
    void whatFormattingLeavesBehindStaysANoteOnADeviceThatWasLoadedTwice() throws IOException {
        CheckReport report = MetadataChecker.check(new MemoryBlockDevice(withMoreFree(2)));
        assertTrue(report.isClean(), report::toString);
        assertEquals(1, report.count(DamageKind.NEVER_RESUMED), report::toString);
        CheckReport other = MetadataChecker.check(new MemoryBlockDevice(withMoreFree(3)));
        assertEquals(1, other.count(DamageKind.WRONG_NR_FREE), other::toString);
    }

    private static byte[] withMoreFree(int more) {
        byte[] image = Fixtures.imageBytes(Fixtures.image(HELD));
        assertEquals(1024, image.length / 4096);
        ByteBuffer bytes = little(image);
        int index = (int) superblock(image).spaceMapBitmapRoot();
        int nrFree = index * 4096 + IndexBlock.ENTRIES_OFFSET + 8;
        bytes.putInt(nrFree, bytes.getInt(nrFree) + more);
        new BlockSeal().seal(BlockType.INDEX, bytes, index * 4096, index);
        return image;
    }

    private static void assertMendedInPlace(byte[] image, CheckReport report) throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(image);
        SpaceMapRepair.repair(device, report);
        assertEquals("", MetadataChecker.check(device).toString());
    }

    private static byte[] spoilt(String name, Consumer<Superblock> change) {
        byte[] image = Fixtures.imageBytes(Fixtures.image(name));
        change.accept(superblock(image));
        new BlockSeal().seal(BlockType.SUPERBLOCK, little(image), 0, 0);
        return image;
    }

    private static Superblock superblock(byte[] image) {
        return new Superblock().wrap(little(image), 0);
    }

    private static ByteBuffer little(byte[] image) {
        return ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
    }
}
