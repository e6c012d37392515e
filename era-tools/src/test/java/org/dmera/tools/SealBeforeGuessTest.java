// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.Superblock;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a block is shows in its seal; only what has none may be taken for text. */
class SealBeforeGuessTest {
    private static final String XML = "This looks like XML.";

    @TempDir
    private Path folder;

    @Test
    void soundMetadataWhoseChecksumLooksLikeXmlIsReadByEveryTool() throws IOException {
        Path file = Files.write(folder.resolve("meta"), sealedLike("<a"));
        Path other = Files.write(folder.resolve("plain"), image());
        assertEquals("", ToolRun.of("era_check", file).text());
        assertEquals("", ToolRun.of("era_check", "--super-block-only", file).text());
        assertEquals(body(ToolRun.of("era_dump", other)), body(ToolRun.of("era_dump", file)));
        assertEquals(body(ToolRun.of("era_dump", "--repair", other)), body(ToolRun.of("era_dump", "--repair", file)));
        assertEquals(
                ToolRun.of("era_invalidate", "--written-since", 1, other).text(),
                ToolRun.of("era_invalidate", "--written-since", 1, file).text());
        assertTrue(ToolRun.of("era_stat", file).text().contains("era"));
        Path repaired = Files.write(folder.resolve("repaired"), new byte[image().length]);
        ToolRun.of("era_repair", "-i", file, "-o", repaired).text();
        assertEquals("", ToolRun.of("era_check", repaired).text());
    }

    @Test
    void everyBeginningOfAChecksumIsTakenForWhatItIs() throws IOException {
        for (String begin : new String[] {"<?", "<!", "<Z", " <", "\n<", "\u001f\u008b", "(\u00b5"}) {
            Path file = Files.write(folder.resolve("meta"), sealedLike(begin));
            assertEquals("", ToolRun.of("era_check", file).text(), begin);
        }
    }

    @Test
    void aDamagedSuperblockThatBeginsLikeXmlIsDamage() throws IOException {
        byte[] image = sealedLike("<a");
        image[Superblock.CURRENT_ERA + 1]++;
        image[Superblock.NR_BLOCKS + 1]++;
        Path file = Files.write(folder.resolve("meta"), image);
        ToolRun.of("era_check", file).failed("bad checksum in superblock");
        ToolRun.of("era_dump", file).failed("bad checksum in superblock");
    }

    @Test
    void xmlIsCalledXmlWhateverFollowsIt() throws IOException {
        byte[] xml = "<superblock uuid=\"\" block_size=\"8\" nr_blocks=\"0\" current_era=\"1\">\n"
                .getBytes(StandardCharsets.UTF_8);
        byte[] device = image();
        System.arraycopy(xml, 0, device, 0, xml.length);
        Path file = folder.resolve("meta");
        for (byte[] content : new byte[][] {xml, Arrays.copyOf(xml, 8192), device}) {
            Files.write(file, content);
            for (String tool : new String[] {"era_check", "era_dump", "era_stat"}) {
                ToolRun.of(tool, file).failed(XML);
            }
            ToolRun.of("era_dump", "--repair", file).failed(XML);
            ToolRun.of("era_invalidate", "--written-since", 1, file).failed(XML);
            ToolRun.of("era_repair", "-i", file, "-o", file + ".none").failed(XML);
        }
    }

    /** A dump without its first line, which may have the uuid. */
    private static String body(ToolRun dump) {
        String text = dump.text();
        return text.substring(text.indexOf('\n'));
    }

    private static byte[] image() {
        return Fixtures.imageBytes(Fixtures.image("b_eras_bs8.live"));
    }

    /** The image with a uuid that makes its first superblock's checksum begin with {@code begin}. */
    private static byte[] sealedLike(String begin) {
        byte[] image = image();
        byte[] wanted = begin.getBytes(StandardCharsets.ISO_8859_1);
        ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        BlockSeal seal = new BlockSeal();
        for (long uuid = 0; ; uuid++) {
            bytes.putLong(Superblock.UUID, uuid);
            seal.seal(BlockType.SUPERBLOCK, bytes, 0, 0);
            if (Arrays.equals(wanted, 0, wanted.length, image, 0, wanted.length)) {
                return image;
            }
        }
    }
}
