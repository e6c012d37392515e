// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dmera.testkit.Alone;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * TCP clients whose host vanishes without a word: the engine runs in a network namespace of its own, and what the clients'
 * kernel sends to one of its two addresses, acknowledgements and resets too, is thrown away from some moment on.
 */
@Timeout(600)
@Alone
class VanishedTcpClientTest {
    private static final String LAUNCHER = Distribution.program("era-dmsetup");
    private static final int PORT = 10809;
    private static final int BLOCK = 4096;
    private static final int SECTORS = 65536;
    /** After 30 s of silence, and three questions 10 s apart; somewhat more for what is not acknowledged. */
    private static final long FOUND_AFTER_SECONDS = 60;

    @TempDir
    private Path folder;

    private final long pid = ProcessHandle.current().pid();
    private final String namespace = "era" + pid;
    private final String link = "era" + pid % 10_000_000;
    /** Of addresses that are for documentation: no real one is hidden. */
    private final String net = "198.51.100.";

    private final String cut = net + "2";
    private final String kept = net + "3";
    private Process engine;

    @BeforeEach
    void start() throws Exception {
        assumeTrue("root".equals(System.getProperty("user.name")), "a network namespace needs root");
        Host.need("ip", "ss");
        assumeTrue(Host.run(folder, "ip", "netns", "add", namespace).exitCode() == 0, "no network namespaces here");
        ip("link", "add", link, "type", "veth", "peer", "name", "e", "netns", namespace);
        ip("addr", "add", net + "1/24", "dev", link);
        ip("link", "set", link, "up");
        for (String address : List.of(cut, kept)) {
            ip("-n", namespace, "addr", "add", address + "/24", "dev", "e");
        }
        ip("-n", namespace, "link", "set", "e", "up");
        engine = new ProcessBuilder(
                        "ip",
                        "netns",
                        "exec",
                        namespace,
                        LAUNCHER,
                        "engine",
                        "--control",
                        folder.resolve("control").toString(),
                        "--state",
                        folder.resolve("state").toString(),
                        "--nbd",
                        "tcp:0.0.0.0:" + PORT,
                        "--nbd-plain")
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(folder.resolve("log").toFile())
                .start();
        while (!log().contains(" answers at ")) {
            assertTrue(engine.isAlive(), this::log);
            TimeUnit.MILLISECONDS.sleep(20);
        }
    }

    @AfterEach
    void stop() throws Exception {
        if (engine != null) {
            engine.destroy();
            assertTrue(engine.waitFor(2, TimeUnit.MINUTES), this::log);
        }
        Host.run(folder, "ip", "route", "del", "blackhole", cut + "/32");
        Host.run(folder, "ip", "link", "del", link);
        Host.run(folder, "ip", "netns", "del", namespace);
    }

