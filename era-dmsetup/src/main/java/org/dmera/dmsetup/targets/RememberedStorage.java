// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What a file or block device was, as text for the state folder, and whether another is the same.
 *
 * <p>{@code file:MAJOR:MINOR:INODE@BOOT} or {@code block:MAJOR:MINOR:NATURE@BOOT}, where BOOT is the kernel's run in which it
 * was seen: device numbers are given anew at each boot, also those of file systems, so they decide within one run alone.
 * After a boot an inode, or what {@link BlockDevices#nature} says, decides.
 */
final class RememberedStorage {
    private static final String BOOT = boot();

    private RememberedStorage() {}

    private static String boot() {
        try {
            return Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
        } catch (IOException e) {
            // Where it is not to be had every run counts as the same: the stricter rule.
            return "";
        }
    }

    static String text(StorageId storage) {
        String what = storage.isBlock()
                ? "block:" + storage.deviceText() + ":" + BlockDevices.nature(storage)
                : "file:" + storage.deviceText() + ":" + storage.inode();
        return what + "@" + BOOT;
    }

    /** Whether {@code storage} is what {@code remembered} is of. */
    static boolean isSame(String remembered, StorageId storage) {
        String[] then = words(remembered);
        String[] now = words(text(storage));
        boolean sameKind = then[0].equals(now[0]);
        boolean sameNumber = then[1].equals(now[1]) && then[2].equals(now[2]);
        boolean sameNature = then[3].equals(now[3]);
        boolean sameBoot = then[4].equals(now[4]);
        if (!sameKind || !sameNature) {
            return false;
        }
        // A mapped device of the kernel's with that uuid is the same whatever its number.
        boolean natureDecides = storage.isBlock() && !now[3].isEmpty();
        return sameNumber || natureDecides || !sameBoot;
    }

    /** Kind, major, minor, nature or inode, boot. */
    private static String[] words(String text) {
        int at = text.lastIndexOf('@');
        String[] what = text.substring(0, Math.max(0, at)).split(":", 4);
        String[] words = {"", "", "", "", text.substring(at + 1)};
        System.arraycopy(what, 0, words, 0, what.length);
        return words;
    }
}
