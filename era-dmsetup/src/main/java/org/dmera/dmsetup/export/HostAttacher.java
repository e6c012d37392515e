// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.Mounts;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.device.MappedDevice;

/**
 * Makes block devices of mapped devices: by the kernel's NBD client where there is {@code /dev/nbd0}, else by a loop device
 * over a FUSE file.
 *
 * <p>The node gets a symbolic link with the device's name: in {@code /dev/mapper}, or in {@code /dev/era} where the
 * kernel's own device-mapper lives in the former.
 */
public final class HostAttacher implements Attacher {
    private static final Path MAPPER = Path.of("/dev/mapper");
    private static final Path OWN = Path.of("/dev/era");
    private static final String LINK_PREFIX = "link-";

    /** One attached device. */
    private interface Attachment {
        String node();

        void resized() throws IOException;

        /** Writes out what the node's page cache holds, and a file system that is mounted on it. */
        void sync() throws IOException;

        /** Throws EBUSY, with nothing changed, while the node is in use. */
        void detach() throws IOException;

        /** Lets go of it, in use or not. */
        void abandon() throws IOException;
    }

    /** {@code lossTold}: what the node's page cache held could not be written out, and whoever detached was told so. */
    private record Attached(Attachment attachment, Path link, boolean lossTold) {}

    /** Idle buffers kept for all that are attached. */
    private static final long IDLE_BYTES = 32 << 20;

    private final Path folder;
    private final Path nbdSocket;
    private final Consumer<String> log;
    private final BufferPool pool = new BufferPool(IDLE_BYTES);
    private final Map<MappedDevice, Attached> attached = new ConcurrentHashMap<>();
    /** One for each device: the node of one may be waiting for a device beneath that is suspended. */
    private final Map<MappedDevice, Object> locks = new ConcurrentHashMap<>();

    /**
     * @param folder where FUSE files are mounted; what a killed engine left there is cleaned up
     * @param nbdSocket the engine's NBD socket, for the kernel's client
     */
    public HostAttacher(Path folder, Path nbdSocket, Consumer<String> log) {
        this.folder = folder;
        this.nbdSocket = nbdSocket;
        this.log = log;
        cleanUp();
    }

