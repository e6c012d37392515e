// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.cache.CacheMetadata;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.read.MetadataRoots;
import org.junit.jupiter.api.DynamicTest;

/**
 * A real cache on a real era device, and the volume beneath rolled back: by hand without any invalidation, which must show
 * stale bytes, then by {@code era-dmsetup rollback}, killed at each of its steps, or refused and failing first: every byte is that of the rolled-back
 * volume, and exactly the cache blocks that touch nothing written since have stayed.
 */
final class CacheRollbackCase implements LabCase {
    private static final int[] ERA_BLOCKS = {8, 48, 128};
    private static final int[] CACHE_BLOCKS = {64, 128, 512};
    private static final int VOLUME_SECTORS = 49152;
    private static final int CACHE_SECTORS = 16384;
    private static final int SHIFT = 2048 + 1000;

    private final long seed;
    private final boolean writeback;
    private final boolean secondFormat;
    private final int eraBlock;
    private final int cacheBlock;
    private final boolean shifted;
    private final boolean killed;
    private final boolean troubled;

    /** Any 72 seeds in a row are all combinations. */
    CacheRollbackCase(long seed) {
        this.seed = seed;
        writeback = seed % 2 == 0;
        secondFormat = seed / 2 % 2 == 0;
        shifted = seed / 4 % 2 == 0;
        eraBlock = ERA_BLOCKS[(int) (seed / 8 % 3)];
        cacheBlock = CACHE_BLOCKS[(int) (seed / 24 % 3)];
        killed = seed % 3 == 0;
        troubled = seed % 3 == 1;
    }

    @Override
    public String name() {
        return "cacheRollback" + seed;
    }

    private int length() {
        return shifted ? VOLUME_SECTORS - SHIFT - 1000 : VOLUME_SECTORS;
    }

