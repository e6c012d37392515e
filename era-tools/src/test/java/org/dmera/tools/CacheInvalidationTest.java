// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.testkit.CacheImage;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** era_invalidate for a cache, on metadata recorded during real rollbacks. */
class CacheInvalidationTest {
    @TempDir
    private Path folder;

    private Path era;
    private Path cache;

    @BeforeEach
    void unpack() throws IOException {
        era = unpack("v1-writethrough.era");
        cache = unpack("v1-writethrough.cache");
    }

    private Path unpack(String name) throws IOException {
        return Files.write(
                folder.resolve(name), Fixtures.unxz(Fixtures.folder().resolve("dm-cache/" + name + ".raw.xz")));
    }

    @Test
    void theListIsWhatTheMessageTakes() {
        String list = ToolRun.of(
                        "era_invalidate", "--written-since", 2, "--cache-metadata", cache, "--format", "cblocks", era)
                .warned("was not shut down cleanly");
        assertEquals("3\n7-10\n40\n100\n", list);
    }

    @Test
    void xmlAndJsonHaveTheOriginBlocksAndHowMuchStays() {
        String xml = ToolRun.of("era_invalidate", "--written-since", 2, "--cache-metadata", cache, era)
                .warned("cleanly");
        assertTrue(
                xml.startsWith("<cache block_size=\"64\" nr_cache_blocks=\"256\" mapped=\"128\" invalidate=\"6\""
                        + " keep=\"122\" dirty=\"0\">\n  <mapping cache_block=\"3\" origin_block=\"3\""
                        + " dirty=\"false\"/>\n"),
                xml);
        assertEquals(6, xml.lines().filter(line -> line.contains("<mapping ")).count());
        String json = ToolRun.of(
                        "era_invalidate", "--format", "json", "--written-since", 2, "--cache-metadata", cache, era)
                .warned("cleanly");
        assertTrue(json.contains("\"mapped\":128,\"invalidate\":6,\"keep\":122,\"dirty\":0"), json);
        assertTrue(json.contains("{\"cache_block\":100,\"origin_block\":100,\"dirty\":false}"), json);
    }

    /** In a shell's $(…) the exit code is lost: no list may come out that would throw dirty blocks away. */
    @Test
    void dirtyBlocksAreNamedAndNothingIsListed() throws IOException {
        Path dirty = unpack("v2-dirty.cache");
        Path written = unpack("v2-invalidated.era");
        ToolRun.of("era_invalidate", "--written-since", 1, "--cache-metadata", dirty, "--format", "cblocks", written)
                .refused("200 blocks of the cache to be invalidated are dirty", " 0-200", "--discard-dirty");
        String list = ToolRun.of(
                        "era_invalidate",
                        "--written-since",
                        1,
                        "--discard-dirty",
                        "--cache-metadata",
                        dirty,
                        "--format",
                        "cblocks",
                        written)
                .warned("200 blocks of the cache to be invalidated are dirty");
        assertEquals("0-200\n", list);
    }

    /** Era blocks of 48 sectors, cache blocks of 64; the cache's origin begins 20 sectors into the era device. */
    @Test
    void anOffsetMovesTheCacheOnTheEraDevice() throws IOException {
        Path metadata = folder.resolve("offset.cache");
        Files.write(metadata, new byte[40 * 4096]);
        try (FileBlockDevice device = FileBlockDevice.open(metadata, true)) {
            CacheImage.write(device, 2, 64, 8, true, new CacheImage.Contents() {
                @Override
                public long originBlock(long cacheBlock) {
                    return cacheBlock;
                }

                @Override
                public boolean isDirty(long cacheBlock) {
                    return false;
                }
            });
        }
        // Written since era 2 in this recording: blocks 3, 7 to 9, 40, 100, 200 and 201, of 64 sectors each.
        assertEquals("3\n7\n", list(metadata, 0));
        assertEquals("2-4\n6-8\n", list(metadata, 20));
        assertEquals("2\n6-8\n", list(metadata, 64));
        assertEquals("6-8\n", list(metadata, 64 * 93 + 1));
    }

    private String list(Path metadata, long offset) {
        return ToolRun.of(
                        "era_invalidate",
                        "--written-since=2",
                        "--format=cblocks",
                        "--cache-offset",
                        offset,
                        "--cache-metadata",
                        metadata,
                        era)
                .text();
    }

    /** What is written in the era that began with the snapshot isn't in it, and is stale in the cache after a rollback. */
    @Test
    void whatWasWrittenAfterTheMetadataSnapshotIsListedToo() throws Exception {
        Path live = Files.write(folder.resolve("live.era"), new byte[64 * 4096]);
        Path metadata = Files.write(folder.resolve("live.cache"), new byte[40 * 4096]);
        try (FileBlockDevice device = FileBlockDevice.open(metadata, true)) {
            CacheImage.write(device, 2, 64, 8, true, new CacheImage.Contents() {
                @Override
                public long originBlock(long cacheBlock) {
                    return cacheBlock;
                }

                @Override
                public boolean isDirty(long cacheBlock) {
                    return false;
                }
            });
        }
        try (FileBlockDevice device = FileBlockDevice.open(live, true)) {
            EraMetadata marks = EraMetadata.openOrFormat(device, 64);
            marks.resize(8);
            marks.rollover();
            marks.mark(1);
            marks.takeSnapshot();
            marks.mark(4);
            marks.commit();
            String[] words = {
                "--written-since=1",
                "--format=cblocks",
                "--metadata-snapshot",
                "--cache-metadata=" + metadata,
                "" + live
            };
            assertEquals(
                    "1\n4\n", ToolRun.of("era_invalidate", (Object[]) words).text());
            marks.rollover();
            marks.commit();
            ToolRun.of("era_invalidate", (Object[]) words)
                    .refused("the metadata snapshot was taken in era 2, and now is era 3");
        }
    }

    @Test
    void anEraThatHasNotBegunIsRefused() {
        ToolRun.of("era_invalidate", "--written-since", 4000, "--cache-metadata", cache, era)
                .refused("era 4000 has not begun", "the whole cache has to go");
    }

    @ParameterizedTest
    @CsvSource({
        "--format=cblocks, it needs --cache-metadata",
        "--cache-offset=8, it needs --cache-metadata",
        "--discard-dirty, it needs --cache-metadata",
        "--format=ranges --cache-metadata=CACHE, 'cblocks, xml or json'",
        "--format=bitmap --cache-metadata=CACHE, 'cblocks, xml or json'",
        "--written-before=9 --cache-metadata=CACHE, everything written since has to go",
        "--cache-metadata=ERA, this is the metadata of an era device",
        "--cache-metadata=/none, Couldn't find input file /none",
        "--cache-metadata=CACHE --cache-offset=200000, can't begin at sector 200000"
    })
    void optionsThatDoNotGoTogetherAreRefused(String options, String words) {
        String[] given = options.replace("CACHE", cache.toString())
                .replace("ERA", era.toString())
                .split(" ", -1);
        Object[] args = new Object[given.length + 3];
        System.arraycopy(given, 0, args, 0, given.length);
        args[given.length] = "--written-since";
        args[given.length + 1] = "2";
        args[given.length + 2] = era;
        ToolRun.of("era_invalidate", args).failed(words);
    }
}
