// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.device.MappedDevice;

/**
 * Notes of ublk devices in the engine's folder of nodes: which mapped device each is for, so that the next engine goes on with
 * it after this process was killed. A file {@code ublk-N} for {@code /dev/ublkbN}, with one line: the token that the driver
 * has, whether it was started, the mapped device's minor number and its id. A note is replaced as a whole: half of one would
 * leave a device that nobody serves or takes away, with all who use it waiting.
 */
final class UblkNotes {
    private static final Pattern FILE = Pattern.compile("ublk-([0-9]{1,6})");
    /** A note that a killed engine had not finished: the one before it still holds. */
    private static final Pattern UNFINISHED = Pattern.compile("ublk-[0-9]{1,6}\\.new");

    private static final Pattern LINE = Pattern.compile("([0-9a-f]{16}) (starting|started) ([0-9]{1,9}) (\\S+)\n");
    private static final long MAX_BYTES = 4096;

    /**
     * One that a killed engine left.
     *
     * @param started whether anybody can have used it
     * @param minor its mapped device's
     * @param device its mapped device's id
     */
    record Left(UblkNode.Identity identity, boolean started, int minor, String device) {}

    private final Path folder;
    private final Consumer<String> log;
    private final Set<Left> left = ConcurrentHashMap.newKeySet();

    UblkNotes(Path folder, Consumer<String> log) {
        this.folder = folder;
        this.log = log;
    }

    /** Reads what was left in the folder, which can be trusted. */
    void read() throws IOException {
        NodeLinks.forEach(folder, "ublk-*", log, this::read);
    }

    private void read(Path file) throws IOException {
        if (UNFINISHED.matcher(file.getFileName().toString()).matches() && NodeLinks.isFile(file)) {
            Files.delete(file);
            return;
        }
        Matcher name = FILE.matcher(file.getFileName().toString());
        if (!name.matches() || !NodeLinks.isFile(file) || Files.size(file) > MAX_BYTES) {
            return;
        }
        Matcher line = LINE.matcher(Files.readString(file, NativeText.CHARSET));
        if (!line.matches()) {
            log.accept("attach: " + file + " is no note of a ublk device, and is left alone");
            return;
        }
        UblkNode.Identity identity =
                new UblkNode.Identity(Integer.parseInt(name.group(1)), Long.parseUnsignedLong(line.group(1), 16));
        int minor = Integer.parseInt(line.group(3));
        left.add(new Left(identity, line.group(2).equals("started"), minor, line.group(4)));
    }

    /** What a killed engine left for the device: its node, and former ones that somebody had still open. */
    List<Left> leftFor(MappedDevice device) {
        return left.stream().filter(each -> each.device().equals(device.id())).toList();
    }

    /** Somebody has taken care of it. */
    void settled(Left one) {
        left.remove(one);
    }

    /** Takes what was left for others than {@code devices}, and devices of {@code unknownMinors}, from this list. */
    List<Left> takeAllBut(Collection<MappedDevice> devices, Collection<Integer> unknownMinors) {
        Set<String> wanted = devices.stream().map(MappedDevice::id).collect(Collectors.toSet());
        List<Left> others = left.stream()
                .filter(each -> !wanted.contains(each.device()) && !unknownMinors.contains(each.minor()))
                .toList();
        others.forEach(left::remove);
        return others;
    }

    /** The nodes that were left. */
    boolean isLeft(String node) {
        return left.stream().anyMatch(each -> each.identity().node().equals(node));
    }

    /** The ublk device is {@code device}'s, and nobody can have used it yet. */
    void starting(UblkNode.Identity identity, MappedDevice device) throws IOException {
        write(identity, "starting", device);
    }

    /** The same, and it can be used now. */
    void started(UblkNode.Identity identity, MappedDevice device) throws IOException {
        write(identity, "started", device);
    }

    private Path file(UblkNode.Identity identity) {
        return folder.resolve("ublk-" + identity.id());
    }

    private static String token(UblkNode.Identity identity) {
        return String.format("%016x", identity.token());
    }

    private synchronized void write(UblkNode.Identity identity, String state, MappedDevice device) throws IOException {
        String line = token(identity) + " " + state + " " + device.minor() + " " + device.id();
        NodeLinks.replace(file(identity), List.of(line));
    }

    /** It is no more. Its number may be another's by now, and so may the note. */
    synchronized void gone(UblkNode.Identity identity) {
        Path note = file(identity);
        try {
            if (Files.exists(note) && Files.readString(note, NativeText.CHARSET).startsWith(token(identity))) {
                Files.delete(note);
            }
        } catch (IOException e) {
            log.accept("attach: note of " + identity.node() + ": " + e.getMessage());
        }
    }
}
