// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Random;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.testkit.Anatomy;
import org.dmera.testkit.Anatomy.Part;
import org.dmera.testkit.Anatomy.Role;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.Fixtures;
import org.dmera.testkit.GeneratedMetadata;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Nodes that are lost in deep trees: put together again where that is certain, and never at the cost of a mark. */
class NodeRebuilderTest {
    private static byte[] sound;
    private static Anatomy anatomy;
    private static EraTruth truth;

    @BeforeAll
    static void prepare() throws IOException {
        sound = GeneratedMetadata.deep();
        anatomy = new Anatomy(sound);
        truth = salvage(sound);
    }

    private static EraTruth salvage(byte[] image) throws IOException {
        EraTruth content = new EraTruth();
        Salvage.open(new MemoryBlockDevice(image), SalvageHints.NONE).stream(content);
        return content;
    }

    private static void garble(byte[] image, int blockNr, long seed) {
        byte[] noise = new byte[4096];
        new Random(seed).nextBytes(noise);
        System.arraycopy(noise, 0, image, blockNr * 4096, 4096);
    }

    private static List<Part> interior(Role role) {
        return anatomy.parts(role).stream().filter(anatomy::isInterior).toList();
    }

    @ParameterizedTest
    @EnumSource(names = {"ERA_NODE", "CURRENT_NODE", "WRITESET_NODE", "WRITESET_TREE"})
    void aLostInteriorNodeCostsNothingWhenItsChildrenAreThere(Role role) throws IOException {
        List<Part> parts = interior(role);
        assertTrue(!parts.isEmpty());
        for (int i = 0; i < parts.size(); i += 1 + parts.size() / 12) {
            byte[] image = sound.clone();
            garble(image, parts.get(i).blockNr(), i);
            EraTruth now = salvage(image);
            assertEquals(0, truth.lostIn(now), parts.get(i)::toString);
            assertEquals(0, truth.widenedIn(now), parts.get(i)::toString);
        }
    }

    @Test
    void theOnlyLeafOfAnArrayOfOneBlockCostsNothing() throws IOException {
        byte[] image = Fixtures.imageBytes(Fixtures.image("e_crash_bs24.crash"));
        EraTruth before = salvage(image);
        garble(image, new Anatomy(image).parts(Role.CURRENT_NODE).get(0).blockNr(), 1);
        EraTruth now = salvage(image);
        assertEquals(0, before.lostIn(now));
        assertEquals(0, before.widenedIn(now));
    }

    @Test
    void childrenThatCouldBelongToEitherOfTwoLostNodesAreAdoptedByNeither() throws IOException {
        byte[] image = sound.clone();
        List<Part> roots = interior(Role.WRITESET_NODE).stream()
                .filter(p ->
                        p.originBlocks() == interior(Role.WRITESET_NODE).get(0).originBlocks())
                .toList();
        garble(image, roots.get(0).blockNr(), 1);
        garble(image, roots.get(1).blockNr(), 2);
        EraTruth now = salvage(image);
        assertEquals(0, truth.lostIn(now));
        assertTrue(truth.widenedIn(now) > 0);
    }

    @Test
    void anOlderVersionOfAChildIsNotAdopted() throws IOException {
        for (Part part : interior(Role.ERA_NODE)) {
            BTreeNode node = new BTreeNode().wrap(little(sound), part.blockNr() * 4096);
            int child = (int) node.valueLong(0);
            byte[] image = sound.clone();
            garble(image, part.blockNr(), 3);
            // The older version stands where the map says that nothing is, and leads to the same blocks but one.
            int free = anatomy.freeBlock();
            while (isUsed(free)) {
                free++;
            }
            System.arraycopy(sound, child * 4096, image, free * 4096, 4096);
            BTreeNode old = new BTreeNode().wrap(little(image), free * 4096);
            old.valueLong(0, old.valueLong(old.nrEntries() - 1));
            new BlockSeal().seal(BlockType.BTREE_NODE, little(image), free * 4096, free);
            assertEquals(0, truth.lostIn(salvage(image)), part::toString);
            garble(image, child, 4);
            assertEquals(0, truth.lostIn(salvage(image)), part::toString);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"ERA_NODE", "CURRENT_NODE", "WRITESET_NODE"})
    void anOlderArrayBlockToWhichALeafLeadsIsNotBelieved(Role role) throws IOException {
        for (Part part : anatomy.parts(role)) {
            if (anatomy.isInterior(part)) {
                continue;
            }
            byte[] image = sound.clone();
            BTreeNode leaf = new BTreeNode().wrap(little(image), part.blockNr() * 4096);
            int current = (int) leaf.valueLong(0);
            // The older version knows of no write; a free block has it.
            int older = image.length / 4096 - 1;
            System.arraycopy(sound, current * 4096, image, older * 4096, 24);
            new BlockSeal().seal(BlockType.ARRAY_BLOCK, little(image), older * 4096, older);
            leaf.valueLong(0, older);
            new BlockSeal().seal(BlockType.BTREE_NODE, little(image), part.blockNr() * 4096, part.blockNr());
            CheckReport report = MetadataChecker.check(new MemoryBlockDevice(image));
            assertTrue(report.isBeyondAutoRepair(), report::toString);
            EraTruth now = salvage(image);
            assertEquals(0, truth.lostIn(now), part::toString);
            // The leaf may be an older version as a whole, and its other blocks in the wrong places: all below it may
            // widen.
            long below = 2L * leaf.maxEntries() * (role == Role.ERA_NODE ? 1018L : 32576L);
            assertTrue(truth.widenedIn(now) <= below, () -> part + ": " + truth.widenedIn(now));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 5})
    void noLossOfSeveralBlocksLosesAMark(int blocks) throws IOException {
        Random random = new Random(blocks);
        List<Part> parts = anatomy.parts().stream()
                .filter(p -> p.role() != Role.SUPERBLOCK)
                .toList();
        for (int i = 0; i < 60; i++) {
            byte[] image = sound.clone();
            StringBuilder which = new StringBuilder();
            for (int n = 0; n < blocks; n++) {
                Part part = parts.get(random.nextInt(parts.size()));
                garble(image, part.blockNr(), i);
                which.append(part).append(' ');
            }
            assertEquals(0, truth.lostIn(salvage(image)), which::toString);
        }
    }

    private static boolean isUsed(int blockNr) {
        return anatomy.parts().stream().anyMatch(p -> p.blockNr() == blockNr);
    }

    private static ByteBuffer little(byte[] image) {
        return ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
    }
}
