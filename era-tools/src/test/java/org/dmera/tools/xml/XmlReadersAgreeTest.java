// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.SplittableRandom;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.generate.MetadataGenerator;
import org.dmera.tools.io.OutputPipe;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The scanner of dump's shape, together with the parser that takes over from it, against the parser alone. */
class XmlReadersAgreeTest {
    private static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");

    private static final String SMALL = """
            <superblock uuid="" block_size="128" nr_blocks="3" current_era="5">
              <writeset era="4" nr_bits="4">
                <bit block="0" value="true"/>
                <bit block="1" value="false"/>
                <bit block="2" value="false"/>
                <bit block="3" value="true"/>
              </writeset>
              <era_array>
                <era block="0" era="3"/>
                <era block="1" era="0"/>
                <era block="2" era="5"/>
              </era_array>
            </superblock>
            """;

    private static final String SMALL_CONTENT = "superblock 128 3 5; writeset 4 4: {0, 3}; eras: [3, 0, 5]; end";

    /** What a reader made of a document, or why it refused it. */
    private static String read(byte[] xml, boolean parserAlone) {
        Recorder recorder = new Recorder();
        try {
            var in = Channels.newChannel(new ByteArrayInputStream(xml));
            if (parserAlone) {
                MetadataXmlReader.readByParser(in, recorder);
            } else {
                MetadataXmlReader.read(in, recorder);
            }
            return recorder.toString();
        } catch (IOException e) {
            return "refused";
        }
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static byte[] generated(long nrBlocks, int writesets, boolean compact) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        OutputPipe pipe = new OutputPipe(Channels.newChannel(bytes));
        new MetadataGenerator(128, nrBlocks, writesets + 1200, writesets, 0.2, 5, nrBlocks)
                .generate(new MetadataXmlWriter(pipe, compact));
        pipe.finish();
        return bytes.toByteArray();
    }

    @Test
    void bothReadDumps() throws IOException {
        assertEquals(SMALL_CONTENT, read(ascii(SMALL), false));
        assertEquals(SMALL_CONTENT, read(ascii(SMALL), true));
        for (long nrBlocks : new long[] {0, 1, 63, 64, 65, 1000, 10_001, 123_457}) {
            for (boolean compact : new boolean[] {false, true}) {
                byte[] xml = generated(nrBlocks, 3, compact);
                String content = read(xml, true);
                assertTrue(content.endsWith("end"), content);
                assertEquals(content, read(xml, false), nrBlocks + " blocks");
            }
        }
    }

    @Test
    void dumpsOfTheKernelsImagesAreReadByTheScannerAlone() throws IOException {
        byte[] xml = Fixtures.xmlBytes(Fixtures.image("e_crash_bs8.crash"));
        DumpScanner scanner = new DumpScanner(
                Channels.newChannel(new ByteArrayInputStream(xml)), new ContentGatherer(new Recorder()));
        assertTrue(scanner.scan());
        assertEquals(new String(xml, StandardCharsets.US_ASCII).lines().count(), scanner.lines());
    }

    /** One byte changed, a piece left out, doubled or put elsewhere: the two must still agree. */
    @Test
    void theyAgreeOnDamagedDocuments() throws IOException {
        byte[][] documents = {ascii(SMALL), generated(70, 2, false), generated(70, 2, true), generated(1100, 1, false)};
        String[] inserts = {
            " ",
            "\n",
            "<!-- c -->",
            "x",
            "<",
            ">",
            "\"",
            "&amp;",
            "&#48;",
            "</writeset>",
            "<bit/>",
            "1",
            "0",
            "<?p i?>",
            "<![CDATA[ ]]>",
            "\t",
            "\r\n",
            "\0",
            "é"
        };
        int accepted = 0;
        for (int seed = 0; seed < (NIGHTLY ? 200_000 : 4000); seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            byte[] xml = documents[random.nextInt(documents.length)];
            int at = random.nextInt(xml.length);
            byte[] damaged = switch (random.nextInt(4)) {
                case 0 -> splice(xml, at, at + 1, new byte[] {(byte) random.nextInt(256)});
                case 1 -> splice(xml, at, Math.min(xml.length, at + 1 + random.nextInt(60)), new byte[0]);
                case 2 -> splice(xml, at, at, inserts[random.nextInt(inserts.length)].getBytes(StandardCharsets.UTF_8));
                default -> {
                    int from = random.nextInt(xml.length);
                    int length = Math.min(xml.length - from, 1 + random.nextInt(80));
                    yield splice(xml, at, at, java.util.Arrays.copyOfRange(xml, from, from + length));
                }
            };
            String byParser = read(damaged, true);
            accepted += byParser.equals("refused") ? 0 : 1;
            assertEquals(byParser, read(damaged, false), "seed " + seed);
        }
        assertTrue(accepted > 100, "only " + accepted + " documents were accepted: the test tests little");
    }

