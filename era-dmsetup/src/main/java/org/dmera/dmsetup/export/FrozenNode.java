// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.Ioctl;
import org.dmera.dmsetup.targets.Failures;

/**
 * File systems on a node that are frozen (FIFREEZE of ioctl(2)): each is whole on the device, and who writes to one waits until
 * it is thawed. Each is kept open meanwhile, as an unmounted one could not be thawed by anybody.
 *
 * <p>Freezing waits for what this process serves, so it is done by a {@link NodeKeeper}.
 */
final class FrozenNode implements Closeable {
    private static final long FIFREEZE = 0xC0045877L;
    private static final long FITHAW = 0xC0045878L;

    private final NodeKeeper keeper;
    /** The keeper's. */
    private final List<Integer> open = new ArrayList<>();

    private FrozenNode(NodeKeeper keeper) {
        this.keeper = keeper;
    }

    /**
     * Freezes what is mounted from the node, and writes out what its page cache holds besides. A kind of file system that
     * can't be frozen is written out.
     *
     * @return null when nothing is mounted, or nothing that can be frozen
     * @throws ErrnoException EBUSY when one is frozen already, or why one can't be; then none is
     */
    static FrozenNode freeze(Attachment attachment, Consumer<String> log) throws IOException {
        String node = attachment.node();
        var fileSystems = NodeMounts.fileSystems(node);
        FrozenNode frozen = null;
        if (!fileSystems.isEmpty()) {
            frozen = new FrozenNode(
                    NodeKeeper.start("freezer of " + Path.of(node).getFileName()));
            try {
                for (List<NodeMounts.Mount> mounts : fileSystems) {
                    frozen.freeze(mounts);
                }
            } catch (IOException | RuntimeException | Error e) {
                frozen.thaw(log);
                throw e;
            }
        }
        if (frozen == null || frozen.open.size() < fileSystems.size()) {
            try {
                attachment.sync();
            } catch (IOException e) {
                // As with the kernel: what could not be written is told of by the next fsync(2), and the device is
                // suspended.
                log.accept("suspend: what " + node + " had not written yet could not be: " + e.getMessage());
            }
        }
        if (frozen != null && frozen.open.isEmpty()) {
            frozen.keeper.end();
            return null;
        }
        return frozen;
    }

    private void freeze(List<NodeMounts.Mount> mounts) throws IOException {
        int result = keeper.call(() -> {
            int fd = openOneOf(mounts);
            int frozen = Ioctl.call(fd, FIFREEZE, 0L);
            if (frozen == 0) {
                open.add(fd);
            } else {
                FileDescriptors.close(fd);
            }
            return frozen;
        });
        if (result < 0 && result != -Errno.EOPNOTSUPP.number()) {
            throw new ErrnoException(
                    "freezing the file system at " + mounts.get(0).point(), -result);
        }
    }

    /** A descriptor of the file system. Over one of its mount points another may be mounted by now. */
    private static int openOneOf(List<NodeMounts.Mount> mounts) throws IOException {
        IOException why = null;
        for (NodeMounts.Mount mount : mounts) {
            int fd = -1;
            try {
                fd = FileDescriptors.open(mount.point().toString(), FileDescriptors.O_RDONLY);
                if (mountOf(fd) == mount.id()) {
                    return fd;
                }
                why = new ErrnoException(mount.point() + ", which another file system covers", Errno.EBUSY);
            } catch (IOException e) {
                why = e;
            }
            if (fd >= 0) {
                FileDescriptors.close(fd);
            }
        }
        throw why;
    }

    private static int mountOf(int fd) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/thread-self/fdinfo", Integer.toString(fd)))) {
            if (line.startsWith("mnt_id:")) {
                return Integer.parseInt(line.substring("mnt_id:".length()).strip());
            }
        }
        return -1;
    }

    void thaw(Consumer<String> log) {
        try {
            keeper.perform(() -> {
                for (int fd : open) {
                    thaw(fd, log);
                }
                open.clear();
            });
        } catch (IOException e) {
            log.accept("thawing: " + e.getMessage());
        } finally {
            keeper.end();
        }
    }

    private static void thaw(int fd, Consumer<String> log) throws ErrnoException {
        int result = Ioctl.call(fd, FITHAW, 0L);
        // EINVAL: somebody did it by hand.
        if (result < 0 && result != -Errno.EINVAL.number()) {
            log.accept("thawing a file system: " + Errno.text(-result));
        }
        FileDescriptors.close(fd);
    }

    /** What is mounted from a node that a killed engine has left, to be thawed: it may have frozen that, and nobody else would. */
    static FrozenNode left(String node, Consumer<String> log) throws IOException {
        FrozenNode left =
                new FrozenNode(NodeKeeper.start("thawer of " + Path.of(node).getFileName()));
        return Failures.takingBack(left::close, () -> {
            for (List<NodeMounts.Mount> mounts : NodeMounts.fileSystems(node)) {
                try {
                    left.keeper.perform(() -> left.open.add(openOneOf(mounts)));
                } catch (IOException e) {
                    log.accept("thawing what is on " + node + ": " + e.getMessage());
                }
            }
            return left;
        });
    }

    /** The same, thawed now: on a node that nobody serves its users get errors then, and do not wait for ever. */
    static void thawLeft(String node, Consumer<String> log) {
        try {
            left(node, log).thaw(log);
        } catch (IOException e) {
            log.accept("thawing what is on " + node + ": " + e.getMessage());
        }
    }

    /** What is frozen stays so. */
    @Override
    public void close() {
        keeper.end();
    }
}