    /**
     * Unmounts what a killed engine left: its files answer nobody any more. And takes its links away: what they name may be
     * another's by now.
     */
    private void cleanUp() {
        if (!Files.isDirectory(folder)) {
            return;
        }
        try (Stream<Path> left = Files.list(folder)) {
            for (Path file : (Iterable<Path>) left::iterator) {
                if (file.getFileName().toString().startsWith(LINK_PREFIX)) {
                    unlink(file);
                    continue;
                }
                try {
                    Mounts.unmount(file.toString(), Mounts.MNT_DETACH);
                } catch (ErrnoException e) {
                    if (!e.is(Errno.EINVAL)) {
                        throw e;
                    }
                }
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            log.accept("attach: cleaning up " + folder + ": " + e.getMessage());
        }
    }

    /** Deletes the link that {@code note} tells of, if it still names the same node, and the note. */
    private static void unlink(Path note) throws IOException {
        List<String> lines = Files.readAllLines(note, NativeText.CHARSET);
        if (lines.size() == 2) {
            unlink(Path.of(lines.get(0)), lines.get(1));
        }
        Files.delete(note);
    }

    private static void unlink(Path link, String node) throws IOException {
        if (Files.isSymbolicLink(link)
                && Files.readSymbolicLink(link).toString().equals(node)) {
            Files.delete(link);
        }
    }

    private Object lock(MappedDevice device) {
        return locks.computeIfAbsent(device, any -> new Object());
    }

    private Path note(MappedDevice device) {
        return folder.resolve(LINK_PREFIX + device.minor());
    }

    /** Links the device's name to {@code node}, with a note of it for whoever comes after this process was killed. */
    private Path noted(MappedDevice device, String node) throws IOException {
        Path link = link(device.name());
        Files.createDirectories(folder);
        Files.write(note(device), List.of(link.toString(), node), NativeText.CHARSET);
        return Files.createSymbolicLink(link, Path.of(node));
    }

    @Override
    public String attach(MappedDevice device) throws IOException {
        synchronized (lock(device)) {
            Attached known = attached.get(device);
            if (known != null) {
                return known.attachment.node();
            }
            Attachment attachment = KernelNbd.isAvailable() ? overNbd(device) : overFuse(device);
            try {
                Path link = noted(device, attachment.node());
                attached.put(device, new Attached(attachment, link, false));
                log.accept("attached " + device.name() + " as " + attachment.node() + ", " + link);
            } catch (IOException e) {
                attachment.abandon();
                throw e;
            }
            return attachment.node();
        }
    }

    private Attachment overNbd(MappedDevice device) throws IOException {
        KernelNbd nbd = KernelNbd.connect(nbdSocket, device.name(), log);
        return new Attachment() {
            @Override
            public String node() {
                return nbd.node();
            }

            @Override
            public void resized() throws IOException {
                nbd.resized(device.io().sizeBytes());
            }

            @Override
            public void sync() throws IOException {
                nbd.sync();
            }

            @Override
            public void detach() throws IOException {
                nbd.detach();
            }

            @Override
            public void abandon() throws IOException {
                nbd.abandon();
            }
        };
    }

    private Attachment overFuse(MappedDevice device) throws IOException {
        Files.createDirectories(folder);
        Path file = folder.resolve("device-" + device.minor());
        if (!Files.exists(file)) {
            Files.createFile(file);
        }
        FuseFile fuse = new FuseFile(device.io(), file, pool, log);
        LoopDevice loop;
        try {
            loop = LoopDevice.over(file, device.io().isReadOnly());
        } catch (IOException e) {
            fuse.close();
            throw e;
        }
        return new Attachment() {
            @Override
            public String node() {
                return loop.node();
            }

            @Override
            public void resized() throws IOException {
                loop.resized(file);
            }

            @Override
            public void sync() throws IOException {
                loop.sync();
            }

            @Override
            public void detach() throws IOException {
                loop.detach();
                fuse.close();
                Files.deleteIfExists(file);
            }

            @Override
            public void abandon() throws IOException {
                loop.abandon();
                fuse.close();
                Files.deleteIfExists(file);
            }
        };
    }

    private static Path link(String name) throws IOException {
        boolean kernelHasIt = Files.readString(Path.of("/proc/misc")).contains(" device-mapper");
        Path linkFolder = kernelHasIt ? OWN : MAPPER;
        Files.createDirectories(linkFolder);
        Path link = linkFolder.resolve(name);
        if (Files.isSymbolicLink(link) && !isAlive(link)) {
            // A killed engine left it.
            Files.delete(link);
        }
        if (Files.exists(link, LinkOption.NOFOLLOW_LINKS)) {
            throw new ErrnoException(
                    "link " + link + (Files.isSymbolicLink(link) ? ", which names " + link.toRealPath() : ""),
                    Errno.EEXIST.number());
        }
        return link;
    }

    /** Whether a link leads to something, and if to a loop or NBD device, to one that is set up. */
    private static boolean isAlive(Path link) throws IOException {
        if (!Files.exists(link)) {
            return false;
        }
        String name = link.toRealPath().getFileName().toString();
        Path sys = Path.of("/sys/block", name);
        return name.startsWith("loop") && Files.exists(sys)
                ? Files.exists(sys.resolve("loop/backing_file"))
                : !name.startsWith("nbd") || !Files.exists(sys) || Files.exists(sys.resolve("pid"));
    }

    @Override
    public boolean detach(MappedDevice device) throws IOException {
        if (!locks.containsKey(device)) {
            return false;
        }
        synchronized (lock(device)) {
            Attached known = attached.get(device);
            if (known == null) {
                locks.remove(device);
                return false;
            }
            if (device.isSuspended()) {
                // What is in the node's page cache can't be written out, and must not be lost.
                throw new ErrnoException("detach " + device + ", which is suspended", Errno.EBUSY.number());
            }
            if (!known.lossTold) {
                sync(device, known);
            }
            known.attachment.detach();
            attached.remove(device);
            locks.remove(device);
            unlink(known.link, known.attachment.node());
            Files.deleteIfExists(note(device));
            log.accept("detached " + device.name() + " from " + known.attachment.node());
            return true;
        }
    }

    @Override
    public void makeWay(MappedDevice device) throws IOException {
        if (!attached.containsKey(device)) {
            return;
        }
        synchronized (lock(device)) {
            Attached known = attached.get(device);
            if (known == null) {
                return;
            }
            requireUnclaimed(known.attachment.node());
            if (!device.isSuspended()) {
                detach(device);
            }
        }
    }

    /** EBUSY when somebody has claimed it, as a mount does. Nothing is read or written for that. */
    private static void requireUnclaimed(String node) throws IOException {
        FileDescriptors.close(FileDescriptors.open(node, FileDescriptors.O_RDONLY | FileDescriptors.O_EXCL));
    }

    /** Fails once: then what could not be written out is lost, and the node may go. */
    private void sync(MappedDevice device, Attached known) throws IOException {
        try {
            known.attachment.sync();
        } catch (IOException e) {
            attached.put(device, new Attached(known.attachment, known.link, true));
            log.accept("detach " + device.name() + ": what " + known.attachment.node()
                    + " had not written yet is lost: " + e.getMessage());
            throw e;
        }
    }

    @Override
    public void resized(MappedDevice device) throws IOException {
        if (attached.containsKey(device)) {
            synchronized (lock(device)) {
                Attached known = attached.get(device);
                if (known != null) {
                    known.attachment.resized();
                }
            }
        }
    }

    @Override
    public void renamed(MappedDevice device) throws IOException {
        if (attached.containsKey(device)) {
            synchronized (lock(device)) {
                Attached known = attached.get(device);
                if (known != null) {
                    Path link = noted(device, known.attachment.node());
                    unlink(known.link, known.attachment.node());
                    attached.put(device, new Attached(known.attachment, link, known.lossTold));
                }
            }
        }
    }

    @Override
    public void close() throws IOException {
        IOException failed = null;
        for (Map.Entry<MappedDevice, Attached> each : attached.entrySet()) {
            Attached known = each.getValue();
            synchronized (lock(each.getKey())) {
                try {
                    letGo(each.getKey(), known);
                } catch (IOException e) {
                    failed = e;
                }
            }
        }
        attached.clear();
        if (failed != null) {
            throw failed;
        }
    }

    /** The device goes, in use or not: what was written by now is saved, and then it is taken from its users. */
    private void letGo(MappedDevice device, Attached known) throws IOException {
        String node = known.attachment.node();
        try {
            known.attachment.sync();
        } catch (IOException e) {
            log.accept(device.name() + ": what " + node + " had not written yet is lost: " + e.getMessage());
        }
        unlink(known.link, node);
        Files.deleteIfExists(note(device));
        try {
            known.attachment.detach();
        } catch (ErrnoException e) {
            log.accept(
                    device.name() + ": those who still use " + node + " get I/O errors from now on: " + e.getMessage());
            known.attachment.abandon();
        }
    }
}
