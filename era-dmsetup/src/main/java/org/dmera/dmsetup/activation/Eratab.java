// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.activation;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.dmera.core.file.FileErrors;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.Words;

/**
 * The table of the devices that are made at boot: for each a line of name, metadata, origin, block size in sectors, and
 * options, as fstab(5) has it. See eratab(5).
 *
 * @param entries the lines, in their order
 */
public record Eratab(Path file, List<EratabEntry> entries) {
    /** Where it is when nothing else is said. */
    public static final Path DEFAULT = Path.of("/etc/eratab");

    private static final Set<String> OPTIONS = Set.of(
            "defaults",
            "kernel",
            "engine",
            "attach",
            "check",
            "repair=never",
            "repair=counts",
            "nofail",
            "noauto",
            "_netdev");
    private static final List<Set<String>> EXCLUSIVE =
            List.of(Set.of("kernel", "engine"), Set.of("repair=never", "repair=counts"));

    /**
     * Reads it; a line that makes no sense makes all of it none: who boots by it must not boot by half of it.
     *
     * @throws IOException in one line: the file, the line's number, what was found and what was expected
     */
    public static Eratab read(Path file) throws IOException {
        String text;
        try {
            text = NativeText.of(FileErrors.readAllBytes(file));
        } catch (NoSuchFileException e) {
            throw new IOException(file + ": No such file or directory", e);
        }
        List<EratabEntry> entries = new ArrayList<>();
        int number = 0;
        for (String line : text.split("\n", -1)) {
            number++;
            String content = line.strip();
            if (content.isEmpty() || content.startsWith("#")) {
                continue;
            }
            EratabEntry entry;
            try {
                entry = parsed(content);
            } catch (IOException e) {
                throw new IOException(file + ": line " + number + ": " + e.getMessage(), e);
            }
            for (EratabEntry other : entries) {
                if (other.name().equals(entry.name())) {
                    throw new IOException(
                            file + ": line " + number + ": there is a device " + entry.name() + " in an earlier line");
                }
                if (other.metadata().equals(entry.metadata())) {
                    throw new IOException(file + ": line " + number + ": " + entry.metadata() + " is the metadata of "
                            + other.name() + ", too");
                }
            }
            entries.add(entry);
        }
        return new Eratab(file, entries);
    }

    private static EratabEntry parsed(String line) throws IOException {
        String[] fields = line.split("[ \t]+", -1);
        if (fields.length < 4 || fields.length > 5) {
            throw new IOException(
                    "expected NAME METADATA ORIGIN BLOCK-SIZE [OPTIONS], found " + fields.length + " fields");
        }
        String name = Words.ofOctal(fields[0]);
        if (name.contains("/") || DmIoctl.NO_DEVICE_NAMES.contains(name)) {
            throw new IOException("\"" + name + "\" can't be the name of a device");
        }
        return new EratabEntry(
                name,
                device("metadata", Words.ofOctal(fields[1])),
                device("origin", Words.ofOctal(fields[2])),
                blockSize(fields[3]),
                options(fields.length == 5 ? fields[4] : "defaults"));
    }

    private static String device(String what, String text) throws IOException {
        if (text.startsWith("PARTUUID=")) {
            return "/dev/disk/by-partuuid/" + text.substring("PARTUUID=".length());
        }
        if (text.startsWith("ID=")) {
            return "/dev/disk/by-id/" + text.substring("ID=".length());
        }
        if (text.startsWith("UUID=") || text.startsWith("LABEL=") || text.startsWith("/dev/disk/by-uuid/")) {
            throw new IOException(what + " " + text + ": a file system's name leads to the era device as well as to its"
                    + " origin: name the disk, by ID=, PARTUUID= or a path");
        }
        if (!text.startsWith("/")) {
            throw new IOException(what + " " + text + ": expected a path from /, ID= or PARTUUID=");
        }
        return text;
    }

    private static long blockSize(String text) throws IOException {
        if (text.matches("[0-9]{1,10}")) {
            long sectors = Long.parseLong(text);
            if (sectors > 0 && sectors <= 0xffff_ffffL) {
                return sectors;
            }
        }
        throw new IOException("block size " + text + ": expected a number of sectors of 512 bytes");
    }

    private static Set<String> options(String text) throws IOException {
        Set<String> options = new LinkedHashSet<>();
        for (String option : text.split(",", -1)) {
            if (!OPTIONS.contains(option)) {
                throw new IOException("option \"" + option + "\": expected "
                        + String.join(", ", OPTIONS.stream().sorted().toList()));
            }
            options.add(option);
        }
        for (Set<String> pair : EXCLUSIVE) {
            if (options.containsAll(pair)) {
                throw new IOException(
                        "options " + String.join(" and ", pair.stream().sorted().toList()) + " exclude each other");
            }
        }
        if (options.contains("attach") && !options.contains("engine")) {
            throw new IOException("option attach: the kernel's devices have nodes of their own; it goes with engine");
        }
        return options;
    }

    /** The line of that name. */
    public EratabEntry entry(String name) throws IOException {
        return entries.stream()
                .filter(entry -> entry.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new IOException(file + ": no device " + name));
    }

    /** Where the devices of this table are enrolled: {@code era/enrolled} beside it. */
    public static Path enrollmentFolder(Path eratab) {
        return eratab.toAbsolutePath().resolveSibling("era").resolve("enrolled");
    }
}
