// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotLinkException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.dmera.core.linux.NativeText;

/**
 * What is noted of the links to one node, for whoever comes after a kill. Lines: a link; the node; whether file systems on it are
 * frozen, and on which connection of the kernel's NBD client; other links; and what tells each link that was there from one
 * that another engine has made in its place since.
 */
record LinkNote(List<String> lines) {
    static final Path MAPPER = Path.of("/dev/mapper");
    static final Path OWN = Path.of("/dev/era");
    /** Device-mapper's own node, which must never be replaced. */
    static final String CONTROL = "control";

    static final LinkNote NONE = new LinkNote(List.of("", ""));

    private static final Pattern NODE = Pattern.compile("/dev/(loop|nbd|ublkb)[0-9]+");
    private static final String NBD = "/dev/nbd";
    private static final String FROZEN = "frozen";
    private static final String MADE = "made ";
    private static final long MAX_BYTES = 16 << 10;

    /** As things are now. */
    static LinkNote of(List<Path> links, String node, boolean frozen) throws IOException {
        List<String> lines = new ArrayList<>(List.of(links.get(0).toString(), node));
        if (frozen) {
            lines.add(FROZEN);
            if (node.startsWith(NBD)) {
                lines.add(connection(node));
            }
        }
        links.stream().skip(1).map(Path::toString).forEach(lines::add);
        for (Path link : links) {
            if (leadsTo(link, node)) {
                lines.add(identity(link));
            }
        }
        return new LinkNote(lines);
    }

    /** {@link #NONE} when the file is not one. */
    static LinkNote read(Path file) throws IOException {
        if (!NodeLinks.isFile(file) || Files.size(file) > MAX_BYTES) {
            return NONE;
        }
        List<String> lines = Files.readAllLines(file, NativeText.CHARSET);
        return lines.size() < 2 || !isNode(lines.get(1)) ? NONE : new LinkNote(lines);
    }

    /** Whether a path is of a kind of device that links lead to. */
    static boolean isNode(String path) {
        return NODE.matcher(path).matches();
    }

    static Path sys(String node) {
        return Path.of("/sys/block", Path.of(node).getFileName().toString());
    }

    /** Empty for none. */
    String node() {
        return lines.get(1);
    }

    boolean isFrozen() {
        return lines.contains(FROZEN);
    }

    /** Whether the node is of the same connection of the kernel's NBD client. */
    boolean isOfThatConnection() throws IOException {
        return node().startsWith(NBD) && lines.contains(connection(node()));
    }

    /** What tells a connection of the kernel's NBD client from every other: which thread has made it. */
    private static String connection(String node) throws IOException {
        Path pid = sys(node).resolve("pid");
        return "pid " + (Files.exists(pid) ? Files.readString(pid).strip() : "none");
    }

    /** Takes the links away. */
    void unlinkAll() throws IOException {
        for (String line : lines) {
            Path link = Path.of(line).normalize();
            boolean isInOwnFolder = MAPPER.equals(link.getParent()) || OWN.equals(link.getParent());
            if (isInOwnFolder && !link.getFileName().toString().equals(CONTROL)) {
                unlink(link, node());
            }
        }
    }

    /** Takes a link away, if it still leads to that node, and is none that somebody else has made in its place. */
    void unlink(Path link, String node) throws IOException {
        boolean isKnown = lines.stream().anyMatch(line -> line.startsWith(MADE) && line.endsWith(" " + link));
        if (leadsTo(link, node) && (!isKnown || lines.contains(identity(link)))) {
            Files.delete(link);
        }
    }

    static boolean leadsTo(Path link, String node) throws IOException {
        try {
            return Files.readSymbolicLink(link).toString().equals(node);
        } catch (NoSuchFileException | NotLinkException e) {
            return false;
        }
    }

    /** What tells a link from every other of its name. */
    private static String identity(Path link) throws IOException {
        Map<String, Object> stat = Files.readAttributes(link, "unix:ino,lastModifiedTime", LinkOption.NOFOLLOW_LINKS);
        return MADE + stat.get("ino") + " " + stat.get("lastModifiedTime") + " " + link;
    }
}
