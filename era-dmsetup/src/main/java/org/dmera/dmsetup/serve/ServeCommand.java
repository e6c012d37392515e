// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.serve;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.dmera.dmsetup.engine.EngineProcess;
import org.dmera.dmsetup.engine.Signals;
import org.dmera.dmsetup.engine.SocketFile;
import org.dmera.dmsetup.export.Attachment;
import org.dmera.dmsetup.export.NbdServer;
import org.dmera.dmsetup.export.NbdUri;
import org.dmera.dmsetup.export.Served;
import org.dmera.dmsetup.targets.StorageAreas;
import org.dmera.dmsetup.targets.Threads;
import org.dmera.tools.backup.ByteCount;
import org.dmera.tools.backup.CopyOptions;
import org.dmera.tools.backup.ServeUsage;
import org.dmera.tools.backup.image.StreamImage;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Arguments.InvalidValueException;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;

/** {@code era_serve}: the states of a chain of streams as NBD exports, or the last as a block device, until a signal. */
public final class ServeCommand implements Command {
    private static final long CACHE_BYTES = 128L << 20;
    /** Of the heap; the index has its part too. */
    private static final int LARGEST_SHARE = 4;

    @Override
    public Usage usage() {
        return ServeUsage.usage();
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        if (arguments.has("attach") && arguments.has("socket")) {
            throw new IOException("--attach makes a block device, --socket serves clients: one of them can be given");
        }
        List<Path> paths = new ArrayList<>();
        for (String stream : arguments.operands()) {
            if (stream.equals("-")) {
                throw new IOException(
                        "standard input can't be served: streams are read here and there, which takes files");
            }
            paths.add(Path.of(stream));
        }
        if (arguments.has("attach")) {
            EngineProcess.serveBlockDevices(why -> {});
        }
        try (StreamImage image = StreamImage.open(paths, cacheBytes(arguments), console::error)) {
            StateExports exports = new StateExports(image);
            // Not before: who waits for a long index can end it as any program.
            CountDownLatch stop = new CountDownLatch(1);
            Signals.ENDING.forEach(name -> Signals.handle(name, stop::countDown));
            // Its terminal is closed; an engine has another use for this one.
            Signals.handle("HUP", stop::countDown);
            Path own = arguments.has("socket") ? null : Files.createTempDirectory("era_serve");
            Path socket = own == null ? Path.of(arguments.value("socket")) : own.resolve("nbd");
            try (NbdServer server = new NbdServer(exports, console::error)) {
                server.listenUnix(SocketFile.bind(socket), socket);
                for (int state = 0; state < image.states(); state++) {
                    console.print(line(image, state, socket));
                }
                if (arguments.has("attach")) {
                    Attachment node = Attachment.make(
                            exports.last(),
                            own.resolve("image"),
                            socket,
                            "",
                            new Served(),
                            StorageAreas::new,
                            console::error);
                    try {
                        console.print("the last is " + node.node());
                        Threads.await(stop::await);
                    } finally {
                        node.takeAway(node::sync, console::error);
                    }
                } else {
                    console.print("the last is also " + NbdUri.of(socket, ""));
                    Threads.await(stop::await);
                }
            } finally {
                if (own != null) {
                    Files.deleteIfExists(socket);
                    Files.delete(own);
                }
            }
        }
        return 0;
    }

    private static String line(StreamImage image, int state, Path socket) {
        StreamHeader header = image.header(state);
        return NbdUri.of(socket, StateExports.name(image, state)) + ": era " + header.newEra() + ", "
                + Instant.ofEpochSecond(header.createdUnixSeconds()) + ", " + ByteCount.text(image.sizeBytes(state));
    }

    private static long cacheBytes(Arguments arguments) {
        long wanted = CopyOptions.bytes(arguments, "cache", CACHE_BYTES);
        long most = Runtime.getRuntime().maxMemory() / LARGEST_SHARE;
        if (arguments.has("cache") && wanted > most) {
            throw new InvalidValueException(
                    "cache",
                    arguments.value("cache"),
                    "a quarter of the JVM's memory is the most, " + ByteCount.text(most)
                            + " (ERA_JAVA_OPTS=-Xmx... gives it more)");
        }
        return Math.min(wanted, most);
    }
}
