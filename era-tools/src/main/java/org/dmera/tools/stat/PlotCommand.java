// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import javax.imageio.IIOException;
import javax.imageio.ImageIO;
import org.dmera.core.content.EraHistogram;
import org.dmera.core.content.LastWritten;
import org.dmera.tools.backup.copy.MetadataView;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;
import org.dmera.tools.io.OutputFile;
import org.dmera.tools.io.Overwriting;

/** {@code era_plot}: what was written where and when, as a picture. */
public final class PlotCommand implements Command {
    private static final int DEFAULT_WIDTH_PIXELS = 1200;

    @Override
    public Usage usage() {
        return new Usage(
                        "era_plot",
                        "Draws where and when an era device was written, and what each \"since\" would copy.")
                .required("output", 'o', "FILE", "The picture: FILE.svg or FILE.png")
                .flag("metadata-snapshot", 0, "Look at the metadata snapshot that is held: for a device in use")
                .option("title", 0, "TEXT", "Names the device in the picture [default: its path]")
                .option("width", 0, "PIXELS", "Width of the picture [default: 1200]")
                .operand("DEV", "The era device's metadata");
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        System.setProperty("java.awt.headless", "true");
        Path output = Path.of(arguments.value("output"));
        String name = output.toString().toLowerCase(Locale.ROOT);
        boolean svg = name.endsWith(".svg");
        if (!svg && !name.endsWith(".png")) {
            throw new IOException(output + ": a picture's name ends with .svg or .png");
        }
        int width = (int) arguments.number("width", DEFAULT_WIDTH_PIXELS, 400, 8000);
        List<String> inputs = List.of(arguments.operand(0));
        Overwriting.refuse(output.toString(), inputs);
        EraPicture picture;
        try (MetadataView view = new MetadataView(Path.of(arguments.operand(0)), arguments.has("metadata-snapshot"))) {
            long currentEra = view.roots().currentEra();
            EraGrid grid = new EraGrid(view.roots().nrBlocks(), currentEra);
            EraHistogram histogram = new EraHistogram(currentEra);
            LastWritten.forEach(view.device(), view.roots(), (block, era) -> {
                grid.block(block, era);
                histogram.block(block, era);
            });
            String title = arguments.value("title", arguments.operand(0));
            picture = new EraPicture(title, grid, histogram, currentEra, view.blockSizeBytes(), width);
        } catch (NoClassDefFoundError | InternalError e) {
            throw cannotDraw(e);
        }
        try (OutputFile file = OutputFile.open(output.toString(), inputs, console)) {
            // Closed by the command alone, when it has its final name.
            OutputStream out = new FilterOutputStream(Channels.newOutputStream(file.channel())) {
                @Override
                public void write(byte[] bytes, int from, int length) throws IOException {
                    this.out.write(bytes, from, length);
                }

                @Override
                public void close() throws IOException {
                    flush();
                }
            };
            if (svg) {
                SvgPicture.write(picture, out, output);
            } else {
                writePng(picture, out, output);
            }
            file.commit();
        } catch (NoClassDefFoundError | InternalError e) {
            throw cannotDraw(e);
        }
        return 0;
    }

    /**
     * What is missing. The libraries that draw are a package of their own, and Java draws text with the system's fonts and
     * says little when there are none.
     */
    private static IOException cannotDraw(Error cause) {
        boolean library = cause.getCause() instanceof ClassNotFoundException;
        return new IOException(
                library
                        ? "drawing needs the libraries that come with era_plot (Debian: dm-era-plot)"
                        : "drawing needs fontconfig, freetype and a font"
                                + " (Debian: fontconfig, libfreetype6, fonts-dejavu-core): " + cause.getMessage(),
                cause);
    }

    private static void writePng(EraPicture picture, OutputStream out, Path file) throws IOException {
        BufferedImage image = new BufferedImage(picture.width(), picture.height(), BufferedImage.TYPE_INT_RGB);
        Graphics2D g = image.createGraphics();
        g.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
        g.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
        picture.paint(g);
        g.dispose();
        // Not by way of a file in /tmp, which may be full as well.
        ImageIO.setUseCache(false);
        boolean known;
        try {
            known = ImageIO.write(image, "png", out);
        } catch (IIOException e) {
            // That a PNG could not be written it says itself; why, its cause.
            throw e.getCause() instanceof IOException reason ? reason : e;
        }
        if (!known) {
            throw new IOException(file + ": this Java has no writer for PNG");
        }
    }
}
