// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cache;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.cache.CacheMetadata;
import org.dmera.core.cache.StaleCacheBlocks;
import org.dmera.core.cache.WrittenSectors;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.read.MetadataRoots;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Arguments.InvalidValueException;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;
import org.dmera.tools.input.MetadataInput;
import org.dmera.tools.io.OutputFile;
import org.dmera.tools.io.OutputPipe;

/**
 * The part of {@code era_invalidate} that turns written blocks of an era device into the blocks of a cache on top of it
 * that have to go.
 */
public final class CacheInvalidation {
    private static final String NEEDS_CACHE = "it needs --cache-metadata <DEV>";
    /** Ranges of dirty blocks that are named; the rest is a number. */
    private static final int MAX_NAMED = 1000;

    private final Path path;
    private final boolean live;
    private final long offsetSectors;
    private final boolean discardDirty;
    private final String format;

    private CacheInvalidation(Arguments arguments) {
        path = Path.of(arguments.value("cache-metadata"));
        live = arguments.has("metadata-snapshot");
        offsetSectors = arguments.number("cache-offset", 0, 0, Long.MAX_VALUE >>> 9);
        discardDirty = arguments.has("discard-dirty");
        format = arguments.value("format", "xml");
    }

    /** Declares the options. */
    public static Usage declare(Usage usage) {
        return usage.option(
                        "cache-metadata",
                        0,
                        "DEV",
                        "List the blocks to invalidate in the cache with this metadata, which lies on the era device")
                .option(
                        "cache-offset",
                        0,
                        "SECTORS",
                        "Where on the era device the cache's origin begins, in sectors of 512 bytes [default: 0]")
                .flag("discard-dirty", 0, "Do not fail when blocks of the cache that are listed are dirty");
    }

    /**
     * What the options ask for, or null when they ask for no cache.
     *
     * @throws IOException when options are given that need others, or exclude each other
     */
    public static CacheInvalidation of(Arguments arguments) throws IOException {
        String format = arguments.value("format", "xml");
        if (!arguments.has("cache-metadata")) {
            if (arguments.has("cache-offset")) {
                throw new InvalidValueException("cache-offset", arguments.value("cache-offset"), NEEDS_CACHE);
            }
            if (arguments.has("discard-dirty")) {
                throw new IOException("--discard-dirty: " + NEEDS_CACHE);
            }
            if (format.equals("cblocks")) {
                throw new InvalidValueException("format", format, NEEDS_CACHE);
            }
            return null;
        }
        if (arguments.has("written-before")) {
            throw new InvalidValueException(
                    "written-before",
                    arguments.value("written-before"),
                    "with --cache-metadata everything written since has to go");
        }
        if (format.equals("ranges") || format.equals("bitmap")) {
            throw new InvalidValueException("format", format, "with --cache-metadata it is cblocks, xml or json");
        }
        return new CacheInvalidation(arguments);
    }

    /**
     * Adds to {@code written} what was written after a metadata snapshot was taken, which must be of the current era: what the
     * cache holds of that is as stale.
     *
     * @param roots of the held snapshot
     * @throws IOException also when another era has begun since
     */
    public static void addSinceSnapshot(BlockDevice eraDevice, MetadataRoots roots, BlockSet written)
            throws IOException {
        BlockSet later = MetadataRoots.readUnchanged(
                eraDevice,
                "the metadata of the era device",
                "too many write to it",
                now -> sinceSnapshot(eraDevice, roots, now));
        later.forEachRange((begin, end) -> {
            for (long block = begin; block < end; block++) {
                written.add(block);
            }
        });
    }

    private static BlockSet sinceSnapshot(BlockDevice eraDevice, MetadataRoots roots, MetadataRoots now)
            throws IOException {
        if (now.currentEra() != roots.currentEra()) {
            throw new IOException("the metadata snapshot was taken in era " + roots.currentEra() + ", and now is era "
                    + now.currentEra()
                    + ": what was written since is not in it; drop it, if it is yours, and take a new one");
        }
        return ChangedBlocks.since(eraDevice, now, now.currentEra());
    }

    /**
     * Writes the list.
     *
     * @param written the era device's blocks that were written since era {@code since}
     * @return the exit code: 1, and no list, when dirty blocks would be in it and were not to be discarded
     */
    public int run(BlockSet written, MetadataRoots roots, long since, String output, Path eraMetadata, Console console)
            throws IOException {
        if (since > roots.currentEra()) {
            throw new IOException(
                    "era " + since + " has not begun: the current era is " + roots.currentEra()
                            + ". Was the metadata made anew? Then nobody knows what was written, and the whole cache has to go");
        }
        try (BlockDevice device = MetadataInput.open(path, live)) {
            WrittenSectors sectors = WrittenSectors.at(offsetSectors, written, roots.dataBlockSizeSectors());
            CacheMetadata cache = CacheMetadata.read(device);
            if (!live && !cache.wasShutDownCleanly()) {
                console.error("warning: " + path + ": the cache was not shut down cleanly: the kernel will take all of"
                        + " its blocks for dirty, whatever their bits say");
            }
            StaleCacheBlocks stale = StaleCacheBlocks.findLive(device, sectors);
            if (stale.dirty() > 0) {
                nameDirty(stale, cache.cacheBlocks(), console);
                if (!discardDirty) {
                    // No list either: in a shell's $(…) nobody sees the exit code.
                    return 1;
                }
            }
            // Nothing is written before the answer is complete: half a list would leave stale blocks in the cache.
            try (OutputFile file = OutputFile.open(output, List.of(eraMetadata.toString(), path.toString()), console);
                    OutputPipe pipe = new OutputPipe(file.channel())) {
                switch (format) {
                    case "cblocks" -> CacheBlocksWriter.text(stale, pipe);
                    case "json" -> CacheBlocksWriter.json(stale, cache, roots, since, pipe);
                    default -> CacheBlocksWriter.xml(stale, cache, pipe);
                }
                pipe.finish();
                file.commit();
            }
            return 0;
        }
    }

    private void nameDirty(StaleCacheBlocks stale, long cacheBlocks, Console console) throws IOException {
        BlockSet dirtyBlocks = new BlockSet(cacheBlocks);
        stale.forEach((cacheBlock, originBlock, dirty) -> {
            if (dirty) {
                dirtyBlocks.add(cacheBlock);
            }
        });
        StringBuilder names = new StringBuilder();
        int[] named = {0};
        dirtyBlocks.forEachRange((begin, end) -> {
            if (named[0]++ < MAX_NAMED) {
                names.append(' ').append(begin).append(end - begin > 1 ? "-" + end : "");
            }
        });
        boolean one = stale.dirty() == 1;
        console.error((discardDirty ? "warning: " : "") + stale.dirty() + (one ? " block" : " blocks")
                + " of the cache to be invalidated " + (one ? "is" : "are") + " dirty (ends exclusive):" + names
                + (named[0] > MAX_NAMED ? " and " + (named[0] - MAX_NAMED) + " more ranges" : "")
                + (discardDirty
                        ? ""
                        : ". Clean the cache first (policy cleaner), or give --discard-dirty to lose what only they"
                                + " hold"));
    }
}
