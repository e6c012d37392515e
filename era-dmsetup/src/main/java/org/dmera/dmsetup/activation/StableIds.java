// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.activation;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import org.dmera.core.file.Folders;
import org.dmera.dmsetup.targets.StorageId;

/**
 * What a device or file is called that stays the same over boots: its links in {@code /dev/disk/by-id} and
 * {@code by-partuuid}, a mapped device's uuid, the inode of a file. Names that a person gives, as of a logical volume, are
 * not among them, nor what lies on it, as a file system's uuid: another disk may have the same.
 */
final class StableIds {
    private static final Path DISKS = Path.of("/dev/disk");

    private StableIds() {}

    /** Without white space, and none at all for a device of which nobody knows more than its name. */
    static Set<String> of(Path path) throws IOException {
        StorageId storage = StorageId.of(path);
        Set<String> ids = new TreeSet<>();
        String nature = storage.nature();
        if (!nature.isEmpty()) {
            ids.add(nature);
        }
        if (storage.isBlock()) {
            for (String kind : new String[] {"by-id", "by-partuuid"}) {
                links(DISKS.resolve(kind), storage, ids);
            }
        }
        return ids;
    }

    private static void links(Path folder, StorageId storage, Set<String> ids) throws IOException {
        try {
            for (Path link : Folders.entries(folder, "*")) {
                String name = link.getFileName().toString();
                if (!name.startsWith("dm-name-")
                        && Files.exists(link)
                        && StorageId.of(link).equals(storage)) {
                    ids.add(folder.getFileName() + "/" + name.replaceAll("\\s", "_"));
                }
            }
        } catch (NoSuchFileException | NotDirectoryException e) {
            // Without udev nobody names disks.
            return;
        }
    }
}
