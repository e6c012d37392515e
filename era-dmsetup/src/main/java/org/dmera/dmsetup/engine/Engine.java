// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.Closeable;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.UserPrincipal;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.dmera.dmsetup.control.ControlServer;
import org.dmera.dmsetup.control.EngineControl;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.device.ShutdownSteps;
import org.dmera.dmsetup.export.HostAttacher;
import org.dmera.dmsetup.export.IdleMemory;
import org.dmera.dmsetup.export.NbdServer;
import org.dmera.dmsetup.export.Served;
import org.dmera.dmsetup.export.SocketNames;
import org.dmera.dmsetup.export.TlsIdentity;
import org.dmera.dmsetup.targets.EraTargetFactory;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.TargetFactory;
import org.dmera.dmsetup.targets.TargetRegistry;
import org.dmera.dmsetup.targets.Threads;

/**
 * A running engine: its devices, the socket by which it is controlled, the socket by which devices are used.
 *
 * <p>It comes up in the order state, devices, nodes, sockets: who is answered finds every device. It goes down in the order
 * sockets, devices, state: what was acknowledged is on disk before the state folder is free for another engine.
 */
public final class Engine implements Closeable {
    private final EngineLog log;
    private final StateDirectory state;
    private final DeviceRegistry registry;
    private final NbdServer nbd;
    private final IdleMemory memory;
    private final HostAttacher attacher;
    private final ControlServer control;
    private final Path controlSocket;
    private final boolean ownsSocket;
    private final ExecutorService background;

    /**
     * Starts an engine. When it returns, the control socket answers.
     *
     * @throws IOException when another engine has the state folder or the socket, or neither can be made
     */
    public Engine(EngineOptions options, EngineLog log) throws IOException {
        this.log = log;
        controlSocket = options.control();
        state = StateDirectory.open(options.state());
        background = Executors.newCachedThreadPool(task -> Threads.daemon("background", task));
        NbdServer nbdServer = null;
        IdleMemory idle = null;
        ServerSocketChannel server = null;
        PassedSockets passed = null;
        try {
            EngineBackings backings = new EngineBackings();
            registry = new DeviceRegistry(targetTypes(log), backings, background, state, log);
            backings.setRegistry(registry);
            // Before any device is touched.
            SocketFile.makeFolder(options.control());
            passed = PassedSockets.take(System.getenv(), options.state());
            server = passed.control() != null ? passed.control() : SocketFile.inherited();
            ownsSocket = server == null;
            SocketFile.makeFolder(options.nbd());
            if (ownsSocket) {
                SocketFile.requireFree(options.control());
            }
            boolean ownsNbd = passed.nbd().stream().noneMatch(each -> each.isAt(options.nbd()));
            if (ownsNbd) {
                SocketFile.requireFree(options.nbd());
            }
            requireAccess(passed, options.access());
            TlsIdentity identity = options.access().identity();
            StateDirectory.Remembered remembered = state.load(log);
            registry.restore(remembered.devices(), remembered.unreadableMinors());

            if (ownsSocket) {
                server = SocketFile.bind(options.control());
            }
            RegistryExports exports = new RegistryExports(registry);
            Served served = new Served();
            idle = new IdleMemory(served, registry::releaseMemory);
            nbdServer = new NbdServer(served, exports, log::info);
            if (ownsNbd) {
                nbdServer.listenUnix(SocketFile.bind(options.nbd()), options.nbd());
            }
            for (PassedSockets.Listener each : passed.nbd()) {
                nbdServer.listen(each.channel(), each.address(), each.isTcp() ? identity : null);
                log.info("NBD at " + SocketNames.of(each.address()) + ", which the service manager listens at");
            }
            if (options.tcp() != null) {
                listenTcp(nbdServer, options.tcp(), identity);
            }
            nbd = nbdServer;
            memory = idle;
            attacher = new HostAttacher(
                    options.control().resolveSibling(options.control().getFileName() + ".attached"),
                    options.nbd(),
                    exports::forNode,
                    served,
                    log);
            backings.setNodes(attacher);
            // First this: one that comes back only now is reported to the listener.
            registry.addListener(attacher);
            attacher.bringBack(registry.devices(), remembered.unreadableMinors());
            control = new ControlServer(
                    server,
                    new EngineControl(registry, EngineVerbs.all(options.nbd(), attacher, new Freezer(registry), log)),
                    allowedUsers(),
                    log);
        } catch (IOException | RuntimeException e) {
            close(nbdServer, e);
            close(idle, e);
            close(passed, e);
            close(server, e);
            background.shutdown();
            close(state, e);
            throw e;
        }
        log.info("engine of process " + ProcessHandle.current().pid() + " answers at " + options.control() + ", NBD at "
                + options.nbd() + ", state in " + options.state());
    }

