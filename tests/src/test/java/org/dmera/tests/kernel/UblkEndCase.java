// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;

/**
 * How nodes of the kernel's ublk driver end: one whose writes fail, one that is written to while it goes, and one that a killed
 * engine has left with a frozen file system, and that the next engine knows nothing of.
 */
final class UblkEndCase implements LabCase {
    @Override
    public String name() {
        return "engineEndsUblk";
    }

    @Override
    public String script() {
        return """
                . "$lab/lib.sh"
                with_ublk
                work=/run/%1$s
                mkdir -p $work/mount
                truncate -s 32M $work/origin
                engine
                write_as_the_node_goes %1$s-late

                era attach %1$s-late
                node=$(readlink /dev/era/%1$s-late)
                dd if=$work/late of=$node bs=4k conv=notrunc
                dmsetup suspend --nolockfs %1$s-late-slow
                dmsetup load %1$s-late-slow --table "0 65536 error"
                dmsetup resume %1$s-late-slow
                code=0; era detach %1$s-late || code=$?
                echo "@detach first $code"
                code=0; era detach %1$s-late || code=$?
                echo "@detach second $code"

                era create %1$s --attach --table "0 65536 linear $work/origin 0"
                node=$(readlink /dev/era/%1$s)
                mkfs.ext4 -q $node
                mount -t ext4 $node $work/mount
                era suspend %1$s
                kill -9 $engine
                wait $engine || true
                touch $work/mount/late 2> /dev/null &
                writer=$!
                engine another
                for i in $(seq 600); do kill -0 $writer 2> /dev/null || break; sleep 0.1; done
                echo "@writer goes on $(kill -0 $writer 2> /dev/null && echo no || echo yes)"
                umount $work/mount
                for i in $(seq 600); do [ -b $node ] || break; sleep 0.1; done
                echo "@left is $(ls /dev/era; ls $work/control.attached)"
                kill $engine
                wait $engine
                dmsetup remove %1$s-late-slow
                losetup -d $slow
                rm -rf $work
                """.formatted(name());
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        return Stream.of(
                DynamicTest.dynamicTest(
                        "whatIsWrittenWhileTheNodeGoesIsThereOrRefused",
                        () -> assertNotEquals("lost", log.answer("late", "is"))),
                DynamicTest.dynamicTest("aLossIsToldOnceAndThenTheNodeGoes", () -> {
                    assertEquals("1", log.answer("detach", "first"));
                    assertEquals("0", log.answer("detach", "second"));
                }),
                DynamicTest.dynamicTest(
                        "whoWritesToAFileSystemThatWasFrozenOnAnUnwantedNodeDoesNotWaitForEver",
                        () -> assertEquals("yes", log.answer("writer", "goes on"))),
                DynamicTest.dynamicTest("nothingIsLeft", () -> assertEquals("", log.answer("left", "is"))));
    }
}
