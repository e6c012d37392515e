// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What NBD clients see of a chain of streams that era_serve serves, and who has it as a block device. */
@Timeout(300)
@Alone
class ServeTest {
    @TempDir
    private Path folder;

    private final long seed = System.nanoTime();
    private final Random random = new Random(seed);
    private final List<Path> streams = new ArrayList<>();
    private final List<Path> states = new ArrayList<>();
    private Programs programs;
    private Programs.Running server;
    private Path socket;

    @BeforeEach
    void makeStreams() throws IOException {
        programs = new Programs(folder, Map.of());
        socket = folder.resolve("socket");
        try (TrackedImage image = new TrackedImage(folder, 16 << 20)) {
            for (int i = 0; i < 3; i++) {
                image.scribble(random, i == 0 ? 80 : 20);
                image.catchUp();
                image.checkpoint();
                Path stream = folder.resolve("data.00000" + (i + 1) + ".erastream");
                List<Object> args =
                        new ArrayList<>(i == 0 ? List.of("--full") : List.of("--after", streams.get(i - 1)));
                args.addAll(List.of("-m", image.metadata, image.origin, "-o", stream));
                InProcess.run("era_copy", args.toArray());
                streams.add(stream);
                states.add(Files.copy(image.origin, folder.resolve("state" + i)));
            }
        }
    }

    @AfterEach
    void stop() throws Exception {
        if (server != null && server.process().isAlive()) {
            server.kill();
            server.await();
        }
    }

    /** Starts it, and returns what it says once it serves. */
    private String serve(Object... more) throws Exception {
        List<Object> args = new ArrayList<>(streams);
        args.addAll(Arrays.asList(more));
        server = programs.start("era_serve", args.toArray());
        while (!Files.readString(server.output()).contains("the last is ")) {
            if (server.process().waitFor(20, TimeUnit.MILLISECONDS)) {
                throw new AssertionError(server.await().text());
            }
        }
        return Files.readString(server.output());
    }

    private void end() throws Exception {
        end("TERM");
    }

    private void end(String signal) throws Exception {
        programs.host("kill", "-" + signal, server.process().pid()).good();
        server.await().good();
    }

    private String uri(String export) {
        return "nbd+unix:///" + export + "?socket=" + socket;
    }

    @Test
    void clientsGetEachStateByItsNameAndTheLastWithoutOne() throws Exception {
        Programs.need("nbdinfo", "nbdcopy", "qemu-img");
        String said = serve("--socket", socket);
        assertTrue(said.contains(uri("data.000002") + ": era "), said);
        String list = programs.host("nbdinfo", "--list", uri("")).good();
        for (String export : List.of("data.000001", "data.000002", "data.000003")) {
            assertTrue(list.contains("export=\"" + export + "\""), list);
        }
        assertTrue(list.contains("is_read_only: true"), list);
        Path copied = folder.resolve("copied");
        programs.host("nbdcopy", uri(""), copied).good();
        assertEquals(-1L, Files.mismatch(states.get(2), copied), "seed " + seed);
        for (int i = 0; i < 3; i++) {
            programs.host("qemu-img", "compare", "-f", "raw", "-F", "raw", uri("data.00000" + (i + 1)), states.get(i))
                    .good();
        }
        Programs.Result stranger = programs.host("nbdinfo", uri("data.000004"));
        assertTrue(stranger.exitCode() != 0, stranger.text());
        end();
        assertFalse(Files.exists(socket));
    }

    @Test
    void holesAreToldAndWritesRefused() throws Exception {
        Programs.need("nbdinfo", "qemu-io");
        serve("--socket", socket);
        String map = programs.host("nbdinfo", "--map", uri("data.000001")).good();
        assertTrue(map.contains("hole,zero") && map.contains("data"), map);
        Programs.Result write = programs.host("qemu-io", "-f", "raw", uri(""), "-c", "write 0 4096");
        assertTrue(write.text().contains("read-only") || write.exitCode() != 0, write.text());
        end();
    }

    @Test
    void aDamagedChunkIsAnErrorForItsRangeAndALineInTheLog() throws Exception {
        Programs.need("qemu-io");
        byte[] bytes = Files.readAllBytes(streams.get(0));
        bytes[bytes.length - 5000] ^= 1;
        Files.write(streams.get(0), bytes);
        serve("--socket", socket);
        Programs.Result read = programs.host("qemu-io", "-r", "-f", "raw", uri("data.000001"), "-c", "read 0 16M");
        assertTrue(read.text().contains("Input/output error"), read.text());
        String log = Files.readString(server.output());
        assertTrue(log.contains("era_serve: " + streams.get(0) + ": chunk "), log);
        programs.host("qemu-io", "-r", "-f", "raw", uri("data.000001"), "-c", "read 0 4096")
                .good();
        end();
    }

    @Test
    void theLastStateIsABlockDeviceUntilASignal() throws Exception {
        Programs.needRootAnd();
        String said = serve("--attach");
        Path node = Path.of(said.replaceAll("(?s).*the last is (/dev/[a-z0-9]+).*", "$1"));
        assertEquals(-1L, Files.mismatch(states.get(2), node), "seed " + seed);
        Programs.Result write = programs.host("dd", "if=/dev/zero", "of=" + node, "bs=4k", "count=1");
        assertTrue(write.exitCode() != 0, write.text());
        // As of a terminal that is closed.
        end("HUP");
        Programs.Result gone = programs.host("dd", "if=" + node, "of=/dev/null", "bs=4k", "count=1");
        assertTrue(gone.text().contains("0 bytes") || gone.exitCode() != 0, gone.text());
        Path own = Path.of(said.replaceAll("(?s).*socket=([^:]+)/nbd:.*", "$1"));
        assertFalse(Files.exists(own), own + " stays, and is mounted over");
    }

    @Test
    void whatCanNotBeServedIsRefusedInOneLine() throws Exception {
        for (Object[] wrong : List.of(
                new Object[] {streams.get(1)},
                new Object[] {streams.get(0), streams.get(2)},
                new Object[] {states.get(0)},
                new Object[] {streams.get(0), streams.get(0)},
                new Object[] {"-"},
                new Object[] {streams.get(0), "--attach", "--socket", socket})) {
            Programs.Result refused = programs.run("era_serve", wrong);
            assertEquals(1, refused.exitCode(), refused.text());
            assertEquals(1, refused.text().strip().lines().count(), refused.text());
        }
    }
}
