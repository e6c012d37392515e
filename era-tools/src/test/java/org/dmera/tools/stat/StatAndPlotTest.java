// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import javax.imageio.ImageIO;
import javax.xml.parsers.DocumentBuilderFactory;
import org.dmera.core.content.EraHistogram;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.Commands;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;

/** era_stat's figures and era_plot's pictures, of metadata that the kernel made. */
class StatAndPlotTest {
    @TempDir
    Path dir;

    private int code;
    private String err;

    private String run(Command command, Object... args) {
        String[] words = new String[args.length];
        for (int i = 0; i < args.length; i++) {
            words[i] = args[i].toString();
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        code = CommandLine.run(
                command,
                words,
                new ByteArrayInputStream(new byte[0]),
                out,
                new PrintStream(errors, true, StandardCharsets.UTF_8));
        err = errors.toString(StandardCharsets.UTF_8);
        return out.toString(StandardCharsets.UTF_8);
    }

    private Path image(String name) throws IOException {
        return Files.write(dir.resolve(name), Fixtures.imageBytes(Fixtures.image(name)));
    }

    @Test
    void theJsonSaysWhatTheSuperblockAndTheManifestSay() throws IOException {
        for (String name :
                List.of("e_crash_bs8.crash", "c_snap_bs8.live", "f_undigested.crash", "a_fresh_bs8.formatted")) {
            JsonNode image = Fixtures.image(name);
            JsonNode json = new ObjectMapper().readTree(run(new StatCommand(), "--format", "json", image(name)));
            assertEquals(0, code, err);
            JsonNode superblock = image.get("superblock");
            assertEquals(superblock.get("current_era"), json.get("current_era"), name);
            assertEquals(superblock.get("nr_blocks"), json.get("nr_blocks"), name);
            assertEquals(superblock.get("sm").get("nr_allocated"), json.get("metadata_blocks_used"), name);
            assertEquals(
                    512 * superblock.get("data_block_size").asLong(),
                    json.get("block_size").asLong());
            long snap = superblock.get("metadata_snap").asLong();
            assertEquals(snap == 0, json.get("snapshot_block").isNull(), name);
            boolean open = superblock.get("cw_root").asLong() != 0;
            long marked = 0;
            for (JsonNode w : json.get("writesets")) {
                marked = w.get("current").asBoolean() ? w.get("marked").asLong() : marked;
            }
            assertEquals(open ? image.get("current_writeset_marked").asLong() : 0, marked, name);
            assertEquals(
                    image.get("archived_writesets").size() + (open ? 1 : 0),
                    json.get("writesets").size(),
                    name);
        }
    }

    @Test
    void allWritesetsAreListedHoweverManyWait() throws IOException {
        Path many = dir.resolve("many");
        run(Commands.find("generate"), "--nr-blocks", 100, "--writesets", 1200, "-o", many);
        assertEquals(0, code, err);
        String text = run(new StatCommand(), many);
        assertTrue(text.contains("1200 archived (era 11 to 1210)"), text);
        JsonNode json = new ObjectMapper().readTree(run(new StatCommand(), "--format", "json", many));
        assertEquals(1200, json.get("writesets").size());
    }

    @Test
    void eachSinceIsTheSumOfWhatFollows() throws IOException {
        JsonNode json =
                new ObjectMapper().readTree(run(new StatCommand(), "--format=json", image("e_crash_bs8.crash")));
        JsonNode eras = json.get("eras");
        long since = 0;
        for (int i = eras.size() - 1; i >= 0; i--) {
            since += eras.get(i).get("blocks").asLong();
            assertEquals(since, eras.get(i).get("blocks_since").asLong());
            assertEquals(since * 4096, eras.get(i).get("bytes_since").asLong());
        }
        assertEquals(json.get("nr_blocks").asLong(), since);
    }

    @Test
    void eachSinceIsWhatEraInvalidateLists() throws IOException {
        for (String name :
                List.of("e_crash_bs24.crash", "f_undigested.crash", "g_resize.grown_live", "r_fuzz00.live2")) {
            Path metadata = image(name);
            JsonNode json = new ObjectMapper().readTree(run(new StatCommand(), "--format=json", metadata));
            for (JsonNode era : json.get("eras")) {
                String since = era.get("era").asText();
                long listed = 0;
                String ranges =
                        run(Commands.find("era_invalidate"), "--written-since", since, "--format", "ranges", metadata);
                assertEquals(0, code, err);
                for (String range : ranges.lines().toList()) {
                    listed += Long.parseLong(range.substring(range.indexOf(' ') + 1));
                }
                assertEquals(listed, era.get("bytes_since").asLong(), name + ", since " + since);
            }
        }
    }

    /** Four blocks; the era array says era {@code first} of block 0, which {@code writesets} may name, too. */
    private Path restored(String name, int first, String writesets) throws IOException {
        Path xml = Files.writeString(
                dir.resolve(name + ".xml"),
                "<superblock uuid=\"\" block_size=\"8\" nr_blocks=\"4\" current_era=\"9\">" + writesets
                        + "<era_array><era block=\"0\" era=\"" + first + "\"/><era block=\"1\" era=\"1\"/>"
                        + "<era block=\"2\" era=\"1\"/><era block=\"3\" era=\"9\"/></era_array></superblock>");
        Path metadata = Files.write(dir.resolve(name), new byte[64 * 4096]);
        run(Commands.find("era_restore"), "-i", xml, "-o", metadata);
        assertEquals(0, code, err);
        return metadata;
    }

    private String svg(Path metadata) throws IOException {
        Path svg = dir.resolve(metadata.getFileName() + ".svg");
        run(new PlotCommand(), metadata, "-o", svg, "--title", "same");
        assertEquals(0, code, err);
        return Files.readString(svg);
    }

    @Test
    void aBlockWhoseEraInTheArrayIsAboveThatOfAWaitingWritesetWasLastWrittenThen() throws IOException {
        Path ahead = restored(
                "ahead",
                9,
                "<writeset era=\"8\" nr_bits=\"4\"><marked block_begin=\"0\" len=\"1\"/></writeset>"
                        + "<writeset era=\"9\" nr_bits=\"4\"><marked block_begin=\"3\" len=\"1\"/></writeset>");
        String since = run(Commands.find("era_invalidate"), "--written-since", "9", "--format", "ranges", ahead);
        assertEquals(0, code, err);
        assertEquals(List.of("0 4096", "12288 4096"), since.lines().toList());

        JsonNode eras = new ObjectMapper()
                .readTree(run(new StatCommand(), "--format=json", ahead))
                .get("eras");
        assertEquals(2, eras.size(), eras.toString());
        for (JsonNode era : eras) {
            assertTrue(List.of(1, 9).contains(era.get("era").asInt()), eras.toString());
            assertEquals(2, era.get("blocks").asInt(), eras.toString());
        }

        assertEquals(svg(restored("settled", 9, "")), svg(ahead));
        assertNotEquals(svg(restored("earlier", 8, "")), svg(ahead));
    }

    @Test
    void theTextNamesWhatMattersAndFitsATerminal() throws IOException {
        String text = run(new StatCommand(), image("c_snap_bs8.live"));
        assertEquals(0, code, err);
        for (String label : List.of("Origin", "Current era", "held, at block", "Never written", "since then")) {
            assertTrue(text.contains(label), text);
        }
        text.lines().skip(1).forEach(line -> assertTrue(line.length() <= 100, line));
        String snapshot = run(new StatCommand(), "--metadata-snapshot", image("c_snap_bs8.live"));
        assertEquals(0, code, err);
        assertTrue(snapshot.contains("(the held metadata snapshot)") && !snapshot.contains("none held"), snapshot);
    }

    @Test
    void manyErasAreShownInFewRows() {
        EraHistogram histogram = new EraHistogram(5_000_000);
        for (int b = 0; b < 100_000; b++) {
            histogram.block(b, b * 50L);
        }
        List<EraRows.Row> rows = EraRows.of(histogram);
        assertTrue(rows.size() < 50, rows.size() + " rows");
        long next = 5_000_000;
        for (EraRows.Row row : rows) {
            assertEquals(next, row.last());
            next = row.first() - 1;
        }
        assertEquals(0, next);
        // Block 0 was never written.
        assertEquals(99_999, rows.get(rows.size() - 1).since());
        assertEquals(1, histogram.never());
        assertEquals(4_999_950, histogram.firstEra(histogram.bins() - 51));
        assertEquals(1, histogram.count(histogram.bins() - 51));
    }

    @Test
    void everyEraIsInOneBinHoweverManyThereAre() {
        for (long currentEra : new long[] {0, 1, 2, 1 << 20, (1 << 20) + 1, 3_000_000, 0xFFFFFFFFL}) {
            EraHistogram histogram = new EraHistogram(currentEra);
            long next = 0;
            for (int bin = 0; bin < histogram.bins(); bin++) {
                assertEquals(next, histogram.firstEra(bin), "of " + currentEra);
                assertTrue(histogram.lastEra(bin) >= next, "of " + currentEra);
                next = histogram.lastEra(bin) + 1;
            }
            assertEquals(currentEra + 1, next);
            assertEquals(0, histogram.lastEra(0));
            assertTrue(histogram.bins() <= (1 << 20) + 1, histogram.bins() + " bins");
            for (long era : new long[] {0, 1, currentEra / 3, currentEra - 1, currentEra}) {
                histogram.block(0, Math.max(0, era));
                assertTrue(histogram.count(Math.max(0, era), Math.max(0, era)) > 0, era + " of " + currentEra);
            }
        }
    }

    @Test
    void onlyNothingIsNoneAndOnlyTheWholeIsAll() {
        assertEquals("0.00 %", Amounts.percent(0, 10));
        assertEquals("<0.01 %", Amounts.percent(1, 1_000_000));
        assertEquals("50.0 %", Amounts.percent(1, 2));
        assertEquals("99.99 %", Amounts.percent(9_999, 10_000));
        assertEquals(">99.99 %", Amounts.percent(999_999, 1_000_000));
        assertEquals("100.0 %", Amounts.percent(10, 10));
        assertEquals("1 block", Amounts.blocks(1));
        assertEquals("0 blocks", Amounts.blocks(0));
    }

    @Test
    void aPngShowsWhereAndWhen() throws IOException {
        Path png = dir.resolve("picture.png");
        run(new PlotCommand(), image("b_eras_bs8.clean"), "-o", png, "--width", "800");
        assertEquals(0, code, err);
        BufferedImage picture = ImageIO.read(png.toFile());
        assertEquals(800, picture.getWidth());
        Set<Integer> colours = new HashSet<>();
        for (int x = 0; x < picture.getWidth(); x++) {
            for (int y = 0; y < picture.getHeight(); y++) {
                colours.add(picture.getRGB(x, y));
            }
        }
        assertTrue(colours.size() > 50, colours.size() + " colours");
        assertTrue(colours.contains(0xFFB51F4B), "the curve is drawn");
    }

    @Test
    void theMapTellsAPlaceWithFewWrittenBlocksFromOneWithMany() throws IOException {
        Path png = dir.resolve("picture.png");
        run(new PlotCommand(), image("h_large.live"), "-o", png);
        assertEquals(0, code, err);
        Set<Integer> colours = coloursOfTheMap(png);
        assertTrue(colours.contains(0xFFDD9E1F), "places with single blocks");
        assertTrue(colours.contains(0xFFC13A4B), "places of which more than a hundredth was written");
    }

    @Test
    void aNarrowPictureHasAMapAndATitleThatCanBeRead() throws IOException {
        Path png = dir.resolve("picture.png");
        run(new PlotCommand(), image("h_large.live"), "-o", png, "--width", "400", "--title", "x".repeat(300));
        assertEquals(0, code, err);
        BufferedImage picture = ImageIO.read(png.toFile());
        int rows = 0;
        for (int y = 0; y < 240; y++) {
            int cells = 0;
            for (int x = 0; x < 400; x++) {
                cells += picture.getRGB(x, y) == 0xFFDD9E1F ? 1 : 0;
            }
            rows += cells > 40 ? 1 : 0;
        }
        assertTrue(rows > 150, "the map is " + rows + " pixels high");
        // The title is cut in front, and has white at both ends.
        for (int y = 20; y < 36; y++) {
            for (int x : new int[] {0, 1, 2, 3, 396, 397, 398, 399}) {
                assertEquals(0xFFFFFFFF, picture.getRGB(x, y), "at " + x + "," + y);
            }
        }
    }

    @Test
    void whereNothingWasWrittenNothingIsDrawn() throws IOException {
        Path png = dir.resolve("picture.png");
        run(new PlotCommand(), image("a_fresh_bs8.live"), "-o", png);
        assertEquals(0, code, err);
        assertFalse(coloursOfTheMap(png).contains(0xFFDD9E1F));
    }

    /** The colours of a picture of the usual width, without the legend and the curve. */
    private static Set<Integer> coloursOfTheMap(Path png) throws IOException {
        BufferedImage picture = ImageIO.read(png.toFile());
        Set<Integer> colours = new HashSet<>();
        for (int x = 0; x < 1000; x++) {
            for (int y = 50; y < 480; y++) {
                colours.add(picture.getRGB(x, y));
            }
        }
        return colours;
    }

    @Test
    void theLabelsOfAPictureAreRoundNumbersInTheirPlaces() {
        List<String> eras = AxisLabels.ofEras(302, 44, era -> (int) (era - 1) / 7);
        assertEquals("50", eras.get(7));
        assertEquals("300", eras.get(42));
        assertEquals(6, eras.stream().filter(label -> !label.isBlank()).count());
        assertEquals(List.of("1", "2", "3"), AxisLabels.ofEras(3, 3, era -> (int) era - 1));

        long size = 3L << 40;
        List<String> places = AxisLabels.ofBytes(size, Scale.of(size), 200, at -> (int) (at / (size / 200 + 1)));
        assertEquals("0", places.get(0));
        assertEquals("1", places.get(66));
        assertEquals("3", places.get(199));
        assertEquals(7, places.stream().filter(label -> !label.isBlank()).count());
        List<String> fractions = AxisLabels.ofBytes(4096, Scale.of(4096), 8, at -> (int) (at / 512));
        assertEquals(List.of("0", "0.5", "1", "1.5", "2", "2.5", "3", "3.5"), fractions);
    }

    @Test
    void theLargestOriginIsLabelledAsWell() {
        long size = Long.MAX_VALUE - 511;
        List<String> places = AxisLabels.ofBytes(size, Scale.of(size), 200, at -> (int) (at / (size / 200 + 1)));
        assertEquals("0", places.get(0));
        assertEquals("8192", places.get(199));
        assertEquals(9, places.stream().filter(label -> !label.isBlank()).count());
    }

    @Test
    void anOriginOfFewBlocksIsLabelledWhereTheyBegin() {
        assertEquals(List.of("0 to 64"), AxisLabels.ofBytes(65_536, Scale.of(65_536), 1, at -> 0));
        assertEquals(List.of("0", "64"), AxisLabels.ofBytes(131_072, Scale.of(131_072), 2, at -> (int) (at / 65_536)));
    }

    @Test
    void titlesAreLargerThanLabels() {
        for (int width = 300; width <= 4000; width += 50) {
            assertTrue(
                    EraPicture.headingFont(width).getSize()
                            > EraPicture.textFont(width).getSize(),
                    width + " pixels");
        }
    }

    @Test
    void anSvgIsXmlThatStandsAlone() throws Exception {
        Path svg = dir.resolve("picture.svg");
        run(new PlotCommand(), image("b_eras_bs8.clean"), "-o", svg, "--title", "/dev/vg/home");
        assertEquals(0, code, err);
        Document document =
                DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(svg.toFile());
        assertEquals("svg", document.getDocumentElement().getTagName());
        String text = Files.readString(svg);
        assertTrue(text.contains("rgb(181,31,75)"), "the curve is drawn");
        assertTrue(document.getElementsByTagName("rect").getLength() > 10, "cells are drawn");
        assertTrue(document.getElementsByTagName("path").getLength() > 50, "labels are drawn");
        assertFalse(text.contains("DOCTYPE"), "nothing is to be fetched from elsewhere");
    }

    @Test
    void emptyAndTinyMetadataCanBeDrawnToo() throws IOException {
        run(new PlotCommand(), image("a_fresh_bs8.formatted"), "-o", dir.resolve("formatted.png"));
        assertEquals(0, code, err);
        run(new PlotCommand(), image("a_fresh_bs8.clean"), "-o", dir.resolve("fresh.svg"));
        assertEquals(0, code, err);
        run(new StatCommand(), image("a_fresh_bs8.formatted"));
        assertEquals(0, code, err);
    }

    @Test
    void whatIsNoMetadataAndAnUnknownPictureKindAreRefusedInOneLine() throws IOException {
        Path zeroes = Files.write(dir.resolve("zeroes"), new byte[65536]);
        run(new StatCommand(), zeroes);
        assertEquals(1, code);
        assertTrue(err.contains("bad checksum in superblock"), err);
        run(new PlotCommand(), zeroes, "-o", dir.resolve("a.png"));
        assertEquals(1, code);
        assertFalse(Files.exists(dir.resolve("a.png")));
        run(new PlotCommand(), image("a_fresh_bs8.clean"), "-o", dir.resolve("a.gif"));
        assertEquals(1, code);
        assertTrue(err.contains(".svg or .png"), err);
    }
}
