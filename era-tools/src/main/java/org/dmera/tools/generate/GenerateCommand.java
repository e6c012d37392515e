// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.generate;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.file.Folders;
import org.dmera.core.file.Links;
import org.dmera.core.format.IndexBlock;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Arguments.InvalidValueException;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;

/** {@code era-tools generate}: metadata of a device that never was. */
public final class GenerateCommand implements Command {
    private static final long MAX_ERA = 0xFFFFFFFFL;

    @Override
    public Usage usage() {
        return new Usage("era-tools generate", "Make up metadata of any size, the same for the same options")
                .option("block-size", 0, "SECTORS", "Sectors in an origin block, a multiple of 8 (default 128)")
                .option("nr-blocks", 0, "BLOCKS", "Blocks of the origin (default 65536)")
                .option("writesets", 0, "COUNT", "Writesets that are not digested yet (default 3)")
                .option("eras", 0, "COUNT", "The current era, at least the number of writesets (default 10 more)")
                .option(
                        "density",
                        0,
                        "SHARE",
                        "Share of the blocks that an era writes, above 0 and at most 1 (default 0.1)")
                .option("clustering", 0, "BLOCKS", "Mean length of a run of written blocks (default 16)")
                .option("seed", 0, "NUMBER", "Another number gives other metadata (default 1)")
                .option(
                        "metadata-blocks",
                        0,
                        "BLOCKS",
                        "Blocks of 4096 bytes of the output (default: as many as needed)")
                .flag("quiet", 'q', "Suppress output messages, return only exit code")
                .required("output", 'o', "FILE", "A new file, or a block device; all that is on the device is lost");
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        long writesets = arguments.number("writesets", 3, 0, MAX_ERA);
        long eras = arguments.number("eras", Math.min(MAX_ERA, writesets + 10), writesets, MAX_ERA);
        MetadataGenerator generator = new MetadataGenerator(
                arguments.number("block-size", 128, 8, MAX_ERA),
                arguments.number("nr-blocks", 65536, 0, Integer.MAX_VALUE),
                eras,
                writesets,
                real(arguments, "density", 0.1, 1e-9, 1),
                real(arguments, "clustering", 16, 1, 1e9),
                arguments.number("seed", 1, 0, Long.MAX_VALUE));
        Path output = Path.of(arguments.value("output"));
        boolean isThere = Files.exists(output);
        boolean isFile = !isThere || Files.isRegularFile(output);
        if (isFile) {
            makeFile(output, metadataBlocks(arguments, generator));
        }
        try (BlockDevice device = DeviceOpener.open(output, true, DeviceOpener.Claim.EXCLUSIVE)) {
            MetadataBuilder builder = new MetadataBuilder(device);
            boolean complete = false;
            try {
                generator.generate(builder);
                complete = true;
            } finally {
                if (!complete) {
                    abandon(builder, output, isFile, isThere);
                }
            }
        }
        return 0;
    }

    /** Leaves nothing of a file that was to be made, or it would be in the way of the next try. */
    private static void abandon(MetadataBuilder builder, Path output, boolean isFile, boolean wasThere)
            throws IOException {
        if (!isFile) {
            builder.abandon();
        } else if (wasThere) {
            try (FileChannel file = FileChannel.open(output, StandardOpenOption.WRITE)) {
                file.truncate(0);
            }
        } else {
            Files.deleteIfExists(Links.follow(output));
        }
    }

    private static long metadataBlocks(Arguments arguments, MetadataGenerator generator) {
        long sufficient = MetadataBuilder.sufficientBlocks(generator.nrBlocks(), generator.writesets());
        return arguments.number("metadata-blocks", sufficient, 1, IndexBlock.MAX_METADATA_BLOCKS);
    }

    private static void makeFile(Path output, long blocks) throws IOException {
        if (Files.exists(output) && Files.size(output) > 0) {
            throw new IOException("The output exists and isn't empty: " + output);
        }
        if (!Files.exists(output)) {
            Links.requireFolderForFiles(Links.follow(output));
        }
        try (RandomAccessFile file = new RandomAccessFile(output.toFile(), "rw")) {
            file.setLength(blocks * BlockDevice.BLOCK_BYTES);
            Folders.syncFolderOf(Links.follow(output));
        } catch (FileNotFoundException e) {
            // It names the file.
            throw e;
        } catch (IOException e) {
            throw new IOException(output + ": " + e.getMessage(), e);
        }
    }

    private static double real(Arguments arguments, String name, double otherwise, double min, double max) {
        String text = arguments.value(name);
        if (text == null) {
            return otherwise;
        }
        double value;
        try {
            value = Double.parseDouble(text);
        } catch (NumberFormatException e) {
            throw new InvalidValueException(name, text, "not a number");
        }
        if (!(value >= min && value <= max)) {
            throw new InvalidValueException(name, text, "expected a number from " + min + " to " + max);
        }
        return value;
    }
}
