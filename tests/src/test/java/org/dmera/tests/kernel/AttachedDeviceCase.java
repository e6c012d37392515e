// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;

/**
 * Our engine inside the guest, its device attached by the kernel's own NBD client, or by a loop device over FUSE where the
 * kernel has no such client: a file system on the node, changes between two checkpoints, a resize, a kill while the file system
 * is frozen, and a removal that leaves nothing behind.
 */
final class AttachedDeviceCase implements LabCase {
    private static final int ORIGIN_MIB = 48;
    private static final int BLOCK_BYTES = 4096;

    private final boolean overFuse;

    AttachedDeviceCase(boolean overFuse) {
        this.overFuse = overFuse;
    }

    @Override
    public String name() {
        return overFuse ? "engineAttachedByFuseAndLoop" : "engineAttachedByKernelNbd";
    }

    @Override
    public String script() {
        return """
                . "$lab/lib.sh"
                work=/run/%1$s
                mkdir -p $work/mount
                %4$s
                truncate -s 4M $work/meta
                truncate -s %2$dM $work/origin
                engine

                write_as_the_node_goes %1$s-late
                echo "@readonly afterwards $(blockdev --getro $node)"
                era remove %1$s-late
                dmsetup remove %1$s-late-slow
                losetup -d $slow

                era create %1$s --attach --table "0 $((%2$d * 2048)) era $work/meta $work/origin 8"
                node=$(readlink /dev/era/%1$s)
                echo "@node is $node"
                echo "@size first $(blockdev --getsize64 $node)"
                # Some end meanwhile.
                cat /proc/$engine/task/*/stat > threads || :
                mkfs.ext4 -q $node
                mount -t ext4 -o discard $node $work/mount
                for i in $(seq 40); do head -c $((i * i * 50)) /dev/urandom > $work/mount/file$i; done
                umount $work/mount
                e2fsck -fn $node
                era message %1$s 0 checkpoint
                cp --sparse=always $work/origin $work/before

                mount -t ext4 -o discard $node $work/mount
                rm $work/mount/file3*
                echo changed >> $work/mount/file20
                echo "@busy is $(era remove %1$s 2>&1 || echo exit $?)"
                umount $work/mount
                e2fsck -fn $node

                cp --sparse=always $work/origin $work/after
                truncate -s %3$dM $work/bigger
                dd if=$work/origin of=$work/bigger bs=1M conv=notrunc,sparse 2> /dev/null
                era suspend %1$s
                era load %1$s --table "0 $((%3$d * 2048)) era $work/meta $work/bigger 8"
                era resume %1$s
                echo "@size second $(blockdev --getsize64 $node)"
                dd if=/dev/urandom of=$node bs=4k count=1 seek=$((%3$d * 256 - 1)) oflag=direct conv=notrunc 2> /dev/null

                mount -t ext4 $node $work/mount
                era suspend %1$s
                kill -9 $engine
                wait $engine || :
                engine
                touch $work/mount/late 2> /dev/null &
                writer=$!
                for i in $(seq 600); do kill -0 $writer 2> /dev/null || break; sleep 0.1; done
                echo "@writer goes on $(kill -0 $writer 2> /dev/null && echo no || echo yes)"
                umount $work/mount
                era resume %1$s
                node=$(readlink /dev/era/%1$s)
                era remove %1$s
                echo "@size last $(blockdev --getsize64 $node)"
                echo "@left is $(ls /dev/era)"
                kill $engine
                wait $engine
                "$lab/era-tools" era_check $work/meta
                "$lab/era-tools" era_invalidate --written-since 2 --format ranges $work/meta > ranges
                # Blocks of 4096 bytes that differ, counted from 0.
                { cmp -l $work/before $work/after || true; } | awk '{ print int(($1 - 1) / 4096) }' | uniq > changed
                %5$s
                rm -rf $work
                """.formatted(
                        name(),
                        ORIGIN_MIB,
                        2 * ORIGIN_MIB,
                        // The engine looks for this node to learn whether there is such a client.
                        overFuse ? "mv /dev/nbd0 /dev/nbd0.away" : "",
                        overFuse ? "mv /dev/nbd0.away /dev/nbd0" : "");
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        return Stream.of(
                DynamicTest.dynamicTest("theNodeIsOfThatKindAndHasTheDevicesSize", () -> {
                    String node = log.answer("node", "is");
                    assertTrue(node.matches(overFuse ? "/dev/loop[0-9]+" : "/dev/nbd[0-9]+"), node);
                    assertEquals((long) ORIGIN_MIB << 20, Long.parseLong(log.answer("size", "first")));
                }),
                DynamicTest.dynamicTest("whatIsWrittenWhileTheNodeGoesIsThereOrRefused", () -> {
                    assertEquals(overFuse ? "there" : "refused", log.answer("late", "is"));
                    assertEquals("0", log.answer("readonly", "afterwards"));
                }),
                DynamicTest.dynamicTest("threadsThatServeTheNodeDoNotWaitForItWhenTheyNeedMemory", () -> {
                    List<String> threads = Files.readAllLines(folder.resolve("threads"));
                    assertTrue(ServingThreads.requireIoFlushers(threads) >= 4, threads::toString);
                }),
                DynamicTest.dynamicTest("aMountedDeviceIsNotRemoved", () -> {
                    String said = log.answer("busy", "is");
                    assertTrue(said.contains("busy"), said);
                }),
                DynamicTest.dynamicTest(
                        "theNodeGrows",
                        () -> assertEquals(2L * ORIGIN_MIB << 20, Long.parseLong(log.answer("size", "second")))),
                DynamicTest.dynamicTest(
                        "whoWritesToAFileSystemThatAKilledEngineHadFrozenDoesNotWaitForEver",
                        () -> assertEquals("yes", log.answer("writer", "goes on"))),
                DynamicTest.dynamicTest("nothingIsLeft", () -> {
                    assertEquals("0", log.answer("size", "last"));
                    assertEquals("", log.answer("left", "is"));
                }),
                DynamicTest.dynamicTest("everyChangeIsRecorded", () -> {
                    BitSet recorded = new BitSet();
                    for (String line : Files.readAllLines(folder.resolve("ranges"))) {
                        String[] words = line.split("\\s+", 2);
                        int first = (int) (Long.parseLong(words[0]) / BLOCK_BYTES);
                        recorded.set(first, first + (int) (Long.parseLong(words[1]) / BLOCK_BYTES));
                    }
                    BitSet changed = new BitSet();
                    for (String line : Files.readAllLines(folder.resolve("changed"))) {
                        changed.set(Integer.parseInt(line.strip()));
                    }
                    assertTrue(changed.cardinality() > 10, () -> "changed: " + changed);
                    BitSet missed = (BitSet) changed.clone();
                    missed.andNot(recorded);
                    assertEquals("{}", missed.toString());
                    // ext4 writes some blocks again as they were, and discards what it frees.
                    assertTrue(recorded.cardinality() < recorded.length() / 2, () -> "recorded: " + recorded);
                }));
    }
}