    private static byte[] splice(byte[] bytes, int from, int to, byte[] with) {
        byte[] result = new byte[bytes.length - (to - from) + with.length];
        System.arraycopy(bytes, 0, result, 0, from);
        System.arraycopy(with, 0, result, from, with.length);
        System.arraycopy(bytes, to, result, from + with.length, bytes.length - to);
        return result;
    }

    @Test
    void legalXmlOfAnyFormIsRead() {
        String other = """
                <?xml version='1.0' encoding='ENCODING'?>
                <!-- by hand -->
                <superblock
                   current_era='5' nr_blocks="&#51;" block_size="128">
                <!-- era 4 --><writeset nr_bits="4" era="4"><marked len="1" block_begin="0"></marked>
                  <bit value="false" block="1"/><?skip this?><bit value='true' block='3'/>
                </writeset><era_array><era era="3" block="0"/><era block="1" era="00"/>
                <era block="2" era="5"/></era_array></superblock>
                <!-- that was it -->
                """;
        for (Charset charset : List.of(StandardCharsets.UTF_8, StandardCharsets.ISO_8859_1, StandardCharsets.UTF_16)) {
            String text = other.replace("ENCODING", charset.name());
            assertEquals(SMALL_CONTENT, read(text.getBytes(charset), false), charset.name());
        }
    }

