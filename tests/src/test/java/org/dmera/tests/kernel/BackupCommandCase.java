// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.dmera.tools.backup.apply.Applier;
import org.dmera.tools.backup.stream.StreamReader;
import org.junit.jupiter.api.DynamicTest;

/**
 * {@code era_backup} on the kernel's device: a full copy and an increment while somebody writes to the mounted ext4, one that
 * is killed while it holds the metadata snapshot, and a last one of the frozen file system, which the streams together must
 * give byte for byte.
 */
final class BackupCommandCase implements LabCase {
    private static final int ORIGIN_MIB = 32;

    @Override
    public String name() {
        return "backupCommand";
    }

    @Override
    public String script() {
        int sectors = ORIGIN_MIB * 2048;
        return """
                . "$lab/lib.sh"
                begin %1$s 4096 %2$d
                folder=$PWD
                dmsetup create $name --table "$(table %2$d 128)"
                mkfs.ext4 -q $dev
                mkdir $work/mount
                mount -t ext4 $dev $work/mount

                backup() {
                    "$lab/era-dmsetup" era_backup $name --control kernel --to $work/streams "$@"
                }
                held() {
                    dmsetup status $name | awk '{ print $7 }'
                }
                # write FOLDER COUNT: files of many sizes, over those of the last time.
                write() {
                    mkdir -p $work/mount/$1
                    for i in $(seq $2); do
                        head -c $((i * i * 37)) /dev/urandom > $work/mount/$1/file$i
                    done
                    sync -f $work/mount
                }

                write first 50
                touch $work/go
                while [ -f $work/go ]; do write busy 12; done &
                writer=$!
                backup
                backup
                rm $work/go
                wait $writer

                write second 40
                "$lab/era-dmsetup" era_backup $name --control kernel --to $work/streams --bwlimit 100K > /dev/null &
                killed=$!
                while [ "$(held)" = - ] && kill -0 $killed 2> /dev/null; do :; done
                kill -9 $killed
                wait $killed || true
                echo "@held afterTheKill $(held)"

                write third 20
                sync
                fsfreeze -f $work/mount
                backup
                echo "@held atTheEnd $(held)"
                cp --sparse=always $work/origin $folder/origin
                cp $work/streams/*.erastream $folder
                fsfreeze -u $work/mount
                umount $work/mount
                dmsetup remove $name
                finish
                """.formatted(name(), sectors);
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        return Stream.of(
                DynamicTest.dynamicTest("theStreamsGiveTheOrigin", () -> judge(folder)),
                DynamicTest.dynamicTest("aKilledBackupsSnapshotIsDroppedByTheNext", () -> {
                    assertTrue(
                            Integer.parseInt(log.answer("held", "afterTheKill")) > 0,
                            "the kill came while the snapshot was held");
                    assertEquals("-", log.answer("held", "atTheEnd"));
                }));
    }

    private static void judge(Path folder) throws IOException {
        List<String> names = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            files.map(Path::toString)
                    .filter(f -> f.endsWith(".erastream"))
                    .sorted()
                    .forEach(names::add);
        }
        assertEquals(3, names.size(), names.toString());
        assertTrue(
                names.get(0).endsWith(".full.erastream") && names.get(2).endsWith(".incr.erastream"), names.toString());
        Path target = folder.resolve("target");
        Files.deleteIfExists(target);
        List<StreamReader> streams = new ArrayList<>();
        try (Applier applier = new Applier(target, null)) {
            for (String name : names) {
                streams.add(StreamReader.open(name, null));
            }
            applier.apply(streams, false, bytes -> {});
        } finally {
            for (StreamReader stream : streams) {
                stream.close();
            }
        }
        assertEquals(-1L, Files.mismatch(folder.resolve("origin"), target));
    }
}