    private String log() {
        try {
            return Files.readString(folder.resolve("log"));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private void ip(String... words) throws Exception {
        List<String> command = new ArrayList<>(List.of("ip"));
        command.addAll(List.of(words));
        Host.run(folder, command.toArray(String[]::new)).good();
    }

    private Host.Result dm(String... words) throws Exception {
        List<String> command = new ArrayList<>(
                List.of(LAUNCHER, "--control", folder.resolve("control").toString()));
        command.addAll(List.of(words));
        return Host.run(folder, command.toArray(String[]::new));
    }

    private void create(String name) throws Exception {
        for (String suffix : List.of(".meta", ".data")) {
            try (java.io.RandomAccessFile f =
                    new java.io.RandomAccessFile(folder.resolve(name + suffix).toFile(), "rw")) {
                f.setLength(SECTORS * 512L);
            }
        }
        String files = folder.resolve(name + ".meta") + " " + folder.resolve(name + ".data");
        dm("create", name, "--table", "0 " + SECTORS + " era " + files + " 8").good();
    }

    private WireClient open(String address, String name) throws IOException {
        SocketChannel channel = SocketChannel.open();
        // So that it takes little, and the engine owes the rest.
        channel.setOption(StandardSocketOptions.SO_RCVBUF, 64 << 10);
        channel.connect(new InetSocketAddress(address, PORT));
        return WireClient.open(channel, name);
    }

    /** From here on nothing of what this host sends to that address arrives: not even that the address is not reached. */
    private void cutOff() throws Exception {
        ip("route", "add", "blackhole", cut + "/32");
    }

    private String openCounts() throws Exception {
        return dm("info", "-c", "--noheadings", "-o", "name,open").good();
    }

    private static byte[] filled(char c) {
        byte[] data = new byte[BLOCK];
        Arrays.fill(data, (byte) c);
        return data;
    }

    private String timers() throws Exception {
        return Host.run(folder, "ip", "netns", "exec", namespace, "ss", "-tnoH", "state", "established")
                .good();
    }

    @Test
    void everyConnectionIsAskedAfterHalfAMinuteOfSilence() throws Exception {
        create("idle");
        try (WireClient client = open(kept, "idle")) {
            assertEquals(0, client.write(0, filled('A')));
            String timers = timers();
            while (timers.contains("timer:(on,")) {
                // The answer is not acknowledged yet.
                TimeUnit.MILLISECONDS.sleep(50);
                timers = timers();
            }
            Matcher timer = Pattern.compile("timer:\\(keepalive,(\\d+)(?:\\.\\d+)?sec,0\\)")
                    .matcher(timers);
            assertTrue(timer.find(), timers);
            assertTrue(Integer.parseInt(timer.group(1)) <= 30, timers);
        }
    }

    @Test
    void aClientThatVanishesIsFoundWhateverItDidAndOneThatOnlyWaitsIsNot() throws Exception {
        assumeTrue(Host.NIGHTLY, "takes more than a minute: -Dera.nightly=true");
        for (String name : List.of("busy", "idle", "owed", "quiet", "slow")) {
            create(name);
        }
        List<WireClient> clients = new ArrayList<>();
        try {
            // Its write waits for the device; nothing is sent to it.
            WireClient busy = open(cut, "busy");
            clients.add(busy);
            dm("suspend", "busy").good();
            busy.request(WireClient.WRITE, 1, 0, BLOCK, filled('A'));
            WireClient idle = open(cut, "idle");
            clients.add(idle);
            assertEquals(0, idle.write(0, filled('A')));
            WireClient owed = open(cut, "owed");
            clients.add(owed);
            WireClient slow = open(kept, "slow");
            clients.add(slow);
            for (WireClient reader : List.of(owed, slow)) {
                for (int i = 0; i < 64; i++) {
                    reader.request(WireClient.READ, i, 0, 1 << 20, null);
                }
                reader.receive(16);
            }
            WireClient quiet = open(kept, "quiet");
            clients.add(quiet);
            TimeUnit.SECONDS.sleep(1);
            long began = System.nanoTime();
            cutOff();
            assertEquals("busy:1\nidle:1\nowed:1\nquiet:1\nslow:1\n", openCounts());
            long found = 0;
            String open = openCounts();
            while (!open.startsWith("busy:0\nidle:0\nowed:0\n")) {
                found = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - began);
                assertTrue(found < FOUND_AFTER_SECONDS + 60, open + log());
                TimeUnit.MILLISECONDS.sleep(500);
                open = openCounts();
            }
            // Those that are there are left alone for longer than any limit.
            TimeUnit.SECONDS.sleep(FOUND_AFTER_SECONDS);
            assertEquals("busy:0\nidle:0\nowed:0\nquiet:1\nslow:1\n", openCounts(), this::log);
            // What it had asked for is not done any more.
            dm("resume", "busy").good();
            try (WireClient next = open(kept, "busy")) {
                assertArrayEquals(new byte[BLOCK], next.read(0, BLOCK));
            }
            for (String name : List.of("busy", "idle", "owed")) {
                dm("remove", name).good();
            }
            assertEquals(0, quiet.write(0, filled('B')));
            for (int i = 0; i < 64; i++) {
                slow.receive((i == 0 ? 0 : 16) + (1 << 20));
            }
            assertEquals(0, slow.write(0, filled('B')));
        } finally {
            for (WireClient client : clients) {
                client.close();
            }
        }
    }
}
