// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;

/**
 * Our engine inside the guest, its device attached by the kernel's ublk driver: what is written, discarded and zeroed by the
 * node is so on the origin, and exactly that is recorded. The engine and its commands share one JVM, since starting one takes
 * long where the processor is emulated.
 */
final class UblkCase implements LabCase {
    private static final int BLOCK_BYTES = 4096;
    private static final int ORIGIN_MIB = 16;

    @Override
    public String name() {
        return "engineAttachedByUblk";
    }

    @Override
    public void prepare(Path folder) throws IOException {
        String work = "/run/" + name();
        String era = "era-dmsetup --control " + work + "/control ";
        String table = "0 " + ORIGIN_MIB * 2048 + " era " + work + "/meta " + work + "/origin 8";
        Files.write(
                folder.resolve("commands"),
                List.of(
                        tabs(era + "create " + name() + " --attach --table") + "\t" + table,
                        tabs("sh -e io.sh"),
                        tabs(era + "remove " + name())));
        Files.writeString(folder.resolve("io.sh"), """
                work=%s
                node=$(readlink /dev/era/%s)
                echo "@node is $node"
                echo "@size is $(blockdev --getsize64 $node)"
                # Some end meanwhile.
                cat /proc/$PPID/task/*/stat > threads || :
                head -c 1M /dev/urandom > $work/data
                dd if=$work/data of=$node bs=1M oflag=direct seek=1 conv=notrunc,fsync
                blkdiscard -o 8M -l 1M $node
                blkdiscard -z -o 12M -l 64k $node
                dd if=$node of=$work/back bs=1M iflag=direct skip=1 count=1
                cmp $work/data $work/back
                cmp $work/origin $node
                head -c 1M /dev/zero | cmp -n 1048576 -i 0:8388608 - $work/origin
                head -c 64k /dev/zero | cmp -n 65536 -i 0:12582912 - $work/origin
                """.formatted(work, name()));
    }

    private static String tabs(String words) {
        return words.replace(' ', '\t');
    }

    @Override
    public String script() {
        return """
                . "$lab/lib.sh"
                with_ublk
                work=/run/%1$s
                mkdir -p $work
                truncate -s 4M $work/meta
                head -c %2$dM /dev/urandom > $work/origin
                "$lab/guest-session" commands answers $work/control $work/state
                ls /dev/ublk*
                cp $work/meta meta.img
                rm -rf $work
                """.formatted(name(), ORIGIN_MIB);
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        List<CommandAnswer> answers = answers(folder);
        CaseLog io = new CaseLog(answers.get(1).output().lines().toList());
        return Stream.of(
                DynamicTest.dynamicTest("everyCommandSucceeds", () -> {
                    assertEquals(3, answers.size());
                    answers.forEach(each -> assertEquals(0, each.exitCode(), each::toString));
                }),
                DynamicTest.dynamicTest("theNodeIsAUblkDeviceOfTheDevicesSize", () -> {
                    assertTrue(io.answer("node", "is").matches("/dev/ublkb[0-9]+"), io::toString);
                    assertEquals((long) ORIGIN_MIB << 20, Long.parseLong(io.answer("size", "is")));
                }),
                DynamicTest.dynamicTest("threadsThatServeTheNodeDoNotWaitForItWhenTheyNeedMemory", () -> {
                    List<String> threads = Files.readAllLines(folder.resolve("threads"));
                    assertTrue(ServingThreads.requireIoFlushers(threads) >= 3, threads::toString);
                    assertTrue(threads.stream().anyMatch(line -> line.contains("(ublk")), threads::toString);
                }),
                DynamicTest.dynamicTest("nothingIsLeft", () -> {
                    List<String> nodes = log.lines().stream()
                            .filter(line -> line.startsWith("/dev/ublk"))
                            .toList();
                    assertEquals(List.of("/dev/ublk-control"), nodes);
                }),
                DynamicTest.dynamicTest("exactlyWhatWasChangedIsRecorded", () -> {
                    BitSet expected = new BitSet();
                    expected.set((1 << 20) / BLOCK_BYTES, (2 << 20) / BLOCK_BYTES);
                    expected.set((8 << 20) / BLOCK_BYTES, (9 << 20) / BLOCK_BYTES);
                    expected.set((12 << 20) / BLOCK_BYTES, ((12 << 20) + (64 << 10)) / BLOCK_BYTES);
                    BitSet recorded = new BitSet();
                    for (String line : Tools.ours(
                                    "era_invalidate",
                                    "--written-since",
                                    "1",
                                    "--format",
                                    "ranges",
                                    folder.resolve("meta.img").toString())
                            .good()
                            .lines()
                            .toList()) {
                        String[] words = line.split("\\s+", 2);
                        int first = (int) (Long.parseLong(words[0]) / BLOCK_BYTES);
                        recorded.set(first, first + (int) (Long.parseLong(words[1]) / BLOCK_BYTES));
                    }
                    assertEquals(expected, recorded);
                }));
    }

    private static List<CommandAnswer> answers(Path folder) {
        try {
            return Files.readAllLines(folder.resolve("answers")).stream()
                    .map(CommandAnswer::parse)
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
