// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.Set;
import org.dmera.core.file.Folders;
import org.dmera.core.linux.NativeText;

/** What the kernel tells of block devices in sysfs (sysfs-block): where a loop device or a partition lies, and what they are. */
public final class BlockDevices {
    private static final Path NUMBERS = Path.of("/sys/dev/block");
    private static final long SECTOR_BYTES = 512;
    /** Loop devices over partitions of loop devices, and so on: more than anybody stacks. */
    private static final int MAX_DEPTH = 8;

    private BlockDevices() {}

    /**
     * The names, as in {@code loop0}, of the block device of the number {@code major:minor}, first, and of those on which it lies:
     * of a partition its disk, and what is beneath one of the kernel's mapped devices or RAIDs.
     */
    public static Set<String> chain(String number) throws IOException {
        Set<String> names = new LinkedHashSet<>();
        Path device = NUMBERS.resolve(number);
        if (Files.exists(device)) {
            addChain(device.toRealPath(), names);
        }
        return names;
    }

    private static void addChain(Path device, Set<String> names) throws IOException {
        if (!names.add(device.getFileName().toString())) {
            return;
        }
        if (Files.exists(device.resolve("partition"))) {
            addChain(device.getParent(), names);
        }
        Path beneath = device.resolve("slaves");
        if (Files.exists(beneath)) {
            for (Path each : Folders.entries(beneath, "*")) {
                addChain(each.toRealPath(), names);
            }
        }
    }

    /** Where the bytes of a block device or a file lie. */
    record Place(StorageId storage, long offsetBytes) {}

    /** Follows loop devices to their files and partitions to their disks. What can't be followed lies in itself. */
    static Place place(StorageId device) {
        Place place = new Place(device, 0);
        for (int depth = 0; depth < MAX_DEPTH && place.storage.isBlock(); depth++) {
            Place beneath;
            try {
                beneath = beneath(place.storage);
            } catch (IOException | NumberFormatException e) {
                // Its file is not to be seen from here, or it has just gone.
                return place;
            }
            if (beneath == null) {
                return place;
            }
            place = new Place(beneath.storage, beneath.offsetBytes + place.offsetBytes);
        }
        return place;
    }

    private static Place beneath(StorageId device) throws IOException {
        Path block = NUMBERS.resolve(device.deviceText());
        Path file = block.resolve("loop/backing_file");
        if (Files.exists(file)) {
            return new Place(
                    StorageId.of(NativeText.path(line(file))), Long.parseLong(line(block.resolve("loop/offset"))));
        }
        if (Files.exists(block.resolve("partition"))) {
            String[] disk = line(block.toRealPath().resolveSibling("dev")).split(":", 2);
            long number = Long.parseLong(disk[0]) << 32 | Long.parseLong(disk[1]);
            return new Place(
                    new StorageId(true, number, 0), Long.parseLong(line(block.resolve("start"))) * SECTOR_BYTES);
        }
        return null;
    }

    /**
     * What a block device is besides its number, which may be another after a boot: the uuid of a mapped device of the
     * kernel's, or the file of a loop device; empty for others. Without white space.
     */
    static String nature(StorageId device) {
        Path block = NUMBERS.resolve(device.deviceText());
        try {
            Path uuid = block.resolve("dm/uuid");
            if (Files.exists(uuid)) {
                return line(uuid).replaceAll("\\s", "_");
            }
            Place place = place(device);
            return place.storage.isBlock() ? "" : "loop." + place.storage.inode() + "." + place.offsetBytes;
        } catch (IOException e) {
            // It has just gone; its number will tell.
            return "";
        }
    }

    private static String line(Path file) throws IOException {
        return Files.readString(file, NativeText.CHARSET).strip();
    }
}
