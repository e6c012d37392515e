// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whether a file or block device is the one that was remembered, within a run of the kernel and after a boot. */
class RememberedStorageTest {
    private static final StorageId FILE = new StorageId(false, DevNumber.encode(254, 1), 77);
    /** A number that no device here has. */
    private static final StorageId DISK = new StorageId(true, DevNumber.encode(4000, 16), 0);

    private static String otherBoot(StorageId storage) {
        String text = RememberedStorage.text(storage);
        return text.substring(0, text.indexOf('@')) + "@another-boot";
    }

    @Test
    void aFileIsItsFileSystemAndInodeAndAfterABootItsInode() {
        assertTrue(RememberedStorage.text(FILE).startsWith("file:254:1:77@"), RememberedStorage.text(FILE));
        assertTrue(RememberedStorage.isSame(RememberedStorage.text(FILE), FILE));
        StorageId otherInode = new StorageId(false, FILE.device(), 78);
        StorageId otherFileSystem = new StorageId(false, FILE.device() + 1, 77);
        assertFalse(RememberedStorage.isSame(RememberedStorage.text(FILE), otherInode));
        assertFalse(RememberedStorage.isSame(RememberedStorage.text(FILE), otherFileSystem));
        assertTrue(RememberedStorage.isSame(otherBoot(FILE), FILE));
        assertTrue(RememberedStorage.isSame(otherBoot(FILE), otherFileSystem));
        assertFalse(RememberedStorage.isSame(otherBoot(FILE), otherInode));
    }

    @Test
    void aBlockDeviceIsItsNumberAndAfterABootWhatHasItsNameUnlessMoreIsKnown() {
        StorageId other = new StorageId(true, DISK.device() + 16, 0);
        assertTrue(RememberedStorage.isSame(RememberedStorage.text(DISK), DISK));
        assertFalse(RememberedStorage.isSame(RememberedStorage.text(DISK), other));
        assertTrue(RememberedStorage.isSame(otherBoot(DISK), other));
        assertFalse(RememberedStorage.isSame(RememberedStorage.text(DISK), FILE));
        // A mapped device of the kernel's, or a loop device, that is none any more.
        assertFalse(RememberedStorage.isSame("block:4000:16:LVM-abc@another-boot", DISK));
        assertFalse(RememberedStorage.isSame("block:4000:16:loop.77.0@another-boot", DISK));
    }

    @Test
    void whatMakesNoSenseIsNothingsIdentity() {
        for (String text : new String[] {"", "@", "file", "file:1:2", "mapped:120:0:x", "file:254:1:77"}) {
            assertFalse(RememberedStorage.isSame(text, DISK), text);
        }
    }

    @Test
    void linksLeadToTheSameFile(@TempDir Path folder) throws Exception {
        Path file = Files.createFile(folder.resolve("file"));
        Path link = Files.createSymbolicLink(folder.resolve("link"), file);
        Path hard = Files.createLink(folder.resolve("hard"), file);
        assertEquals(StorageId.of(file), StorageId.of(link));
        assertEquals(StorageId.of(file), StorageId.of(hard));
    }
}
