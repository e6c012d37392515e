// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import org.dmera.core.file.Folders;
import org.dmera.core.linux.NativeText;
import org.dmera.core.linux.TrustedFolder;
import org.dmera.dmsetup.targets.Failures;

/** Makes an engine's or another server's socket so that at no moment anybody but its owner can reach it. */
public final class SocketFile {
    /** {@code sun_path}, without its NUL. */
    private static final int MAX_PATH_BYTES = 107;

    /** Clients that may wait for being accepted. */
    private static final int BACKLOG = 128;

    private SocketFile() {}

    /** The socket that systemd opened and gave us as standard input, or null; fails when it can't be taken over. */
    static ServerSocketChannel inherited() throws IOException {
        Channel channel = System.inheritedChannel();
        return channel instanceof ServerSocketChannel server ? server : null;
    }

    /**
     * Makes the folder that {@code socket} lies in, for this user alone; one that is there stays as it is.
     *
     * @throws IOException also when others can write there, who could put a socket or notes of their own in our place
     */
    static void makeFolder(Path socket) throws IOException {
        Path folder = socket.toAbsolutePath().getParent();
        if (folder == null) {
            throw isNoSocket(socket);
        }
        if (!Files.isDirectory(folder)) {
            Files.createDirectories(folder.getParent());
            // Another engine may be faster; whose it is is looked at below.
            Files.createDirectories(folder, Folders.PRIVATE);
        }
        TrustedFolder.require(folder);
    }

    /**
     * Listens at {@code socket}, mode 0600. It is made in a private folder and gets its name then, so that it is never there
     * with a looser mode, and of two who are at it at once the one that is later fails. A dead one is replaced.
     *
     * @throws IOException when somebody answers there already, when something else than a socket lies there, or when the
     *     path is too long for a socket
     */
    public static ServerSocketChannel bind(Path socket) throws IOException {
        int bytes = NativeText.bytes(socket.toString()).length;
        if (bytes > MAX_PATH_BYTES) {
            // It could be made: by its shorter name in the nest. But nobody could connect to it.
            throw new IOException(
                    "socket " + socket + ": the path has " + bytes + " bytes; " + MAX_PATH_BYTES + " are the most");
        }
        makeFolder(socket);
        requireFree(socket);
        Path nest = Files.createTempDirectory(socket.toAbsolutePath().getParent(), ".era", Folders.PRIVATE);
        try {
            ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
            return Failures.takingBack(server::close, () -> {
                Path egg = nest.resolve("s");
                server.bind(UnixDomainSocketAddress.of(egg), BACKLOG);
                Files.setPosixFilePermissions(egg, PosixFilePermissions.fromString("rw-------"));
                takeAwayDead(socket, nest.resolve("d"));
                name(egg, socket);
                return server;
            });
        } catch (SocketException e) {
            // The nest's own path would only confuse.
            throw new IOException("socket " + socket + ": " + e.getMessage(), e);
        } finally {
            Files.deleteIfExists(nest.resolve("s"));
            Files.deleteIfExists(nest.resolve("d"));
            Files.delete(nest);
        }
    }

    /** Moves a dead one to {@code away}, and looks once more: since {@link #requireFree} another may have taken its place. */
    private static void takeAwayDead(Path socket, Path away) throws IOException {
        try {
            Files.move(socket, away, StandardCopyOption.ATOMIC_MOVE);
        } catch (NoSuchFileException e) {
            // There is none, or another who is to listen has taken it away.
            return;
        }
        if (!isSocket(away) || answers(away)) {
            Files.createLink(socket, away);
            requireFree(socket);
        }
    }

    private static void name(Path egg, Path socket) throws IOException {
        try {
            Files.createLink(socket, egg);
        } catch (FileAlreadyExistsException e) {
            requireFree(socket);
            throw e;
        }
    }

    /** Throws when somebody answers at {@code socket}, or when something else than a socket lies there. */
    static void requireFree(Path socket) throws IOException {
        if (answers(socket)) {
            throw new IOException("an engine answers at " + socket + " already");
        }
        if (Files.exists(socket, LinkOption.NOFOLLOW_LINKS) && !isSocket(socket)) {
            throw isNoSocket(socket);
        }
    }

    private static IOException isNoSocket(Path path) {
        return new IOException(path + " is no socket; it is left alone");
    }

    private static boolean isSocket(Path path) throws IOException {
        // Java knows no sockets: what is neither file, folder nor link is one here.
        return Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
                .isOther();
    }

    static boolean answers(Path socket) {
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            return channel.connect(UnixDomainSocketAddress.of(socket));
        } catch (IOException e) {
            return false;
        }
    }
}
