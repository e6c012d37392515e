// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.dmera.tests.backup.DocumentedCommands;
import org.junit.jupiter.api.DynamicTest;

/**
 * The recipe of {@code docs/cache-rollback.md} on a real cached logical volume, command by command as it stands there. What
 * the text leaves to the reader (the storage system, the disks, the file system) is added here.
 */
final class CacheRecipeCase implements LabCase {
    private static final String DOCUMENT = "docs/cache-rollback.md";

    @Override
    public String name() {
        return "cacheRecipe";
    }

    @Override
    public void prepare(Path folder) throws IOException {
        put(folder, "once", "dd if=/dev/zero of=/dev/fast1");
        put(folder, "snapshot", "lvchange -y --cachemode writethrough vol/data");
        put(folder, "rollback", "umount /srv/data");
    }

    private static void put(Path folder, String name, String begin) throws IOException {
        Files.writeString(folder.resolve(name), DocumentedCommands.block(DOCUMENT, begin));
    }

    @Override
    public String script() {
        return """
                set -e
                export DM_DISABLE_UDEV=1
                printf '#!/bin/sh\\nexec "%%s/era-dmsetup" era-dmsetup "$@"\\n' "$lab" > /usr/bin/era-dmsetup
                chmod 755 /usr/bin/era-dmsetup
                export ERA_CONTROL=kernel
                mkdir -p /etc/lvm /run/lock/lvm /srv/data /usr/local/sbin /run/%1$s
                cat > /etc/lvm/lvm.conf <<END
                devices {
                    obtain_device_list_from_udev=0 external_device_info_source="none" use_devicesfile=0
                    global_filter=[ "a|^/dev/mapper/tracked$|", "a|^/dev/fast2$|", "r|.*|" ]
                }
                activation { udev_sync=0 udev_rules=0 monitoring=0 }
                global { use_lvmpolld=0 use_lvmlockd=0 event_activation=0 notify_dbus=0 }
                backup { backup=0 archive=0 }
                END
                # disk NAME SIZE: a loop device under the name that the text has for it
                disk() {
                    truncate -s $2 /run/%1$s/$1
                    loop=$(losetup -f --show /run/%1$s/$1)
                    mknod /dev/$1 b 7 ${loop#/dev/loop}
                    loops="$loops $loop"
                }
                disk lun 200M
                disk fast1 4M
                disk fast2 64M
                cat > /usr/local/sbin/storage-rollback <<END
                #!/bin/sh
                exec dd if=/run/%1$s/vendor of=/dev/lun bs=1M oflag=direct conv=notrunc 2> /dev/null
                END
                cat > /usr/local/sbin/storage-snapshot <<END
                #!/bin/sh
                sync /run/%1$s/lun
                exec cp /run/%1$s/lun /run/%1$s/vendor
                END
                chmod 755 /usr/local/sbin/storage-rollback /usr/local/sbin/storage-snapshot
                set -x
                . ./once
                mkfs.ext4 -q /dev/vol/data
                mount /dev/vol/data /srv/data
                # Read and written again and again, so that the cache takes it.
                fill() {
                    mkdir -p /srv/data/$1
                    for round in 1 2 3 4; do
                        for i in $(seq 12); do
                            dd if=/dev/urandom of=/srv/data/$1/file$i bs=64k count=12 oflag=direct conv=notrunc 2> /dev/null
                            dd if=/srv/data/$1/file$i of=/dev/null bs=64k iflag=direct 2> /dev/null
                        done
                        sleep 1
                    done
                }
                fill kept
                cp -r /srv/data/kept /run/%1$s/kept
                sync -f /srv/data
                . ./snapshot > era
                echo "@era since $(grep -x '[0-9][0-9]*' era)"
                fill gone
                fill kept
                . ./rollback > said
                cat said
                echo "@said $(grep -o 'invalidating [0-9]* of [0-9]*' said)"
                diff -r /run/%1$s/kept /srv/data/kept
                [ ! -e /srv/data/gone ]
                umount /srv/data
                code=0; e2fsck -fn /dev/vol/data || code=$?; echo "@fsck code $code"
                echo "@mode now $(dmsetup table vol-data | grep -o 'writeback\\|passthrough')"
                vgchange -q -an vol
                dmsetup remove tracked
                losetup -d $loops
                rm -rf /run/%1$s
                """.formatted(name());
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        return Stream.of(
                DynamicTest.dynamicTest(
                        "theFileSystemIsThatOfTheStorageSystemsSnapshot",
                        () -> assertEquals("0", log.answer("fsck", "code"))),
                DynamicTest.dynamicTest("theEraIsTheOneInTheText", () -> assertEquals("2", log.answer("era", "since"))),
                DynamicTest.dynamicTest("someBlocksWentAndSomeStayed", () -> {
                    String[] counts = log.answer("said", "invalidating").split(" of ", -1);
                    int gone = Integer.parseInt(counts[0]);
                    assertTrue(gone > 0 && gone < Integer.parseInt(counts[1]), log::toString);
                }),
                DynamicTest.dynamicTest(
                        "theCacheIsBackInItsMode", () -> assertEquals("writeback", log.answer("mode", "now"))));
    }
}