    @Override
    public String script() {
        SplittableRandom random = new SplittableRandom(seed);
        int warmSectors = CACHE_SECTORS / 2;
        int warmAt = random.nextInt((length() - warmSectors) / 512) * 512;
        StringBuilder writes = new StringBuilder();
        for (int i = 0; i < 24; i++) {
            // Most of them in one half of what the cache was warmed with, so that something there is stale, and
            // something in
            // the other half is not.
            int at = random.nextInt(8) == 0
                    ? random.nextInt(warmAt / 8 + 1)
                    : (warmAt + random.nextInt(warmSectors / 2)) / 8;
            writes.append("scribble ")
                    .append(at)
                    .append(' ')
                    .append(random.nextInt(1, 8))
                    .append('\n');
        }
        String features = (writeback ? "writeback" : "writethrough") + (secondFormat ? " metadata2" : "");
        return """
                . "$lab/lib.sh"
                name=%1$s
                folder=$PWD
                work=/run/$name
                dev=/dev/mapper/$name
                mkdir -p $work
                # device FILE BYTES
                device() {
                    truncate -s $2 $work/$1
                    losetup -f --show $work/$1
                }
                meta=$(device meta 4M)
                volume=$(device volume $((%2$d * 512)))
                cacheMeta=$(device cacheMeta 4M)
                cacheData=$(device cacheData $((%3$d * 512)))
                dmsetup create $name-data --table "0 %2$d era $meta $volume %4$d"
                below=/dev/mapper/$name-data
                if [ %5$d != 0 ]; then
                    dmsetup create $name-shift --table "0 %6$d linear $below %5$d"
                    below=/dev/mapper/$name-shift
                fi
                former="0 %6$d cache $cacheMeta $cacheData $below %7$d %8$s smq 0"
                through=$(echo "$former" | sed 's/writeback\\|writethrough/passthrough/')
                cleaner=$(echo "$former" | sed 's/smq/cleaner/')
                dmsetup create $name --table "$former"

                dd if=/dev/urandom of=$dev bs=64k oflag=direct conv=notrunc 2> /dev/null || true
                warm() {
                    for round in 1 2 3 4 5 6; do
                        dd if=/dev/urandom of=$dev bs=32k seek=$((%9$d / 64)) count=%10$d oflag=direct conv=notrunc 2> /dev/null
                        dd if=$dev of=/dev/null bs=32k skip=$((%9$d / 64)) count=%10$d iflag=direct 2> /dev/null
                        sleep 1
                    done
                }
                # field N: of the cache's status
                field() {
                    dmsetup status $name | awk "{ print \\$$1 }"
                }
                # switch TABLE
                switch() {
                    dmsetup suspend $name
                    dmsetup load $name --table "$1"
                    dmsetup resume $name
                }
                clean() {
                    switch "$cleaner"
                    until [ "$(field 14)" = 0 ]; do sleep 0.2; done
                }
                scribble() {
                    dd if=/dev/urandom of=$dev bs=4k seek=$1 count=$2 oflag=direct conv=notrunc 2> /dev/null
                }
                rolled() {
                    dd if=$dev bs=64k iflag=direct 2> /dev/null | cmp -s - want && echo yes || echo no
                }
                warm
                [ "$(field 7)" != 0/1 ]
                echo "@cached warm $(field 7)"
                clean
                switch "$former"

                dmsetup message $name-data 0 checkpoint
                era=$(dmsetup status $name-data | awk '{ print $6 }')
                sync $work/volume
                cp $work/volume $work/vendor
                dd if=$work/vendor of=want bs=512 skip=%5$d count=%6$d 2> /dev/null
                %11$s
                # Without any invalidation it goes wrong, or this test proves nothing.
                clean
                switch "$through"
                dd if=$work/vendor of=$volume bs=1M oflag=direct conv=notrunc 2> /dev/null
                switch "$former"
                echo "@rolled withoutInvalidation $(rolled)"

                cat > vendor-rollback <<END
                dd if=$work/vendor of=$volume bs=1M oflag=direct conv=notrunc 2> /dev/null
                # The first time: a run that came to its end before it could be killed has invalidated.
                [ -e before.img ] || dd if=$cacheMeta of=before.img bs=4k iflag=direct 2> /dev/null
                END
                rollback() {
                    "$@" "$lab/era-dmsetup" era-dmsetup rollback $name --control kernel --state $work/state --since $era -- \\
                        sh -e vendor-rollback
                }
                if %13$s; then
                    before=$(dmsetup table $name)
                    dmsetup message $name-data 0 take_metadata_snap
                    ! rollback env 2> said
                    grep 'a metadata snapshot of .* is held' said
                    [ "$(dmsetup table $name)" = "$before" ]
                    dmsetup message $name-data 0 drop_metadata_snap
                    mv vendor-rollback works
                    echo false > vendor-rollback
                    ! rollback env 2> said
                    grep 'exit code 1.*stays in passthrough mode' said
                    dmsetup table $name | grep passthrough
                    mv works vendor-rollback
                fi
                # Killed when it says for the STEPth time what it does.
                killAtStep() {
                    mkfifo steps
                    rollback exec > steps &
                    victim=$!
                    head -n $1 steps > /dev/null
                    kill -KILL $victim 2> /dev/null || true
                    wait $victim || true
                    rm steps
                }
                if %12$s; then
                    for step in 1 2 3 4 5 6 7 8; do killAtStep $step; done
                    for after in 1.2 2.1; do rollback timeout -s KILL $after || true; done
                fi
                rollback env
                dmsetup suspend $name
                dd if=$cacheMeta of=after.img bs=4k iflag=direct 2> /dev/null
                dmsetup resume $name
                echo "@table mode $(dmsetup table $name | grep -o 'writeback\\|writethrough\\|passthrough')"
                echo "@rolled back $(rolled)"
                switch "$(echo "$former" | sed 's/writeback/writethrough/')"
                echo "@rolled inWritethrough $(rolled)"
                echo "@held snapshot $(dmsetup status $name-data | awk '{ print $7 }')"
                dd if=$meta of=era.img bs=4k iflag=direct 2> /dev/null
                echo "@era since $era"
                rehearse() {
                    "$lab/era-dmsetup" era-dmsetup rollback $name --control kernel --state $work/state --since $era --dry-run -- true
                }
                echo "@discards none $(rehearse | grep -c 'discards have reached')"
                blkdiscard -l 256k $dev
                echo "@discards one $(rehearse | grep -c 'discards have reached')"
                if %13$s; then
                    # A cache whose metadata can't be written any more.
                    dmsetup remove $name
                    dmsetup create $name-meta --table "0 8192 linear $cacheMeta 0"
                    dmsetup create $name --table "$(echo "$former" | sed "s|$cacheMeta|/dev/mapper/$name-meta|")"
                    dmsetup suspend $name-meta
                    dmsetup load $name-meta --table "0 8192 error"
                    dmsetup resume $name-meta
                    for i in 1 2 3 4 5 6 7 8; do
                        dmsetup status $name | grep -q 'Fail\\|needs_check' && break
                        dd if=/dev/urandom of=$dev bs=64k count=16 oflag=direct conv=notrunc,fsync 2> /dev/null || true
                        sleep 1
                    done
                    dmsetup status $name | tee failed
                    before=$(dmsetup table $name)
                    work=$work/failed rollback env > said 2>&1 && echo "@failed answer none" || echo "@failed answer $(head -1 said)"
                    # The last one is what dmsetup ends with.
                    echo "@failed lines $(grep -v '^Command failed' said | wc -l)"
                    [ "$(dmsetup table $name)" = "$before" ]
                    dmsetup load $name-meta --table "0 8192 linear $cacheMeta 0"
                    dmsetup resume $name-meta
                    dmsetup remove $name
                    dmsetup remove $name-meta
                else
                    dmsetup remove $name
                fi
                [ %5$d = 0 ] || dmsetup remove $name-shift
                dmsetup remove $name-data
                losetup -d $meta $volume $cacheMeta $cacheData
                rm -rf $work want
                """.formatted(
                        name(),
                        VOLUME_SECTORS,
                        CACHE_SECTORS,
                        eraBlock,
                        shifted ? SHIFT : 0,
                        length(),
                        cacheBlock,
                        (secondFormat ? 2 : 1) + " " + features,
                        warmAt,
                        warmSectors / 64,
                        writes.toString().strip(),
                        killed,
                        troubled);
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        Stream<DynamicTest> trouble = !troubled
                ? Stream.empty()
                : Stream.of(DynamicTest.dynamicTest("aCacheThatHasFailedIsRefusedInOneLine", () -> {
                    assertEquals("1", log.answer("failed", "lines"));
                    String answer = log.answer("failed", "answer");
                    assertTrue(answer.matches(".*(has failed|needs_check|read-only).*"), answer);
                }));
        return Stream.concat(trouble, rollbackChecks(folder, log));
    }

