// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.Closeable;
import java.io.IOException;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.dmera.core.linux.ListeningSocket;
import org.dmera.dmsetup.targets.Failures;

/**
 * The sockets that the service manager has opened and hands over, as sd_listen_fds(3) has it: descriptors from 3 on, as many as
 * {@code LISTEN_FDS} says, for the process {@code LISTEN_PID}. Their names in {@code LISTEN_FDNAMES} tell what they are for:
 * {@value #CONTROL}, or {@value #NBD}, of which there may be several. Without names there is one, for control.
 */
final class PassedSockets implements Closeable {
    static final String CONTROL = "control";
    static final String NBD = "nbd";

    /** The variables that describe them, which are not for programs that the engine starts. */
    static final List<String> VARIABLES = List.of("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES");

    private static final int FIRST = 3;

    /** One that listens, and where. */
    record Listener(ServerSocketChannel channel, SocketAddress address) {
        /** Whether it is the Unix socket of this path. */
        boolean isAt(Path path) {
            return address instanceof UnixDomainSocketAddress unix
                    && unix.getPath().equals(path.toAbsolutePath());
        }

        boolean isTcp() {
            return !(address instanceof UnixDomainSocketAddress);
        }
    }

    private ServerSocketChannel control;
    private final List<Listener> nbd = new ArrayList<>();

    private PassedSockets() {}

    /** How many there are for this process. */
    static int count(Map<String, String> environment) {
        String pid = Long.toString(ProcessHandle.current().pid());
        String count = environment.getOrDefault("LISTEN_FDS", "");
        return pid.equals(environment.get("LISTEN_PID")) && count.matches("[0-9]{1,4}") ? Integer.parseInt(count) : 0;
    }

    /**
     * Takes them over.
     *
     * @param folder a folder of the engine's own
     * @throws IOException naming the one whose name says nothing, or that is no listening socket
     */
    static PassedSockets take(Map<String, String> environment, Path folder) throws IOException {
        PassedSockets taken = new PassedSockets();
        int count = count(environment);
        String all = environment.get("LISTEN_FDNAMES");
        String[] names = all == null || count == 1 && isOfNobody(all) ? new String[] {CONTROL} : all.split(":", -1);
        if (count > 0 && names.length != count) {
            throw new IOException("LISTEN_FDNAMES has " + names.length + " names for the " + count
                    + " sockets that the service manager hands over");
        }
        return Failures.takingBack(taken::close, () -> {
            for (int i = 0; i < count; i++) {
                taken.add(names[i], FIRST + i, folder);
            }
            return taken;
        });
    }

    /** As systemd-socket-activate(1) and a unit without FileDescriptorName= have it. */
    private static boolean isOfNobody(String name) {
        return name.isEmpty() || name.equals("unknown") || name.endsWith(".socket");
    }

    private void add(String name, int fd, Path folder) throws IOException {
        if (name.equals(CONTROL) && control == null) {
            if (!(ListeningSocket.address(fd) instanceof UnixDomainSocketAddress)) {
                throw new IOException("the socket for control that the service manager hands over is no Unix socket");
            }
            control = take(fd, folder);
        } else if (name.equals(NBD)) {
            SocketAddress address = ListeningSocket.address(fd);
            nbd.add(new Listener(take(fd, folder), address));
        } else {
            throw new IOException("the service manager hands over "
                    + (name.equals(CONTROL) ? "two sockets for control" : "a socket named '" + name + "'")
                    + ": one named " + CONTROL + ", and any number named " + NBD
                    + ", were expected (FileDescriptorName=)");
        }
    }

    private static ServerSocketChannel take(int fd, Path folder) throws IOException {
        Path nest = Files.createTempDirectory(folder, ".era");
        try {
            return ListeningSocket.take(fd, nest);
        } finally {
            Files.delete(nest);
        }
    }

    /** The socket for control, or null. */
    ServerSocketChannel control() {
        return control;
    }

    List<Listener> nbd() {
        return nbd;
    }

    /** All of them; who handed them over still has them. */
    @Override
    public void close() throws IOException {
        Failures failures = new Failures();
        if (control != null) {
            failures.run(control::close);
        }
        nbd.forEach(each -> failures.run(each.channel()::close));
        failures.throwFirst();
    }
}
