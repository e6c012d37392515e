// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.read.MetadataRoots;
import org.dmera.testkit.Fixtures;
import org.dmera.testkit.Health;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every image that the real kernel made, through the tools. */
class KernelImagesTest {
    private static final Pattern RANGE =
            Pattern.compile(" {2}(?:<block block=\"(\\d+)\"/>|<range begin=\"(\\d+)\" end=\"(\\d+)\"/>)\n");

    @TempDir
    private Path folder;

    static List<String> images() {
        List<String> names = new ArrayList<>();
        for (JsonNode image : Fixtures.images()) {
            names.add(image.get("name").asText());
        }
        return names;
    }

    /** One of each scenario: for what depends on the form only. */
    static List<String> someImages() {
        Map<String, String> names = new LinkedHashMap<>();
        for (JsonNode image : Fixtures.images()) {
            names.put(image.get("scenario").asText(), image.get("name").asText());
        }
        return List.copyOf(names.values());
    }

    static List<String> imagesWithSnapshot() {
        List<String> names = new ArrayList<>();
        for (JsonNode image : Fixtures.images()) {
            if (image.hasNonNull("snapshot")) {
                names.add(image.get("name").asText());
            }
        }
        return names;
    }

    private Path write(JsonNode image) throws IOException {
        return Files.write(folder.resolve("image"), Fixtures.imageBytes(image));
    }

    /** The recorded dump; for an image that was never resumed, which the peers can't dump, what it must be. */
    private static byte[] expectedXml(JsonNode image) {
        byte[] recorded = Fixtures.xmlBytes(image);
        if (recorded != null || image.get("nr_blocks").asLong() != 0) {
            return recorded;
        }
        return ("<superblock uuid=\"\" block_size=\"" + image.get("block_size_sectors")
                        + "\" nr_blocks=\"0\" current_era=\"0\">\n  <era_array>\n  </era_array>\n</superblock>\n")
                .getBytes(StandardCharsets.US_ASCII);
    }

    @ParameterizedTest
    @MethodSource("images")
    void theDumpIsTheRecordedOneAndSurvivesRestoring(String name) throws IOException {
        JsonNode image = Fixtures.image(name);
        Path device = write(image);
        Path xml = dump(device, "xml");
        byte[] expected = expectedXml(image);
        if (expected != null) {
            assertArrayEquals(expected, Files.readAllBytes(xml));
        }
        for (String option : new String[] {"--format=xml", "--compact"}) {
            assertEquals(-1, Files.mismatch(xml, dump(restore(dump(device, "input", option)), "again")));
        }
    }

    /** Dumped to a file: some dumps are hundreds of MiB. */
    private Path dump(Path device, String name, Object... options) {
        Path file = folder.resolve(name);
        List<Object> args = new ArrayList<>(List.of(options));
        args.addAll(List.of("-o", file, device));
        ToolRun.of("era_dump", args.toArray()).product();
        return file;
    }

    /** What a restore makes of {@code xml}; it must be in perfect health. */
    private Path restore(Path xml) throws IOException {
        Path output = folder.resolve("restored");
        try (RandomAccessFile file = new RandomAccessFile(output.toFile(), "rw")) {
            file.setLength(0);
            file.setLength(16 << 20);
        }
        ToolRun.of("era_restore", "-i", xml, "-o", output).product();
        try (FileBlockDevice device = FileBlockDevice.open(output, false)) {
            Health.require(device, "restored");
        }
        return output;
    }

    @ParameterizedTest
    @MethodSource("images")
    void theLogicalDumpHasTheEraOfTheLastWriteOfEachBlock(String name) throws IOException {
        JsonNode image = Fixtures.image(name);
        String xml = ToolRun.of("era_dump", "--logical", write(image)).text();
        assertEquals(-1, xml.indexOf("<writeset"));
        long[] eras =
                lastEras(image.get("written_by_era"), image.get("nr_blocks").asInt());
        StringBuilder expected = new StringBuilder("  <era_array>\n");
        for (int b = 0; b < eras.length; b++) {
            expected.append("    <era block=\"")
                    .append(b)
                    .append("\" era=\"")
                    .append(eras[b])
                    .append("\"/>\n");
        }
        expected.append("  </era_array>\n</superblock>\n");
        assertEquals(expected.toString(), xml.substring(xml.indexOf('\n') + 1));
    }

