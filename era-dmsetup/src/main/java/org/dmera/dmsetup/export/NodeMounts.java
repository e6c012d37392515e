// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.dmera.core.file.Folders;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.ioctl.Words;

/** Who uses a block device, as far as the kernel tells without being asked to claim it: file systems, swap, other devices. */
final class NodeMounts {
    private static final Path PROC = Path.of("/proc");
    private static final Path SELF = PROC.resolve("self");
    private static final Path BLOCK = Path.of("/sys/class/block");

    /**
     * One place at which a file system is mounted.
     *
     * @param id the kernel's number of the mount
     * @param point its path, as this process can open it
     */
    record Mount(int id, Path point) {}

    private NodeMounts() {}

    /** The file systems on {@code node} and its partitions, each with the places where it is mounted, in all namespaces. */
    static Collection<List<Mount>> fileSystems(String node) throws IOException {
        Set<String> numbers = numbers(node);
        Map<String, List<Mount>> found = new LinkedHashMap<>();
        for (Path process : aProcessOfEachNamespace()) {
            List<String> lines;
            try {
                lines = Files.readAllLines(process.resolve("mountinfo"), NativeText.CHARSET);
            } catch (IOException e) {
                if (process.equals(SELF)) {
                    // Out of descriptors, say: what is mounted is not known then, and would not be frozen.
                    throw e;
                }
                // It ended.
                continue;
            }
            for (String line : lines) {
                String[] words = line.split(" ", -1);
                if (numbers.contains(words[2]) || words[2].startsWith("0:") && isOn(line, numbers)) {
                    Path point = Path.of(process + "/root" + Words.ofOctal(words[4]));
                    found.computeIfAbsent(words[2], any -> new ArrayList<>())
                            .add(new Mount(Integer.parseInt(words[0]), point));
                }
            }
        }
        return found.values();
    }

    /** Whether a file system, swap, or another device has claimed it. */
    static boolean isClaimed(String node) throws IOException {
        return !fileSystems(node).isEmpty() || isSwap(node) || hasHolders(node);
    }

    /**
     * Throws EBUSY when somebody has claimed it. Nothing is read or written for that, but it must be served: who waits for its
     * requests may have it locked meanwhile, as sync(2) and those who look for partitions do.
     */
    static void requireUnclaimed(String node) throws IOException {
        FileDescriptors.close(FileDescriptors.open(node, FileDescriptors.O_RDONLY | FileDescriptors.O_EXCL));
    }

    private static boolean isSwap(String node) throws IOException {
        Path swaps = PROC.resolve("swaps");
        return Files.exists(swaps) && isSwap(Files.readAllLines(swaps, NativeText.CHARSET), withPartitions(node));
    }

    /** Whether a line of {@code /proc/swaps} is about one of {@code devices}, as sysfs has them. */
    static boolean isSwap(List<String> swaps, List<Path> devices) {
        return devices.stream()
                .map(device -> "/dev/" + device.getFileName() + " ")
                .anyMatch(node -> swaps.stream().anyMatch(line -> line.startsWith(node)));
    }

    private static boolean hasHolders(String node) throws IOException {
        for (Path device : withPartitions(node)) {
            Path holders = device.resolve("holders");
            if (Files.exists(holders) && !Folders.entries(holders, "*").isEmpty()) {
                return true;
            }
        }
        return false;
    }

    private static List<Path> withPartitions(String node) throws IOException {
        String name = Path.of(node).getFileName().toString();
        Path device = BLOCK.resolve(name);
        List<Path> all = new ArrayList<>(List.of(device));
        if (Files.exists(device)) {
            all.addAll(Folders.entries(device, name + "p*"));
        }
        return all;
    }

    /** Device numbers, as in {@code 7:0}. */
    private static Set<String> numbers(String node) throws IOException {
        Set<String> numbers = new HashSet<>();
        for (Path device : withPartitions(node)) {
            Path number = device.resolve("dev");
            if (Files.exists(number)) {
                numbers.add(Files.readString(number).strip());
            }
        }
        return numbers;
    }

    /** Whether a file system with a number of its own, as btrfs has it, is mounted from one of these. */
    private static boolean isOn(String line, Set<String> numbers) throws IOException {
        int dash = line.indexOf(" - ");
        String source = dash < 0 ? "" : Words.ofOctal(line.substring(dash + 3).split(" ", -1)[1]);
        if (!source.startsWith("/dev/")) {
            return false;
        }
        try {
            Path number =
                    BLOCK.resolve(Path.of(source).toRealPath().getFileName()).resolve("dev");
            return Files.exists(number)
                    && numbers.contains(Files.readString(number).strip());
        } catch (NoSuchFileException e) {
            // Of another namespace, or gone.
            return false;
        }
    }

    /** This process's own first. */
    private static List<Path> aProcessOfEachNamespace() throws IOException {
        List<Path> processes = new ArrayList<>();
        Set<String> seen = new HashSet<>();
        add(SELF, seen, processes);
        for (Path process : Folders.entries(PROC, "[0-9]*")) {
            add(process, seen, processes);
        }
        return processes;
    }

    private static void add(Path process, Set<String> seen, List<Path> processes) {
        try {
            if (seen.add(Files.readSymbolicLink(process.resolve("ns/mnt")).toString())) {
                processes.add(process);
            }
        } catch (IOException e) {
            // It ended, or is not to be looked at, as without root's rights.
            return;
        }
    }
}
