// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.font.FontRenderContext;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.dmera.core.content.EraHistogram;
import org.dmera.core.linux.NativeText;
import org.knowm.xchart.HeatMapChart;
import org.knowm.xchart.HeatMapChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws the two charts of era_plot, one below the other: where and when was written; what each "since" would copy. */
final class EraPicture {
    private static final Color INK = new Color(0x24, 0x29, 0x2f);
    private static final Color GRID = new Color(0xe4, 0xe7, 0xeb);
    private static final Color CURVE = new Color(0xb5, 0x1f, 0x4b);
    /**
     * Pale to dark, so that the picture also works in grey and for colour-blind eyes, the palest plain to see on white, and each step a multiple of the one
     * before: on most devices a place has few of its blocks written in one era, and equal steps would show one colour.
     */
    private static final Shade[] SHADES = {
        new Shade(0, "up to 0.1 %", new Color(0xdd, 0x9e, 0x1f)),
        new Shade(0.001, "0.1 to 1 %", new Color(0xd8, 0x6a, 0x28)),
        new Shade(0.01, "1 to 10 %", new Color(0xc1, 0x3a, 0x4b)),
        new Shade(0.1, "10 to 50 %", new Color(0x7d, 0x1a, 0x5c)),
        new Shade(0.5, "50 to 100 %", new Color(0x2a, 0x08, 0x40))
    };

    /** Below this many pixels letters are smaller, and the legend is below the map. */
    private static final int NARROW_PIXELS = 700;
    /** A map lower than this has no room for its labels. */
    private static final int MIN_HEIGHT_PIXELS = 250;
    /** What a legend below takes. */
    private static final int LEGEND_PIXELS = 130;

    private static final int TICK_SPACING_PIXELS = 80;

    /** The colour of cells of which more than {@code above} (0 to 1) was written. */
    private record Shade(double above, String text, Color color) {}

    private final int width;
    private final int mapHeight;
    private final int curveHeight;
    private final Font text;
    private final Font heading;
    private final HeatMapChart map;
    private final XYChart curve;

    EraPicture(String device, EraGrid grid, EraHistogram histogram, long currentEra, long blockBytes, int width) {
        this.width = width;
        this.mapHeight = Math.max(MIN_HEIGHT_PIXELS, width * 45 / 100) + (width < NARROW_PIXELS ? LEGEND_PIXELS : 0);
        this.curveHeight = Math.max(MIN_HEIGHT_PIXELS * 3 / 4, width * 35 / 100);
        this.text = textFont(width);
        this.heading = headingFont(width);
        map = heatMap(device, grid, histogram.blocks(), currentEra, blockBytes);
        curve = curve(histogram, currentEra, blockBytes);
    }

    /** What labels are written in, in a picture {@code width} pixels wide. */
    static Font textFont(int width) {
        return new Font(Font.SANS_SERIF, Font.PLAIN, width < NARROW_PIXELS ? 10 : 13);
    }

    /** What titles are written in: larger than any label. */
    static Font headingFont(int width) {
        return new Font(
                Font.SANS_SERIF,
                Font.BOLD,
                Math.min(17, Math.max(textFont(width).getSize() + 1, width / 75)));
    }

    int width() {
        return width;
    }

    int height() {
        return mapHeight + curveHeight;
    }

    void paint(Graphics2D g) {
        g.setColor(Color.WHITE);
        g.fillRect(0, 0, width, height());
        map.paint((Graphics2D) g.create(0, 0, width, mapHeight), width, mapHeight);
        curve.paint((Graphics2D) g.create(0, mapHeight, width, curveHeight), width, curveHeight);
    }

    private HeatMapChart heatMap(String device, EraGrid grid, long nrBlocks, long currentEra, long blockBytes) {
        Scale scale = Scale.of(nrBlocks * blockBytes);
        HeatMapChart chart = new HeatMapChartBuilder()
                .width(width)
                .height(mapHeight)
                .title(title(
                        device,
                        (width < NARROW_PIXELS
                                        ? ": written where and when ("
                                        : ": share of blocks last written, by place and era (")
                                + never(grid, nrBlocks) + ")"))
                .xAxisTitle("position in the origin, " + scale.unit())
                .yAxisTitle("era")
                .build();
        style(chart.getStyler());
        chart.getStyler()
                .setRangeColors(Arrays.stream(SHADES).map(Shade::color).toArray(Color[]::new))
                // Swatches rather than a gradient: a gradient does not survive into SVG.
                .setPiecewise(true)
                .setPiecewiseRanged(false)
                .setSplitNumber(SHADES.length)
                .setMin(0)
                .setMax(SHADES.length)
                .setHeatMapDecimalValueFormatter(shade -> SHADES[shade.intValue()].text())
                .setDrawBorder(false)
                .setShowValue(false)
                .setPlotContentSize(1);
        // Each label knows its place, and most of them are empty.
        chart.getStyler().setXAxisTickMarkSpacingHint(1);
        chart.getStyler().setYAxisTickMarkSpacingHint(1);
        chart.getStyler().setAxisTicksMarksVisible(false);
        chart.getStyler().setPlotGridLinesVisible(false);
        List<String> x =
                AxisLabels.ofBytes(nrBlocks * blockBytes, scale, grid.columns(), at -> grid.columnOf(at / blockBytes));
        List<String> y = AxisLabels.ofEras(currentEra, grid.rows(), grid::rowOf);
        List<Number[]> cells = new ArrayList<>();
        for (int column = 0; column < grid.columns(); column++) {
            for (int row = 0; row < grid.rows(); row++) {
                double share = grid.share(column, row);
                if (share > 0) {
                    cells.add(new Number[] {column, row, shadeOf(share) + 0.5});
                }
            }
        }
        if (cells.isEmpty()) {
            // The library draws no map without a cell: one that is as white as the rest.
            cells.add(new Number[] {0, 0, 0});
            chart.getStyler().setRangeColors(new Color[] {Color.WHITE});
            chart.getStyler().setLegendVisible(false);
        }
        chart.addSeries("share of the blocks there", x, y, cells);
        return chart;
    }

