// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.format.Superblock;
import org.dmera.testkit.Anatomy;
import org.dmera.testkit.Anatomy.Part;
import org.dmera.testkit.Anatomy.Role;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.GeneratedMetadata;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** How long the origin was, when nobody says so any more and parts of the era array are lost. */
class LostEndTest {
    private static byte[] sound;
    private static EraTruth truth;
    private static List<Part> eraBlocks;

    @BeforeAll
    static void prepare() throws IOException {
        sound = GeneratedMetadata.wide();
        truth = salvage(sound);
        eraBlocks = new Anatomy(sound).parts(Role.ERA_BLOCK);
    }

    private static EraTruth salvage(byte[] image) throws IOException {
        return salvage(image, new SalvageHints(8, -1, truth == null ? -1 : truth.currentEra()));
    }

    private static EraTruth salvage(byte[] image, SalvageHints hints) throws IOException {
        EraTruth content = new EraTruth();
        Salvage.open(new MemoryBlockDevice(image), hints).stream(content);
        return content;
    }

    private static void zero(byte[] image, int blockNr) {
        Arrays.fill(image, blockNr * 4096, blockNr * 4096 + 4096, (byte) 0);
    }

    private static byte[] withoutSuperblock() {
        byte[] image = sound.clone();
        zero(image, 0);
        return image;
    }

    /** A size that no origin has: nothing can be derived from it. */
    private static byte[] withAbsurdSize() {
        byte[] image = sound.clone();
        ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(Superblock.NR_BLOCKS, -2);
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        return image;
    }

    @Test
    void whatLiesBehindALostArrayBlockIsKept() throws IOException {
        for (byte[] image : new byte[][] {withoutSuperblock(), withAbsurdSize()}) {
            zero(image, eraBlocks.get(3).blockNr());
            zero(image, eraBlocks.get(4).blockNr());
            EraTruth now = salvage(image);
            assertEquals(0, truth.lostIn(now));
            assertEquals(truth.latest().length, now.latest().length);
        }
    }

    @Test
    void whatLiesInALostLastArrayBlockIsKept() throws IOException {
        for (byte[] image : new byte[][] {withoutSuperblock(), withAbsurdSize()}) {
            zero(image, eraBlocks.get(eraBlocks.size() - 1).blockNr());
            EraTruth now = salvage(image);
            assertEquals(0, truth.lostIn(now));
            assertTrue(now.latest().length - truth.latest().length < 1018);
        }
    }

    @Test
    void aLostEndIsMeasuredByWritesetsOrAskedFor() throws IOException {
        List<Part> leaves = new Anatomy(sound).parts(Role.ERA_NODE);
        int last = leaves.get(leaves.size() - 1).blockNr();
        byte[] lostSuperblock = withoutSuperblock();
        zero(lostSuperblock, last);
        EraTruth now = salvage(lostSuperblock);
        assertEquals(0, truth.lostIn(now));
        assertTrue(now.latest().length - truth.latest().length < 64);

        byte[] absurd = withAbsurdSize();
        zero(absurd, last);
        String refusal = assertThrows(IOException.class, () -> salvage(absurd)).getMessage();
        assertTrue(refusal.contains("--nr-blocks"), refusal);
        now = salvage(absurd, new SalvageHints(-1, truth.latest().length, -1));
        assertEquals(0, truth.lostIn(now));
        assertEquals(truth.latest().length, now.latest().length);
    }
}