    /** The target types of the engine, in the order in which {@code targets} lists them. */
    static List<TargetFactory> targetTypes(EngineLog log) {
        return Stream.concat(Stream.of(new EraTargetFactory(log::warn)), TargetRegistry.simple().stream())
                .toList();
    }

    private static void requireAccess(PassedSockets passed, TcpAccess access) throws IOException {
        for (PassedSockets.Listener each : passed.nbd()) {
            if (each.address() instanceof InetSocketAddress tcp) {
                try {
                    access.require(
                            "the socket for NBD that the service manager hands over, "
                                    + tcp.getAddress().getHostAddress() + " port " + tcp.getPort() + ",",
                            tcp.getAddress().isLoopbackAddress());
                } catch (IllegalArgumentException e) {
                    throw new IOException(e.getMessage(), e);
                }
            }
        }
    }

    private void listenTcp(NbdServer server, NbdTcp tcp, TlsIdentity identity) throws IOException {
        SocketAddress address;
        try {
            address = server.listenTcp(tcp.address(), identity);
        } catch (IOException e) {
            throw new IOException("NBD at " + tcp + ": " + e.getMessage(), e);
        }
        log.info("NBD " + (identity == null ? "without" : "with") + " TLS at " + SocketNames.of(address));
    }

    private static void close(Closeable half, Exception cause) {
        if (half != null) {
            Failures.after(cause, half::close);
        }
    }

    /** Root and this process's own user. */
    private static Set<UserPrincipal> allowedUsers() throws IOException {
        Path self = Path.of("/proc/self");
        UserPrincipal root =
                self.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByName("root");
        return new HashSet<>(List.of(Files.getOwner(self), root));
    }

    public DeviceRegistry registry() {
        return registry;
    }

    /**
     * Suspends every device, so that all is on disk, and stops. What is remembered of the devices stays. Every step is done,
     * whatever becomes of the others.
     *
     * @throws IOException the first failure
     */
    @Override
    public void close() throws IOException {
        log.info("engine stops");
        ShutdownSteps steps = new ShutdownSteps(log);
        steps.run("closing the control socket", control::close);
        steps.run("ending the watch of memory", memory::close);
        if (ownsSocket) {
            steps.run("removing the control socket", () -> Files.deleteIfExists(controlSocket));
        }
        steps.run("ending what runs in the background", registry::beginStop);
        // First, while I/O is served: what the page cache of a node still holds is written when the node goes.
        steps.run("taking the nodes away", attacher::close);
        steps.run("suspending the devices", () -> registry.suspendAll(steps));
        // Clients' requests that are held back get an error now: their threads would wait for ever.
        for (MappedDevice device : registry.devices()) {
            steps.run("ending the I/O of " + device, device.io()::shut);
        }
        steps.run("closing the NBD server", nbd::close);
        steps.run("closing the devices", () -> registry.closeAll(steps));
        steps.run("ending the background", background::shutdown);
        steps.run("closing the state folder", state::close);
        log.info("engine has stopped");
        steps.throwFirst();
    }
}
