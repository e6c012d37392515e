// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;

/**
 * Our engine is killed again and again while fio writes to its device by the kernel's ublk driver, and started anew: fio sees
 * pauses and no error, reads what it wrote, and every block that it changed is recorded.
 */
final class UblkKillCase implements LabCase {
    private static final int ORIGIN_MIB = 64;
    private static final int BLOCK_BYTES = 4096;
    private static final int KILLS = 5;

    @Override
    public String name() {
        return "engineKilledUnderUblk";
    }

    @Override
    public String script() {
        return """
                . "$lab/lib.sh"
                with_ublk
                work=/run/%1$s
                mkdir -p $work
                truncate -s 4M $work/meta
                truncate -s %2$dM $work/origin
                # reads_back NAME: says how a reader of the node ended, or that it waits.
                reads_back() {
                    dd if=$node of=$work/back bs=1M iflag=direct &
                    reader=$!
                    code=waits
                    for i in $(seq 90); do
                        kill -0 $reader || { code=0; wait $reader || code=$?; break; }
                        sleep 1
                    done
                    echo "@$1 ended $code"
                }
                engine
                era create %1$s --attach --table "0 $((%2$d * 2048)) era $work/meta $work/origin 8"
                node=$(readlink /dev/era/%1$s)
                echo "@node is $node"
                era message %1$s 0 checkpoint
                cp --sparse=always $work/origin $work/before
                fio --name=w --filename=$node --size=%4$dM --rw=randwrite --bs=4k --iodepth=24 --ioengine=libaio \\
                    --direct=1 --verify=crc32c --verify_fatal=1 --rate_iops=100 > fio.log 2>&1 &
                fio=$!
                for i in $(seq %3$d); do
                    sleep 3
                    kill -9 $engine
                    wait $engine || true
                    kill -0 $fio
                    engine
                    echo "@again $i $(readlink /dev/era/%1$s)"
                done
                code=0
                wait $fio || code=$?
                echo "@fio ended $code"
                cmp $work/origin $node && echo "@origin is equal"
                # Killed in the midst of a recovery, too.
                kill -9 $engine
                wait $engine || true
                strace -f --seccomp-bpf -qq -o trace -e trace=openat -P /dev/ublkc${node#/dev/ublkb} --inject=openat:signal=KILL \\
                    "$lab/era-dmsetup" era-dmsetup --control $work/control engine --state $work/state 2>> engine.log || true
                echo "@broken off $(grep -c openat trace)"
                engine
                reads_back broken
                # Somebody has the device's former node still open.
                sleep 3600 < $node &
                former=$!
                era detach %1$s
                era attach %1$s
                node=$(readlink /dev/era/%1$s)
                ls $work/control.attached
                kill -9 $engine
                wait $engine || true
                engine
                reads_back reader
                echo "@last is $([ $node = $(readlink /dev/era/%1$s) ] && echo same)"
                kill $former
                era remove %1$s
                kill $engine
                wait $engine
                cp $work/meta meta.img
                { cmp -l $work/before $work/origin || true; } | awk '{ print int(($1 - 1) / 4096) }' | uniq > changed
                ls $work/control.attached
                rm -rf $work
                """.formatted(name(), ORIGIN_MIB, KILLS, ORIGIN_MIB / 4);
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        return Stream.of(
                DynamicTest.dynamicTest("theNodeStaysTheSame", () -> {
                    String node = log.answer("node", "is");
                    assertTrue(node.matches("/dev/ublkb[0-9]+"), node);
                    for (int i = 1; i <= KILLS; i++) {
                        assertEquals(node, log.answer("again", Integer.toString(i)));
                    }
                }),
                DynamicTest.dynamicTest("theWriterSeesNoErrorAndReadsWhatItWrote", () -> {
                    assertEquals("0", log.answer("fio", "ended"), log::toString);
                    assertEquals("equal", log.answer("origin", "is"));
                }),
                DynamicTest.dynamicTest("aRecoveryThatAKillBrokeOffIsGoneOnWith", () -> {
                    assertEquals("1", log.answer("broken", "off"), log::toString);
                    assertEquals("0", log.answer("broken", "ended"), log::toString);
                }),
                DynamicTest.dynamicTest("aFormerNodeThatIsStillOpenIsNotTakenForTheOneInUse", () -> {
                    assertEquals("0", log.answer("reader", "ended"), log::toString);
                    assertEquals("same", log.answer("last", "is"));
                }),
                DynamicTest.dynamicTest("everyChangeIsRecorded", () -> {
                    Path image = folder.resolve("meta.img");
                    Tools.ours("era_check", image.toString()).good();
                    BitSet missed = new BitSet();
                    for (String line : Files.readAllLines(folder.resolve("changed"))) {
                        missed.set(Integer.parseInt(line.strip()));
                    }
                    assertTrue(missed.cardinality() > 1000, () -> "changed: " + missed);
                    for (String line : Tools.ours(
                                    "era_invalidate", "--written-since", "2", "--format", "ranges", image.toString())
                            .good()
                            .lines()
                            .toList()) {
                        String[] words = line.split("\\s+", 2);
                        int first = (int) (Long.parseLong(words[0]) / BLOCK_BYTES);
                        missed.clear(first, first + (int) (Long.parseLong(words[1]) / BLOCK_BYTES));
                    }
                    assertEquals("{}", missed.toString());
                }));
    }
}
