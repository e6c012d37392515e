// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.dmera.tests.backup.DocumentedCommands;
import org.junit.jupiter.api.DynamicTest;

/**
 * The recipe of {@code docs/backup.md} on real logical volumes, command by command as it stands there, with the snapshot
 * command of {@code era_backup(8)}: full copy, increments while a mounted ext4 is written, one of a single moment, restored
 * onto another volume and compared. What the text leaves to the reader (the volume group, the file system) is added here.
 */
final class LvmRecipeCase implements LabCase {
    private static final String HOOK = "/etc/era-backup/lvm-snapshot";

    @Override
    public String name() {
        return "lvmRecipe";
    }

    @Override
    public void prepare(Path folder) throws IOException {
        put(folder, "once", DocumentedCommands.block("lvcreate -L 64M -n data_era vg"));
        put(folder, "nightly", DocumentedCommands.block("era_backup data --to /backup\n"));
        put(folder, "moment", DocumentedCommands.block("era_backup data --to /backup --origin-snapshot-cmd " + HOOK));
        put(
                folder,
                "restore",
                DocumentedCommands.block("era_apply /backup/data.??????.????.erastream -o /dev/vg/restored"));
        put(folder, "merge", DocumentedCommands.block("cd /backup\n"));
        put(folder, "cost", DocumentedCommands.block("era_stat --metadata-snapshot /dev/vg/data_era"));
        put(folder, "hook", DocumentedCommands.fileInManPage(HOOK));
    }

    private static void put(Path folder, String name, String text) throws IOException {
        Files.writeString(folder.resolve(name), text);
    }

    @Override
    public String script() {
        return """
                set -e
                export DM_DISABLE_UDEV=1
                # tool NAME PROGRAM: the command, as a reader has it in his path.
                tool() {
                    printf '#!/bin/sh\\nexec "%%s/%%s" %%s "$@"\\n' "$lab" $2 $1 > /usr/bin/$1
                    chmod 755 /usr/bin/$1
                }
                tool era_backup era-dmsetup
                for name in era_apply era_copy era_stat era_plot; do tool $name era-tools; done
                # There is no udev in the guest, and no daemon of LVM's.
                mkdir -p /etc/lvm /run/lock/lvm /srv/data /backup /etc/era-backup
                cat > /etc/lvm/lvm.conf <<END
                devices { obtain_device_list_from_udev=0 external_device_info_source="none" use_devicesfile=0 }
                activation { udev_sync=0 udev_rules=0 monitoring=0 }
                global { use_lvmpolld=0 use_lvmlockd=0 event_activation=0 notify_dbus=0 }
                backup { backup=0 archive=0 }
                END
                cp hook %1$s
                chmod 755 %1$s

                truncate -s 8G /run/%2$s
                disk=$(losetup -f --show /run/%2$s)
                pvcreate -q $disk
                vgcreate -q vg $disk
                lvcreate -q -L 48M -n data vg
                mkfs.ext4 -q /dev/vg/data

                # write FOLDER COUNT: files of many sizes, over those of the last time.
                write() {
                    mkdir -p /srv/data/$1
                    for i in $(seq $2); do
                        head -c $((i * i * 37)) /dev/urandom > /srv/data/$1/file$i
                    done
                    sync -f /srv/data
                }
                steps=$PWD
                set -x
                . ./once
                write first 40
                . ./nightly
                write second 30
                touch /run/go
                while [ -f /run/go ]; do write busy 12; done &
                writer=$!
                . ./nightly
                cp -r /srv/data/first /srv/data/second /run
                . ./moment
                rm /run/go
                wait $writer
                echo "@volumes left $(echo $(lvs --noheadings -o lv_name vg))"

                lvcreate -q -L 48M -n restored vg
                . ./restore
                code=0; e2fsck -fn /dev/vg/restored || code=$?; echo "@fsck code $code"
                mkdir /run/restored
                mount /dev/vg/restored /run/restored
                diff -r /run/first /run/restored/first
                diff -r /run/second /run/restored/second
                umount /run/restored

                write third 20
                umount /srv/data
                . ./nightly
                # The copy was mounted, and so written to: the chain is applied anew, from its full stream.
                . ./restore
                cmp /dev/vg/data /dev/vg/restored

                dmsetup message data 0 take_metadata_snap
                . ./cost
                dmsetup message data 0 drop_metadata_snap
                grep -q '<svg' data.svg
                . ./merge
                cd $steps
                [ "$(echo /backup/*.erastream)" = /backup/data.000008.full.erastream ]
                era_apply --verify /backup/data.??????.????.erastream -o /dev/vg/restored
                dmsetup remove data
                vgremove -q -y vg
                losetup -d $disk
                """.formatted(HOOK, name());
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        return Stream.of(
                DynamicTest.dynamicTest(
                        "theCopyOfOneMomentIsCleanAndHoldsWhatWasThere",
                        () -> assertEquals("0", log.answer("fsck", "code"))),
                DynamicTest.dynamicTest(
                        "noSnapshotIsLeft", () -> assertEquals("data data_era", log.answer("volumes", "left"))));
    }
}