    private static int shadeOf(double share) {
        int shade = SHADES.length - 1;
        while (SHADES[shade].above() > share) {
            shade--;
        }
        return shade;
    }

    /** Cuts the front of a long path, so that the rest fits. */
    private String title(String path, String text) {
        String device = NativeText.toUnicode(path);
        FontRenderContext plain = new FontRenderContext(null, true, true);
        double room = width * 0.84;
        int from = 0;
        while (from < device.length()
                && heading.getStringBounds((from == 0 ? "" : "…") + device.substring(from) + text, plain)
                                .getWidth()
                        > room) {
            from++;
        }
        return (from == 0 ? "" : "…") + device.substring(from) + text;
    }

    private static String never(EraGrid grid, long nrBlocks) {
        return nrBlocks == 0 ? "empty" : Amounts.percent(grid.neverWritten(), nrBlocks) + " never";
    }

    private XYChart curve(EraHistogram histogram, long currentEra, long blockBytes) {
        int points = Math.min(histogram.bins(), 1000);
        double[] eras = new double[points + 1];
        double[] amounts = new double[points + 1];
        Scale scale = Scale.of((histogram.blocks() - histogram.never()) * blockBytes);
        long since = 0;
        int point = points - 1;
        for (int bin = histogram.bins() - 1; bin >= 0; bin--) {
            since += histogram.count(bin);
            if (bin == (long) point * histogram.bins() / points) {
                eras[point] = histogram.firstEra(bin);
                amounts[point] = scale.in(since * blockBytes);
                point--;
            }
        }
        // The newest era's step ends where the next one would begin. (A little before it: where all points are equally
        // far apart the library labels each of them.)
        eras[points] = currentEra + 0.999;
        amounts[points] = amounts[points - 1];
        if (points > 1) {
            // "Since era 0" is everything, written or not: nobody asks for it, and it would flatten the curve.
            eras = Arrays.copyOfRange(eras, 1, points + 1);
            amounts = Arrays.copyOfRange(amounts, 1, points + 1);
        }
        XYChart chart = new XYChartBuilder()
                .width(width)
                .height(curveHeight)
                .title("how much an increment since an era would copy")
                .xAxisTitle("since era (now: " + currentEra + ")")
                .yAxisTitle(scale.unit())
                .build();
        style(chart.getStyler());
        chart.getStyler().setDefaultSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.StepArea);
        chart.getStyler().setLegendVisible(false);
        chart.getStyler().setYAxisMin(0.0);
        // Labels of whole eras only.
        double span = Math.max(1, eras[eras.length - 1] - eras[0]);
        chart.getStyler().setXAxisTickMarkSpacingHint((int) Math.max(TICK_SPACING_PIXELS, width / span));
        chart.getStyler().setXAxisDecimalPattern("0").setYAxisDecimalPattern("#,##0.##");
        chart.addSeries("changed", eras, amounts)
                .setMarker(SeriesMarkers.NONE)
                .setLineColor(CURVE)
                .setFillColor(new Color(CURVE.getRed(), CURVE.getGreen(), CURVE.getBlue(), 48));
        return chart;
    }

    private void style(AxesChartStyler styler) {
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setPlotBackgroundColor(Color.WHITE);
        styler.setChartFontColor(INK);
        styler.setChartTitleFont(heading);
        styler.setChartTitleBoxVisible(false);
        styler.setChartTitlePadding(8);
        styler.setLegendFont(text);
        styler.setLegendBorderColor(Color.WHITE);
        styler.setLegendPosition(
                width < NARROW_PIXELS ? Styler.LegendPosition.OutsideS : Styler.LegendPosition.OutsideE);
        styler.setChartPadding(14);
        styler.setAxisTickLabelsFont(text);
        styler.setAxisTitleFont(text);
        styler.setPlotGridLinesColor(GRID);
        styler.setPlotBorderColor(GRID);
        styler.setAntiAlias(true);
    }
}
