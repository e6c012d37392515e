// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import org.dmera.core.EraToken;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.read.MetadataRoots;
import org.dmera.tools.cache.CacheInvalidation;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;
import org.dmera.tools.input.MetadataInput;
import org.dmera.tools.input.ReaderThreads;
import org.dmera.tools.io.OutputFile;
import org.dmera.tools.io.OutputPipe;
import org.dmera.tools.io.Progress;
import org.dmera.tools.io.ProgressDevice;
import org.dmera.tools.json.BlocksJsonWriter;
import org.dmera.tools.xml.Ascii;
import org.dmera.tools.xml.BlocksXmlWriter;

/** {@code era_invalidate}: which blocks were written since an era. */
final class InvalidateCommand implements Command {
    private static final long MAX_ERA = 0xFFFFFFFFL;
    private static final int SECTOR_BYTES = 512;

    @Override
    public Usage usage() {
        Usage usage = new Usage("era_invalidate", "List blocks that may have changed since a given era");
        return CacheInvalidation.declare(usage)
                .choice(
                        "format",
                        0,
                        "FORMAT",
                        "The form of the list: xml, json, ranges (offset and length in bytes, one range a line), bitmap"
                                + " (one bit a block, lowest first), or cblocks (what invalidate_cblocks takes)",
                        "xml",
                        "json",
                        "ranges",
                        "bitmap",
                        "cblocks")
                .flag("metadata-snapshot", 0, "Use the metadata snapshot rather than the current superblock")
                .option("output", 'o', "FILE", "Specify the output file rather than stdout")
                .option("written-before", 0, "ERA", "Leave out blocks written in the given era or later")
                .required(
                        "written-since",
                        0,
                        "ERA",
                        "Blocks written since the given era, or that of a token, will be listed")
                .ofPeers(false)
                .operand("INPUT", "Specify the input device");
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        Path input = Path.of(arguments.operand(0));
        boolean snapshot = arguments.has("metadata-snapshot");
        String begin = arguments.value("written-since");
        EraToken token = EraToken.isMeant(begin) ? EraToken.parse(begin) : null;
        long since = token != null ? token.era() : arguments.number("written-since", 0, 0, MAX_ERA);
        long before = arguments.number("written-before", ChangedBlocks.NO_BOUND, 0, MAX_ERA);
        CacheInvalidation cache = CacheInvalidation.of(arguments);
        try (BlockDevice device = MetadataInput.open(input, snapshot)) {
            MetadataRoots roots = snapshot ? MetadataRoots.readSnapshot(device) : MetadataRoots.read(device);
            if (token != null) {
                String contradiction = token.contradiction(device, roots);
                if (contradiction != null) {
                    throw new IOException(
                            input + ": the token is of other metadata, or the metadata was made anew since ("
                                    + contradiction + "): everything has to be copied");
                }
            }
            if (cache == null && roots.isToCome(since)) {
                // A script that remembers an era from before the metadata was made anew would copy nothing, in silence.
                console.error("warning: era " + since + " is after the current era " + roots.currentEra()
                        + ": nothing is listed; if the metadata was made anew, everything has to be copied");
            }
            BlockSet blocks;
            try (Progress progress = new Progress(console, "era_invalidate", " blocks", 1, roots.allocatedBlocks())) {
                BlockDevice counted = new ProgressDevice(device, progress);
                // What lies in the future can't have been written to; that the metadata can be read is to be known all
                // the same.
                long begun = Math.min(since, roots.currentEra() + 1);
                blocks = ChangedBlocks.find(counted, roots, begun, before, ReaderThreads.count(), new ReaderThreads());
            }
            if (cache != null) {
                if (snapshot) {
                    CacheInvalidation.addSinceSnapshot(device, roots, blocks);
                }
                return cache.run(blocks, roots, since, arguments.value("output"), input, console);
            }
            // Nothing is written before the answer is complete: half a list would lose changes.
            try (OutputFile file = OutputFile.open(arguments.value("output"), List.of(arguments.operand(0)), console);
                    OutputPipe pipe = new OutputPipe(file.channel())) {
                switch (arguments.value("format", "xml")) {
                    case "json" -> BlocksJsonWriter.write(blocks, roots, since, before, pipe);
                    case "ranges" -> writeRanges(blocks, roots.dataBlockSizeSectors() * SECTOR_BYTES, pipe);
                    case "bitmap" -> writeBitmap(blocks, pipe);
                    default -> BlocksXmlWriter.write(blocks, pipe);
                }
                pipe.finish();
                file.commit();
            }
        }
        return 0;
    }

    private static void writeRanges(BlockSet blocks, long blockBytes, OutputPipe pipe) throws IOException {
        blocks.forEachRange((begin, end) -> {
            ByteBuffer b = pipe.room(80);
            Ascii.putDecimal(b, begin * blockBytes);
            b.put((byte) ' ');
            Ascii.putDecimal(b, (end - begin) * blockBytes);
            b.put((byte) '\n');
        });
    }

    /** ceil(nr_blocks / 8) bytes: block b is bit b mod 8 of byte b div 8. */
    private static void writeBitmap(BlockSet blocks, OutputPipe pipe) throws IOException {
        long bytes = (blocks.nrBlocks() + 7) / 8;
        for (int i = 0; i < blocks.wordCount(); i++, bytes -= 8) {
            ByteBuffer b = pipe.room(8);
            b.putLong(b.position(), blocks.word(i));
            b.position(b.position() + (int) Math.min(8, bytes));
        }
    }
}
