// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.dmera.core.changes.EraHistogram;
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
    /** Pale to dark, so that the picture also works in grey and for colour-blind eyes. */
    private static final Color[] HEAT = {
        new Color(0xfd, 0xe7, 0xb0),
        new Color(0xf9, 0xa6, 0x5a),
        new Color(0xe2, 0x58, 0x4f),
        new Color(0x9e, 0x1c, 0x5c),
        new Color(0x3b, 0x0f, 0x4f)
    };

    private static final Font TITLE = new Font(Font.SANS_SERIF, Font.BOLD, 17);
    private static final Font TEXT = new Font(Font.SANS_SERIF, Font.PLAIN, 13);

    private final int width;
    private final int mapHeight;
    private final int curveHeight;
    private final HeatMapChart map;
    private final XYChart curve;

    EraPicture(String device, EraGrid grid, EraHistogram histogram, long currentEra, long blockBytes, int width) {
        this.width = width;
        this.mapHeight = width * 45 / 100;
        this.curveHeight = width * 35 / 100;
        map = heatMap(device, grid, histogram.blocks(), blockBytes);
        curve = curve(histogram, currentEra, blockBytes);
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

    private HeatMapChart heatMap(String device, EraGrid grid, long nrBlocks, long blockBytes) {
        Scale scale = Scale.of(nrBlocks * blockBytes);
        HeatMapChart chart = new HeatMapChartBuilder()
                .width(width)
                .height(mapHeight)
                .title(device + ": which share of each place was last written when (" + never(grid, nrBlocks) + ")")
                .xAxisTitle("position in the origin, " + scale.unit())
                .yAxisTitle("era")
                .build();
        style(chart.getStyler());
        chart.getStyler()
                .setRangeColors(HEAT)
                // Swatches rather than a gradient: a gradient does not survive into SVG.
                .setPiecewise(true)
                .setSplitNumber(HEAT.length)
                .setMin(0)
                .setMax(100)
                .setDrawBorder(false)
                .setShowValue(false)
                .setHeatMapValueDecimalPattern("0 '%'")
                .setPlotContentSize(1);
        chart.getStyler().setXAxisMaxLabelCount(9);
        List<String> x = new ArrayList<>();
        for (int column = 0; column < grid.columns(); column++) {
            x.add(scale.text(grid.firstBlock(column) * blockBytes));
        }
        List<String> y = new ArrayList<>();
        for (int row = 0; row < grid.rows(); row++) {
            y.add(Long.toString(grid.firstEra(row)));
        }
        List<Number[]> cells = new ArrayList<>();
        for (int column = 0; column < grid.columns(); column++) {
            for (int row = 0; row < grid.rows(); row++) {
                double share = grid.share(column, row);
                if (share > 0) {
                    cells.add(new Number[] {column, row, 100 * share});
                }
            }
        }
        if (cells.isEmpty()) {
            // The library draws no map without a cell.
            cells.add(new Number[] {0, 0, 0});
        }
        chart.addSeries("share of the blocks there", x, y, cells);
        return chart;
    }

    private static String never(EraGrid grid, long nrBlocks) {
        return nrBlocks == 0
                ? "empty"
                : String.format(Locale.ROOT, "%.3g %% never written", 100.0 * grid.neverWritten() / nrBlocks);
    }

    private XYChart curve(EraHistogram histogram, long currentEra, long blockBytes) {
        int points = Math.min(histogram.bins(), 1000);
        double[] eras = new double[points];
        double[] amounts = new double[points];
        Scale scale = Scale.of((histogram.blocks() - neverOf(histogram)) * blockBytes);
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
        if (points > 1) {
            // "Since era 0" is everything, written or not: nobody asks for it, and it would flatten the curve.
            eras = java.util.Arrays.copyOfRange(eras, 1, points);
            amounts = java.util.Arrays.copyOfRange(amounts, 1, points);
        }
        XYChart chart = new XYChartBuilder()
                .width(width)
                .height(curveHeight)
                .title("what an increment since an era would copy")
                .xAxisTitle("since era (now: " + currentEra + ")")
                .yAxisTitle(scale.unit())
                .build();
        style(chart.getStyler());
        chart.getStyler().setDefaultSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.StepArea);
        chart.getStyler().setLegendVisible(false);
        chart.getStyler().setYAxisMin(0.0);
        chart.getStyler().setXAxisDecimalPattern("0").setYAxisDecimalPattern("#,##0.##");
        chart.addSeries("changed", eras, amounts)
                .setMarker(SeriesMarkers.NONE)
                .setLineColor(CURVE)
                .setFillColor(new Color(CURVE.getRed(), CURVE.getGreen(), CURVE.getBlue(), 48));
        return chart;
    }

    private static long neverOf(EraHistogram histogram) {
        return histogram.lastEra(0) == 0 ? histogram.count(0) : 0;
    }

    private static void style(AxesChartStyler styler) {
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setPlotBackgroundColor(Color.WHITE);
        styler.setChartFontColor(INK);
        styler.setChartTitleFont(TITLE);
        styler.setChartTitleBoxVisible(false);
        styler.setLegendFont(TEXT);
        styler.setLegendBorderColor(Color.WHITE);
        styler.setLegendPosition(Styler.LegendPosition.OutsideE);
        styler.setChartPadding(14);
        styler.setAxisTickLabelsFont(TEXT);
        styler.setAxisTitleFont(TEXT);
        styler.setPlotGridLinesColor(GRID);
        styler.setPlotBorderColor(GRID);
        styler.setAntiAlias(true);
    }

    /** A unit in which the largest amount of an axis has one to four digits. */
    private record Scale(double bytes, String unit) {
        private static final String[] UNITS = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};

        static Scale of(long largest) {
            int i = 0;
            double unit = 1;
            while (largest / unit >= 2048 && i < UNITS.length - 1) {
                unit *= 1024;
                i++;
            }
            return new Scale(unit, UNITS[i]);
        }

        double in(long amount) {
            return amount / bytes;
        }

        String text(long amount) {
            double v = in(amount);
            return String.format(Locale.ROOT, v == Math.rint(v) ? "%.0f" : "%.1f", v);
        }
    }
}
