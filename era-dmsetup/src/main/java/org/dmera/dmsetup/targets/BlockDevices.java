// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import org.dmera.core.file.Folders;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.ioctl.DevNumber;

/** What the kernel tells of block devices in sysfs (sysfs-block): where a loop device or a partition lies, and what they are. */
public final class BlockDevices {
    private static final Path NUMBERS = Path.of("/sys/dev/block");
    private static final long SECTOR_BYTES = 512;
    /** Loop devices over partitions of loop devices, and so on: more than anybody stacks. */
    private static final int MAX_DEPTH = 8;

    private BlockDevices() {}

    /**
     * The name, as in {@code loop0}, of the first that is {@code wanted} among the block device of the number {@code major:minor}
     * and those on which it lies: of a partition its disk, of a loop device that of its file, and what is beneath one of the
     * kernel's mapped devices or RAIDs. Null for none.
     */
    public static String first(String number, Predicate<String> wanted) throws IOException {
        return first(number, wanted, new HashSet<>());
    }

    private static String first(String number, Predicate<String> wanted, Set<String> seen) throws IOException {
        Path device = NUMBERS.resolve(number);
        if (!Files.exists(device) || !seen.add(number)) {
            return null;
        }
        String found = device.toRealPath().getFileName().toString();
        if (wanted.test(found)) {
            return found;
        }
        List<String> numbers = new ArrayList<>();
        Place place = beneath(number);
        if (place != null) {
            numbers.add(place.storage.deviceText());
        }
        Path slaves = device.resolve("slaves");
        for (Path each : Files.exists(slaves) ? Folders.entries(slaves, "*") : List.<Path>of()) {
            numbers.add(line(each.resolve("dev")));
        }
        found = null;
        for (int i = 0; i < numbers.size() && found == null; i++) {
            found = first(numbers.get(i), wanted, seen);
        }
        return found;
    }

    /** Where the bytes of a block device or a file lie. */
    record Place(StorageId storage, long offsetBytes) {}

    /** Follows loop devices to their files and partitions to their disks. What can't be followed lies in itself. */
    static Place place(StorageId device) {
        Place place = new Place(device, 0);
        for (int depth = 0; depth < MAX_DEPTH && place.storage.isBlock(); depth++) {
            Place beneath = beneath(place.storage.deviceText());
            if (beneath == null) {
                return place;
            }
            place = new Place(beneath.storage, beneath.offsetBytes + place.offsetBytes);
        }
        return place;
    }

    /** Null for what is neither, or can't be followed: its file is not to be seen from here, or it has just gone. */
    private static Place beneath(String number) {
        Path block = NUMBERS.resolve(number);
        Path file = block.resolve("loop/backing_file");
        try {
            if (Files.exists(file)) {
                return new Place(
                        StorageId.of(NativeText.path(line(file))), Long.parseLong(line(block.resolve("loop/offset"))));
            }
            if (Files.exists(block.resolve("partition"))) {
                String[] disk = line(block.toRealPath().resolveSibling("dev")).split(":", 2);
                long disks = DevNumber.encode(Integer.parseInt(disk[0]), Integer.parseInt(disk[1]));
                return new Place(
                        new StorageId(true, disks, 0), Long.parseLong(line(block.resolve("start"))) * SECTOR_BYTES);
            }
        } catch (IOException | NumberFormatException e) {
            return null;
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