    private Stream<DynamicTest> rollbackChecks(Path folder, CaseLog log) {
        return Stream.of(
                DynamicTest.dynamicTest(
                        "withoutInvalidationStaleBytesAreRead",
                        () -> assertEquals("no", log.answer("rolled", "withoutInvalidation"))),
                DynamicTest.dynamicTest("everyByteIsTheRolledBackVolumes", () -> {
                    assertEquals("yes", log.answer("rolled", "back"));
                    assertEquals("yes", log.answer("rolled", "inWritethrough"));
                    assertEquals(writeback ? "writeback" : "writethrough", log.answer("table", "mode"));
                }),
                DynamicTest.dynamicTest(
                        "noMetadataSnapshotIsHeld", () -> assertEquals("-", log.answer("held", "snapshot"))),
                DynamicTest.dynamicTest("discardsThatMayHaveComeSinceAreWarnedOf", () -> {
                    assertEquals("0", log.answer("discards", "none"));
                    assertEquals("1", log.answer("discards", "one"));
                }),
                DynamicTest.dynamicTest(
                        "exactlyTheBlocksThatTouchNothingWrittenSinceStay",
                        () -> assertKept(folder, Long.parseLong(log.answer("era", "since")))));
    }

    private void assertKept(Path folder, long since) throws IOException {
        MemoryBlockDevice era = new MemoryBlockDevice(Files.readAllBytes(folder.resolve("era.img")));
        BlockSet written =
                ChangedBlocks.find(era, MetadataRoots.read(era), since, ChangedBlocks.NO_BOUND, 1, Runnable::run);
        Map<Long, Long> before = mappings(folder.resolve("before.img"));
        Map<Long, Long> expected = new TreeMap<>(before);
        expected.values().removeIf(origin -> touchesAny(origin, written));
        assertTrue(expected.size() < before.size(), "something was stale");
        assertTrue(!expected.isEmpty(), "something could stay");
        assertEquals(expected, mappings(folder.resolve("after.img")));
    }

    private boolean touchesAny(long origin, BlockSet written) {
        for (long s = origin * cacheBlock; s < Math.min((origin + 1) * cacheBlock, length()); s++) {
            if (written.contains((s + (shifted ? SHIFT : 0)) / eraBlock)) {
                return true;
            }
        }
        return false;
    }

    private static Map<Long, Long> mappings(Path image) throws IOException {
        Map<Long, Long> mappings = new TreeMap<>();
        CacheMetadata.read(new MemoryBlockDevice(Files.readAllBytes(image)))
                .forEachMapping((cacheBlock, originBlock, dirty) -> mappings.put(cacheBlock, originBlock));
        return mappings;
    }
}
