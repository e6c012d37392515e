// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;

/**
 * A backup as people make it: ext4 on the kernel's era device, a full copy, then, after each round of changes, only the blocks
 * that {@code era_invalidate --metadata-snapshot} names on the live device. The copy must equal the origin, byte for byte.
 */
final class FileSystemCase implements LabCase {
    private static final int ROUNDS = 2;
    private static final int ORIGIN_MIB = 48;

    private final int blockSizeSectors;

    FileSystemCase(int blockSizeSectors) {
        this.blockSizeSectors = blockSizeSectors;
    }

    @Override
    public String name() {
        return "ext4IncrementalBackup" + blockSizeSectors;
    }

    @Override
    public String script() {
        int sectors = ORIGIN_MIB * 2048;
        return """
                . "$lab/lib.sh"
                begin %1$s 4096 %2$d
                dmsetup create $name --table "$(table %2$d %3$d)"
                mkfs.ext4 -q -O ^metadata_csum_seed $dev
                mkdir $work/mount
                mount -t ext4 $dev $work/mount
                cd $work/mount

                # fill FOLDER COUNT: files of many sizes.
                fill() {
                    mkdir -p $1
                    for i in $(seq $2); do
                        head -c $((i * i * 37)) /dev/urandom > $1/file$i
                    done
                }
                # The era in which a backup was taken: what was written in it or later is for the next one. With the file
                # system frozen nothing is written between the checkpoint and the copy.
                freeze() {
                    sync
                    fsfreeze -f $work/mount
                    dmsetup message $name 0 take_metadata_snap
                    era=$(dmsetup status $name | awk '{ print $6 }')
                }
                thaw() {
                    fsfreeze -u $work/mount
                    dmsetup message $name 0 drop_metadata_snap
                }

                fill first 60
                freeze
                cp --sparse=always $work/origin $work/backup
                since=$era
                thaw

                for round in $(seq %4$d); do
                    fill round$round $((20 + round * 10))
                    rm -rf first/file*$round
                    mv first/file55 first/moved$round 2> /dev/null || mv first/moved* first/moved$round
                    echo changed >> first/file42
                    freeze
                    "$lab/era-tools" era_invalidate --metadata-snapshot --written-since $since --format ranges $meta \\
                        > $OLDPWD/ranges$round
                    # Direct, because the page cache of the device may hold what an earlier round has read.
                    while read -r offset length; do
                        dd if=$dev of=$work/backup bs=1M iflag=direct,skip_bytes,count_bytes oflag=seek_bytes conv=notrunc \\
                            skip=$offset seek=$offset count=$length 2> /dev/null
                    done < $OLDPWD/ranges$round
                    since=$era
                    cmp $work/origin $work/backup && echo "@round $round same"
                    echo "@bytes $round $(awk '{ sum += $2 } END { print sum }' $OLDPWD/ranges$round)"
                    thaw
                done
                cd $OLDPWD
                umount $work/mount
                e2fsck -fn $work/backup
                dmsetup remove $name
                finish
                """.formatted(name(), sectors, blockSizeSectors, ROUNDS);
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        return Stream.of(
                DynamicTest.dynamicTest("theIncrementalCopyEqualsTheOrigin", () -> {
                    for (int round = 1; round <= ROUNDS; round++) {
                        assertEquals("same", log.answer("round", Integer.toString(round)), "round " + round);
                    }
                }),
                DynamicTest.dynamicTest("onlyAPartIsCopied", () -> {
                    for (int round = 1; round <= ROUNDS; round++) {
                        long bytes = Long.parseLong(log.answer("bytes", Integer.toString(round)));
                        assertTrue(bytes > 0 && bytes < (ORIGIN_MIB << 20) / 2, "round " + round + ": " + bytes);
                    }
                }));
    }
}