    @ParameterizedTest
    @MethodSource("someImages")
    void theJsonDumpSaysTheSameAsTheXml(String name) throws IOException {
        JsonNode image = Fixtures.image(name);
        Path device = write(image);
        JsonNode json = new ObjectMapper()
                .readTree(ToolRun.of("era_dump", "--format", "json", device).product());
        StringBuilder xml = new StringBuilder();
        xml.append("<superblock uuid=\"\" block_size=\"").append(json.get("block_size"));
        xml.append("\" nr_blocks=\"").append(json.get("nr_blocks"));
        xml.append("\" current_era=\"").append(json.get("current_era")).append("\">\n");
        for (JsonNode writeset : json.get("writesets")) {
            xml.append("  <writeset era=\"").append(writeset.get("era"));
            xml.append("\" nr_bits=\"").append(writeset.get("nr_bits")).append("\">\n");
            for (JsonNode run : writeset.get("marked")) {
                xml.append("    <marked block_begin=\"").append(run.get("block_begin"));
                xml.append("\" len=\"").append(run.get("len")).append("\"/>\n");
            }
            xml.append("  </writeset>\n");
        }
        xml.append("  <era_array>\n");
        int block = 0;
        for (JsonNode era : json.get("era_array")) {
            xml.append("    <era block=\"")
                    .append(block++)
                    .append("\" era=\"")
                    .append(era)
                    .append("\"/>\n");
        }
        xml.append("  </era_array>\n</superblock>\n");
        assertEquals(ToolRun.of("era_dump", "--compact", device).text(), xml.toString());
    }

    @ParameterizedTest
    @MethodSource("images")
    void invalidateListsWhatWasWrittenSinceEachEra(String name) throws IOException {
        JsonNode image = Fixtures.image(name);
        long[] eras =
                lastEras(image.get("written_by_era"), image.get("nr_blocks").asInt());
        listsEachEra(write(image), eras, image.get("current_era").asLong());
    }

    @ParameterizedTest
    @MethodSource("imagesWithSnapshot")
    void invalidateOfTheSnapshotListsWhatHadBeenWritten(String name) throws IOException {
        JsonNode image = Fixtures.image(name);
        Path device = write(image);
        MetadataRoots roots;
        try (FileBlockDevice file = FileBlockDevice.open(device, false)) {
            // The origin may have been resized since the snapshot was taken.
            roots = MetadataRoots.readSnapshot(file);
        }
        int nrBlocks = (int) roots.nrBlocks();
        long[] eras = lastEras(image.get("snapshot").get("written_by_era"), nrBlocks);
        listsEachEra(device, eras, roots.currentEra(), "--metadata-snapshot");
    }

    private static void listsEachEra(Path device, long[] eras, long currentEra, Object... more) {
        // A device with hundreds of eras is sampled: era-core's own test of the changed blocks takes every one.
        long step = 1 + currentEra / 12;
        for (long since = 0; since <= currentEra; since += step) {
            List<Object> args = new ArrayList<>(List.of(more));
            args.addAll(List.of("--written-since", since, device));
            assertEquals(
                    since(eras, since),
                    parse(ToolRun.of("era_invalidate", args.toArray()).text()));
        }
    }

    private static BitSet since(long[] eras, long since) {
        BitSet set = new BitSet();
        for (int b = 0; b < eras.length; b++) {
            set.set(b, eras[b] >= since);
        }
        return set;
    }

    /** The blocks of the XML, which must have the exact form, ranges as long as they can be. */
    private static BitSet parse(String xml) {
        BitSet set = new BitSet();
        assertEquals("<blocks>\n", xml.substring(0, 9));
        assertEquals("</blocks>\n", xml.substring(xml.length() - 10));
        Matcher matcher = RANGE.matcher(xml).region(9, xml.length() - 10);
        int previousEnd = -1;
        while (matcher.lookingAt()) {
            boolean single = matcher.group(1) != null;
            int begin = Integer.parseInt(matcher.group(single ? 1 : 2));
            int end = single ? begin + 1 : Integer.parseInt(matcher.group(3));
            if (begin <= previousEnd || !single && end < begin + 2) {
                throw new AssertionError("a range from " + begin + " to " + end + " after " + previousEnd);
            }
            set.set(begin, end);
            previousEnd = end;
            matcher.region(matcher.end(), xml.length() - 10);
        }
        assertEquals(xml.length() - 10, matcher.regionStart());
        return set;
    }

