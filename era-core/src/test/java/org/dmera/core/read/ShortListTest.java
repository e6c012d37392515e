// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Consumer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.CheckOptions;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.content.LastWritten;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.metadata.Digest;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.testkit.EraTruth;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Sealed fields that are wrong: what is to be read by them would be too short a list, so nobody gives one. */
class ShortListTest {
    private static final int NR_BLOCKS = 200;

    private final MemoryBlockDevice device = new MemoryBlockDevice(64);
    private final ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    private final EraTruth truth = new EraTruth();

    /** Three archived writesets and an open one, each with two blocks of its own, the last of the origin among them. */
    ShortListTest() throws IOException {
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(NR_BLOCKS);
        for (int i = 0; i < 4; i++) {
            metadata.rollover();
            metadata.mark(i);
            metadata.mark(NR_BLOCKS - 1 - i);
        }
        metadata.commit();
        MetadataScanner.scan(device, MetadataRoots.read(device), truth);
        assertEquals(4, truth.currentEra());
    }

    @ParameterizedTest
    @CsvSource({"1, 128", "1, 0", "1, 199", "3, 128", "3, 0", "3, 199", "4, 128", "4, 0", "4, 199"})
    void aWritesetWithTooFewBitsIsRefused(int era, int nrBits) throws IOException {
        if (era == 4) {
            superblock(s -> s.currentWriteset(nrBits, s.currentWritesetRoot()));
        } else {
            writeset(era, nrBits, rootOf(era));
        }
        // The last block of era 1 is the origin's last; those of later eras are before it.
        if (nrBits != 199 || era == 1) {
            assertNobodyIsShort(era);
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 2", "2, 1", "3, 2", "2, 4", "4, 2"})
    void aWritesetThatHasTheRootOfAnotherIsRefusedAlsoByWhoReadsOneOfThem(int era, int other) throws IOException {
        long root = rootOf(other);
        if (era == 4) {
            superblock(s -> s.currentWriteset(NR_BLOCKS, root));
        } else {
            writeset(era, NR_BLOCKS, root);
        }
        assertNobodyIsShort(Math.max(era, other));
    }

    @Test
    void aTreeOfWritesetsThatIsNowhereIsRefused() throws IOException {
        superblock(s -> s.writesetTreeRoot(0));
        assertNobodyIsShort(1);
    }

    /** An era may have no writeset, but not while something is in use that is one. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void aTreeThatLacksItsLastWritesetsIsRefused(int left) throws IOException {
        tree().nrEntries(left);
        sealTree();
        assertNobodyIsShort(left + 1);
    }

    @Test
    void aSuperblockThatLacksTheOpenWritesetIsRefused() throws IOException {
        superblock(s -> s.currentWriteset(NR_BLOCKS, 0));
        assertNobodyIsShort(4);
    }

    /** A lost write of a leaf: what it led to before has been allocated again, for another array. */
    @ParameterizedTest
    @CsvSource({"1, 3", "3, 1", "4, 1", "2, 4"})
    void aBitsetThatLeadsToABlockOfAnotherIsRefusedAlsoByWhoReadsOneOfThem(int era, int other) throws IOException {
        int root = (int) rootOf(era);
        node(root).valueLong(0, node((int) rootOf(other)).valueLong(0));
        seal(root);
        for (int since = 1; since <= 4; since++) {
            assertNobodyIsShort(since);
        }
    }

    /** What a snapshot leads to is in use as long as it is held, and in no other place. */
    @ParameterizedTest
    @ValueSource(strings = {"older tree", "free block", "block of the live array"})
    void aHeldSnapshotWithAnOlderPartIsRefused(String part) throws Exception {
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.takeSnapshot();
        Digest digest = new Digest(metadata);
        digest.begin();
        while (digest.step()) {
            metadata.commit();
        }
        metadata.commit();
        MetadataRoots held = MetadataRoots.readSnapshot(device);
        ChangedBlocks.since(device, held, 1);
        int eras = (int) held.eraArrayRoot();
        switch (part) {
            case "older tree" -> {
                int tree = (int) held.writesetTreeRoot();
                node(tree).nrEntries(0);
                seal(tree);
            }
            case "free block" -> node(eras).valueLong(0, freeArrayBlock());
            default ->
                node(eras)
                        .valueLong(
                                0,
                                node((int) MetadataRoots.read(device).eraArrayRoot())
                                        .valueLong(0));
        }
        seal(eras);
        assertThrows(DamagedMetadataException.class, () -> MetadataScanner.scan(device, held, new EraTruth()));
        assertThrows(DamagedMetadataException.class, () -> LastWritten.stream(device, held, new EraTruth()));
        assertThrows(DamagedMetadataException.class, () -> ChangedBlocks.since(device, held, 1));
        assertFalse(MetadataChecker.check(device).isClean());
        CheckOptions alone = CheckOptions.of(CheckOptions.Scope.SNAPSHOT);
        assertFalse(MetadataChecker.check(device, alone).isClean());
    }

    /** An array block of eras that nothing leads to any more. */
    private int freeArrayBlock() throws IOException {
        BlockUse table = MetadataChecker.check(device).table();
        for (int b = 1; b < table.size(); b++) {
            if (table.references(b) == 0
                    && BlockVerdict.code(new BlockVerdict(-1).classify(bytes, b * BlockDevice.BLOCK_BYTES, b))
                            == BlockVerdict.ERAS) {
                return b;
            }
        }
        throw new AssertionError("no array block was freed");
    }

    private void assertNobodyIsShort(long since) throws IOException {
        assertFalse(MetadataChecker.check(device).isClean());
        MetadataRoots roots = MetadataRoots.read(device);
        assertThrows(DamagedMetadataException.class, () -> MetadataScanner.scan(device, roots, new EraTruth()));
        assertThrows(DamagedMetadataException.class, () -> LastWritten.stream(device, roots, new EraTruth()));
        assertThrows(DamagedMetadataException.class, () -> ChangedBlocks.since(device, roots, since));
        EraTruth repaired = new EraTruth();
        Salvage.open(device, SalvageHints.NONE).stream(repaired);
        assertEquals(0, truth.lostIn(repaired), "lost by a repair");
    }

    private long rootOf(int era) {
        Superblock superblock = new Superblock().wrap(bytes, 0);
        BTreeNode tree = tree();
        return era == 4
                ? superblock.currentWritesetRoot()
                : WritesetValue.root(bytes, tree.valueOffset(tree.lowerBound(era)));
    }

    private BTreeNode tree() {
        return node((int) new Superblock().wrap(bytes, 0).writesetTreeRoot());
    }

    private BTreeNode node(int blockNr) {
        return new BTreeNode().wrap(bytes, blockNr * BlockDevice.BLOCK_BYTES);
    }

    private void writeset(int era, long nrBits, long root) {
        BTreeNode tree = tree();
        WritesetValue.put(bytes, tree.valueOffset(tree.lowerBound(era)), nrBits, root);
        sealTree();
    }

    private void sealTree() {
        seal((int) tree().blockNr());
    }

    private void seal(int node) {
        new BlockSeal().seal(BlockType.BTREE_NODE, bytes, node * BlockDevice.BLOCK_BYTES, node);
    }

    private void superblock(Consumer<Superblock> change) {
        change.accept(new Superblock().wrap(bytes, 0));
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
    }
}