    @Test
    void aCommentInTheMiddleOfADumpHandsOverToTheParser() {
        String line = "    <bit block=\"2\" value=\"false\"/>\n";
        assertEquals(SMALL_CONTENT, read(ascii(SMALL.replace(line, line + "<!-- half -->\n")), false));
        assertEquals(SMALL_CONTENT, read(ascii(SMALL + "<!-- after -->\n"), false));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "<superblock|<superblok|unexpected element <superblok>",
                "block_size=\"128\" ||<superblock>: attribute block_size is missing",
                "nr_blocks=\"3\"|nr_blocks=\"-3\"|nr_blocks is \"-3\", expected a number from 0 to 4294967295",
                "era=\"4\" nr|era=\"4\" color=\"red\" nr|<writeset>: unexpected attribute color",
                "value=\"true\"|value=\"yes\"|value is \"yes\", expected true or false",
                "<bit block=\"3\"|<bit block=\"4\"|block 4 is not one of its 4 bits",
                "<bit block=\"3\"|<bit block=\"2\"|block 2 was named already",
                "<era block=\"1\" era=\"0\"/>||block 2 where block 1 was expected",
                "<era block=\"2\" era=\"5\"/>||it ends before block 2, nr_blocks is 3",
                "era=\"5\"/>|era=\"6\"/>|block 2 has era 6, above the current era, 5",
                "era=\"5\"/>|era=\"5\" xml:era=\"4\"/>|<era>: unexpected attribute era",
                "<era block=\"2\"|text<era block=\"2\"|text where only elements can be",
                "</superblock>||XML line 14",
                "</superblock>|</superblock>tail|XML line 13",
                "</writeset>|</wrong>|XML line 7",
                "<era_array>|<era_array>&nothing;|XML line 8",
                "block_size=\"128\"|block_size=\"100\"|XML line 1: superblock: block_size is 100",
                "current_era=\"5\"|current_era=\"3\"|XML line 2: writeset of era 4: above the current era, 3",
                "nr_bits=\"4\"|nr_bits=\"2147483648\"|XML line 2: writeset of era 4: nr_bits is 2147483648",
                "  <era_array>|<writeset era=\"4\" nr_bits=\"4\"/><era_array>|XML line 8: writeset of era 4 follows",
            })
    void whatIsWrongIsSaidWithItsLine(String change) {
        String[] parts = change.split("\\|", 3);
        String xml = SMALL.replaceFirst(java.util.regex.Pattern.quote(parts[0]), parts[1]);
        for (boolean parserAlone : new boolean[] {false, true}) {
            IOException e = assertThrows(IOException.class, () -> {
                var in = Channels.newChannel(new ByteArrayInputStream(ascii(xml)));
                if (parserAlone) {
                    MetadataXmlReader.readByParser(in, new MetadataBuilder(new MemoryBlockDevice(64)));
                } else {
                    MetadataXmlReader.read(in, new MetadataBuilder(new MemoryBlockDevice(64)));
                }
            });
            assertTrue(e.getMessage().contains(parts[2]), e.getMessage());
            assertTrue(e.getMessage().startsWith("XML line "), e.getMessage());
        }
    }

    @Test
    void whatIsWrongIsSaidInOneShortLineHoweverLongTheNamesAndValuesAre() {
        String text = "x".repeat(400_000);
        for (String xml : List.of(
                "<" + text + "/>",
                SMALL.replace("</writeset>", "</" + text + ">"),
                SMALL.replace("value=\"true\"", text + "=\"true\""),
                SMALL.replace("value=\"true\"", "value=\"" + text + "\""))) {
            IOException e = assertThrows(
                    IOException.class,
                    () -> MetadataXmlReader.read(
                            Channels.newChannel(new ByteArrayInputStream(ascii(xml))), new Recorder()));
            assertTrue(e.getMessage().startsWith("XML line "), "another message");
            assertTrue(e.getMessage().length() < 400, e.getMessage().length() + " characters");
        }
    }

    /** A few kilobytes of compressed text can be any amount of it. */
    @Test
    void whatSaysNothingIsNotHeldHoweverLongItIs() {
        String blanks = " ".repeat(2 << 20);
        for (String text : List.of(blanks, "<!--" + blanks + "-->", "<![CDATA[" + blanks + "]]>")) {
            assertEquals("refused", read(ascii(SMALL.replace("  <era_array>", text + "<era_array>")), false));
        }
        String name = "<" + "x".repeat(20 << 20);
        IOException e = assertThrows(
                IOException.class,
                () -> MetadataXmlReader.read(
                        Channels.newChannel(new ByteArrayInputStream(ascii(name))), new Recorder()));
        assertEquals("XML: a name, or something else of more than 16777216 bytes in one piece", e.getMessage());
    }

    @Test
    void nothingOutsideTheDocumentIsFetchedAndNoEntityIsExpanded() {
        String external = "<!DOCTYPE superblock [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>\n"
                + SMALL.replace("<era_array>", "<era_array>&e;");
        assertEquals("refused", read(ascii(external), false));
        String bomb = "<!DOCTYPE superblock [<!ENTITY a \"1\"><!ENTITY b \"&a;&a;\">]>\n"
                + SMALL.replace("nr_bits=\"4\"", "nr_bits=\"&b;\"");
        assertEquals("refused", read(ascii(bomb), false));
    }

    @Test
    void aVisitorHasNoEndOfADocumentThatIsNotSound() {
        for (String xml : List.of(SMALL + "x", SMALL.replace("</superblock>\n", ""), SMALL + SMALL)) {
            Recorder recorder = new Recorder();
            assertThrows(
                    IOException.class,
                    () -> MetadataXmlReader.read(Channels.newChannel(new ByteArrayInputStream(ascii(xml))), recorder));
            assertEquals(false, recorder.toString().contains("end"));
        }
    }

    /** Writes down what it is told. */
    private static final class Recorder implements MetadataVisitor {
        private final StringBuilder text = new StringBuilder();
        private final java.util.BitSet bits = new java.util.BitSet();
        private final java.util.List<Long> eras = new java.util.ArrayList<>();
        private long nextWord;

        @Override
        public void superblock(long blockSize, long nrBlocks, long currentEra) {
            text.append("superblock " + blockSize + " " + nrBlocks + " " + currentEra + "; ");
        }

        @Override
        public void beginWriteset(long era, long nrBits) {
            text.append("writeset " + era + " " + nrBits + ": ");
            bits.clear();
            nextWord = 0;
        }

        @Override
        public void words(long firstWord, ByteBuffer buffer, int offset, int count) {
            assertEquals(nextWord, firstWord);
            nextWord += count;
            for (int i = 0; i < count; i++) {
                long word = buffer.getLong(offset + 8 * i);
                for (int bit = 0; bit < 64; bit++) {
                    bits.set((int) (firstWord + i) * 64 + bit, (word >>> bit & 1) != 0);
                }
            }
        }

        @Override
        public void endWriteset() {
            text.append(bits + "; ");
        }

        @Override
        public void beginEraArray() {
            text.append("eras: ");
        }

        @Override
        public void eras(long firstBlock, ByteBuffer buffer, int offset, int count) {
            assertEquals(eras.size(), firstBlock);
            for (int i = 0; i < count; i++) {
                eras.add(Integer.toUnsignedLong(buffer.getInt(offset + 4 * i)));
            }
        }

        @Override
        public void endEraArray() {
            text.append(eras + "; ");
        }

        @Override
        public void end() {
            text.append("end");
        }

        @Override
        public String toString() {
            return text.toString();
        }
    }
}