    @Test
    void anEraAfterTheCurrentOneIsWarnedOf() throws IOException {
        JsonNode image = Fixtures.image("b_eras_bs8.clean");
        Path device = write(image);
        long next = image.get("current_era").asLong() + 1;
        assertEquals(
                ToolRun.of("era_invalidate", "--written-since", next, device).text(),
                ToolRun.of("era_invalidate", "--written-since", next + 1, device)
                        .warned("warning: era " + (next + 1) + " is after the current era " + (next - 1)));
    }

    @Test
    void theNextEraIsOneToComeWhereTheCurrentOneIsNotOver() throws IOException {
        JsonNode crashed = Fixtures.image("e_crash_bs8.crash");
        long next = crashed.get("superblock").get("current_era").asLong() + 1;
        ToolRun.of("era_invalidate", "--written-since", next, write(crashed))
                .warned("warning: era " + next + " is after the current era");
        JsonNode live = Fixtures.image("c_snap_bs8.live");
        long nextHeld = MetadataRoots.readSnapshot(new MemoryBlockDevice(Fixtures.imageBytes(live)))
                        .currentEra()
                + 1;
        ToolRun.of("era_invalidate", "--metadata-snapshot", "--written-since", nextHeld, write(live))
                .warned("warning: era " + nextHeld + " is after the current era");
    }

    @ParameterizedTest
    @MethodSource("someImages")
    void allFormsOfTheListSayTheSame(String name) throws IOException {
        JsonNode image = Fixtures.image(name);
        Path device = write(image);
        long since = image.get("current_era").asLong() / 2;
        long blockBytes = image.get("block_size_sectors").asLong() * 512;
        BitSet blocks = parse(
                ToolRun.of("era_invalidate", "--written-since", since, device).text());
        BitSet ofRanges = new BitSet();
        for (String line : ToolRun.of("era_invalidate", "--written-since", since, "--format", "ranges", device)
                .text()
                .lines()
                .toList()) {
            long offset = Long.parseLong(line.substring(0, line.indexOf(' ')));
            long length = Long.parseLong(line.substring(line.indexOf(' ') + 1));
            assertEquals(0, offset % blockBytes + length % blockBytes);
            ofRanges.set((int) (offset / blockBytes), (int) ((offset + length) / blockBytes));
        }
        assertEquals(blocks, ofRanges);
        byte[] bitmap = ToolRun.of("era_invalidate", "--written-since", since, "--format", "bitmap", device)
                .product();
        assertEquals((image.get("nr_blocks").asInt() + 7) / 8, bitmap.length);
        assertEquals(blocks, BitSet.valueOf(bitmap));
        JsonNode json = new ObjectMapper()
                .readTree(ToolRun.of("era_invalidate", "--written-since", since, "--format", "json", device)
                        .product());
        BitSet ofJson = new BitSet();
        for (JsonNode range : json.get("ranges")) {
            ofJson.set(range.get("begin").asInt(), range.get("end").asInt());
        }
        assertEquals(blocks, ofJson);
        assertEquals(blocks.cardinality(), json.get("changed_blocks").asInt());
    }

    private static long[] lastEras(JsonNode writtenByEra, int nrBlocks) {
        long[] eraOf = new long[nrBlocks];
        TreeSet<Integer> eras = new TreeSet<>();
        writtenByEra.fieldNames().forEachRemaining(era -> eras.add(Integer.parseInt(era)));
        for (int era : eras) {
            for (String range : writtenByEra.get(Integer.toString(era)).asText().split(",", -1)) {
                String[] ends = range.split("-", 2);
                int begin = Integer.parseInt(ends[0]);
                java.util.Arrays.fill(eraOf, begin, Integer.parseInt(ends[ends.length - 1]) + 1, era);
            }
        }
        return eraOf;
    }
}
