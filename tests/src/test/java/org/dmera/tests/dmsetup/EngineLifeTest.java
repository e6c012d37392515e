// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.dmera.core.file.Folders;
import org.dmera.core.format.Superblock;
import org.dmera.testkit.Alone;
import org.dmera.tests.Distribution;
import org.dmera.tests.backup.DocumentedCommands;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The engine comes up when it is wanted, remembers its devices, and goes down without harm. */
@Timeout(600)
@Alone
class EngineLifeTest {
    @TempDir
    Path folder;

    private static String eraTable(Program program, String name) throws IOException {
        return "0 65536 era " + program.file(name + ".meta", 8192) + " " + program.file(name + ".data", 65_536) + " 8";
    }

    @Test
    void createStartsAnEngineThatTheUserAskedForAndNothingElseDoes() throws Exception {
        try (Program program = new Program(folder)) {
            Program.Result refused = program.run("status");
            assertEquals(1, refused.exit());
            assertTrue(refused.err().contains("no engine answers at " + program.socket), refused.err());
            assertNull(program.engine());

            program.run("create", "vol", "--table", eraTable(program, "vol")).ok();

            assertNotNull(program.engine());
            assertEquals(
                    "0 65536 era 8 17/1024 1 -\n",
                    program.run("status", "vol").ok().out());
            assertEquals("2\n", program.run("checkpoint", "vol").ok().out());
            assertEquals(
                    "nbd+unix:///vol?socket=" + program.socket + ".nbd\n",
                    program.run("uri", "vol").ok().out());
            assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(program.socket)));
            assertEquals(
                    "rwx------",
                    PosixFilePermissions.toString(Files.getPosixFilePermissions(program.socket.getParent())));
        }
    }

    /** Only the files and the socket lie elsewhere than there; how much is in use depends on when that is asked. */
    @Test
    void theReadmesFirstCommandsPrintWhatItShows() throws Exception {
        try (Program program = new Program(folder)) {
            program.file("meta", 8192);
            program.file("origin", 131_072);
            String shown = DocumentedCommands.block("README.md", "$ era-dmsetup --control engine create ")
                    .replace("/srv/", folder + "/")
                    .replace("/run/era/control", program.socket.toString());
            String begin = "PATH=" + Distribution.BIN + ":$PATH ERA_CONTROL=" + program.socket;
            StringBuilder typed = new StringBuilder();
            for (String line :
                    shown.lines().filter(each -> each.startsWith("$ ")).toList()) {
                String command = begin + " " + line.substring(2).replace("--control engine ", "");
                typed.append(line).append('\n');
                typed.append(program.run(List.of("sh", "-c", command)).ok().out());
            }
            assertEquals(shown.replaceAll("\\d+/1024", ""), typed.toString().replaceAll("\\d+/1024", ""));
        }
    }

    @Test
    void sigtermSuspendsEveryDeviceCleanlyAndTheNextEngineGoesOn() throws Exception {
        try (Program program = new Program(folder)) {
            program.start();
            program.run("create", "vol", "--table", eraTable(program, "vol")).ok();
            program.run("create", "held", "--table", eraTable(program, "held")).ok();
            program.run("suspend", "held").ok();

            program.terminate();

            assertFalse(Files.exists(program.socket));
            Superblock superblock = superblock(folder.resolve("vol.meta"));
            assertEquals(1, superblock.currentEra());
            assertEquals(0, superblock.currentWritesetRoot(), "the current writeset was archived");

            program.start();
            assertEquals("L--w", attributes(program, "vol"));
            assertEquals("L-sw", attributes(program, "held"));
            assertTrue(program.run("status", "vol").ok().out().matches("0 65536 era 8 \\d+/1024 2 -\n"));
        }
    }

    private static Superblock superblock(Path metadata) throws IOException {
        ByteBuffer block = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);
        try (FileChannel channel = FileChannel.open(metadata, StandardOpenOption.READ)) {
            channel.read(block, 0);
        }
        return new Superblock().wrap(block.flip(), 0);
    }

    private static String attributes(Program program, String name) throws IOException, InterruptedException {
        return program.run("info", "-c", "--noheadings", "-o", "attr", name)
                .ok()
                .out()
                .strip();
    }

    @Test
    void afterKill9NamesUuidsTablesAndStatesAreBack() throws Exception {
        try (Program program = new Program(folder)) {
            program.start();
            Path data = program.file("lower.data", 65_536);
            program.run("create", "lower", "-u", "uuid-lower", "--table", "0 65536 linear " + data + " 0")
                    .ok();
            String upper = "0 65536 era " + program.file("upper.meta", 8192) + " /dev/mapper/lower 8";
            program.run("create", "zupper", "--table", upper).ok();
            program.run("rename", "zupper", "a upper").ok();
            program.run("create", "empty", "--notable").ok();
            program.run("create", "both", "-r", "--table", "0 8 zero").ok();
            program.run("load", "both", "--table", "0 8 zero\n8 8 error").ok();
            program.run("create", "gone", "--table", "0 8 zero").ok();
            program.run("remove", "gone").ok();
            program.run("suspend", "both").ok();
            String info = program.run("info", "-c", "-o", "name,minor,attr,open,uuid")
                    .ok()
                    .out();
            String tables = program.run("table").ok().out();

            program.kill();
            program.start();

            assertEquals(
                    info,
                    program.run("info", "-c", "-o", "name,minor,attr,open,uuid")
                            .ok()
                            .out());
            assertEquals(tables, program.run("table").ok().out());
            assertEquals(
                    "0 8 zero \n8 8 error \n",
                    program.run("table", "--inactive", "both").ok().out());
            assertEquals("2\n", eraOf(program, "a upper"), "a power cut opens a new era");
        }
    }

    private static String eraOf(Program program, String name) throws IOException, InterruptedException {
        JsonNode status = new ObjectMapper()
                .readTree(program.run("status", "--json", name).ok().out());
        return status.at("/devices/0/targets/0/current_era").asText() + "\n";
    }

    @Test
    void aDeviceWhoseFilesAreGoneComesBackWithoutItsTableAndWithItOnceTheyAreBack() throws Exception {
        try (Program program = new Program(folder)) {
            program.run("create", "vol", "--table", eraTable(program, "vol")).ok();
            program.run("create", "other", "--table", "0 8 linear engine:vol 0").ok();
            program.terminate();
            Files.move(folder.resolve("vol.data"), folder.resolve("away"));

            program.start();
            assertEquals("---w", attributes(program, "vol"));
            assertEquals("---w", attributes(program, "other"));
            assertTrue(program.log().contains("vol came back without its table"), program.log());

            program.terminate();
            Files.move(folder.resolve("away"), folder.resolve("vol.data"));
            program.start();
            assertEquals("L--w", attributes(program, "vol"));
            assertEquals("L--w", attributes(program, "other"));
        }
    }

    @Test
    void manyWhoCreateAtOnceStartOneEngine() throws Exception {
        try (Program program = new Program(folder)) {
            ExecutorService pool = Executors.newFixedThreadPool(4);
            List<Future<Program.Result>> all = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                String name = "v" + i;
                all.add(pool.submit(() -> program.run("create", name, "--table", "0 8 zero")));
            }
            for (Future<Program.Result> one : all) {
                one.get().ok();
            }
            pool.shutdown();
            assertEquals(4, program.run("ls").ok().out().lines().count());
        }
    }

    @Test
    void whoCreatesWhileAnEngineIsStoppingGetsTheNextOne() throws Exception {
        try (Program program = new Program(folder)) {
            Files.createDirectory(program.state, Folders.PRIVATE);
            Process stopping = new ProcessBuilder("sleep", "600").start();
            ExecutorService threads = Executors.newSingleThreadExecutor();
            try {
                String table = eraTable(program, "vol");
                Future<Program.Result> create;
                try (FileChannel lock = FileChannel.open(
                        program.state.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                    lock.lock();
                    lock.write(ByteBuffer.wrap((stopping.pid() + "\n").getBytes(StandardCharsets.US_ASCII)));
                    create = threads.submit(() -> program.run("create", "vol", "--table", table));
                    while (!program.log().contains("another engine (process " + stopping.pid() + ")")
                            && !create.isDone()) {
                        TimeUnit.MILLISECONDS.sleep(20);
                    }
                }
                stopping.destroyForcibly().waitFor();
                create.get(200, TimeUnit.SECONDS).ok();
            } finally {
                stopping.destroyForcibly();
                threads.shutdownNow();
            }
        }
    }

    @Test
    void aSecondEngineOnTheSameStateIsRefused() throws Exception {
        try (Program program = new Program(folder)) {
            program.start();
            Program.Result second = program.run(List.of(
                    Distribution.program("era-dmsetup"),
                    "engine",
                    "--control",
                    folder.resolve("other/control").toString(),
                    "--state",
                    program.state.toString()));
            assertEquals(1, second.exit());
            assertTrue(
                    second.err()
                            .contains("another engine (process "
                                    + program.engine().pid() + ")"),
                    second.err());
        }
    }

    @Test
    void aSecondEngineOnTheSameFilesIsRefusedByTheirLocks() throws Exception {
        try (Program first = new Program(folder);
                Program second = new Program(Files.createDirectory(folder.resolve("second")))) {
            String table = eraTable(first, "vol");
            first.run("create", "vol", "--table", table).ok();
            Program.Result refused = second.run("create", "vol", "--table", table);
            assertEquals(1, refused.exit());
            assertTrue(refused.err().startsWith("device-mapper: reload ioctl on vol (120:0) failed: "), refused.err());
            assertTrue(second.log().contains("Error opening metadata device"), second.log());
        }
    }

    @Test
    void anotherUserIsRefusedByTheModeAndByCredentialsWhenTheModeIsLoosened() throws Exception {
        Program.need(Program.isRoot(), "needs root, to become another user");
        Program.need(Files.isExecutable(Path.of("/usr/bin/setpriv")), "needs setpriv (util-linux)");
        try (Program program = new Program(folder)) {
            program.run("create", "vol", "--table", "0 8 zero").ok();
            List<String> asNobody = List.of(
                    "/usr/bin/setpriv",
                    "--reuid=65534",
                    "--regid=65534",
                    "--clear-groups",
                    "--",
                    Distribution.program("era-dmsetup"),
                    "--control",
                    program.socket.toString(),
                    "ls");
            openFolders(folder);

            Program.Result byMode = program.run(asNobody);
            assertEquals(1, byMode.exit());
            assertTrue(byMode.err().contains("Permission denied"), byMode.err());

            Files.setPosixFilePermissions(program.socket.getParent(), PosixFilePermissions.fromString("rwxrwxrwx"));
            Files.setPosixFilePermissions(program.socket, PosixFilePermissions.fromString("rwxrwxrwx"));
            Program.Result byCredentials = program.run(asNobody);
            assertEquals(1, byCredentials.exit());
            assertFalse(byCredentials.out().contains("vol"), byCredentials.out());
            assertTrue(
                    program.log().matches("(?s).*refused user nobody \\(uid 65534 pid [0-9]+\\)\n.*"), program.log());
            assertEquals("vol\t(120:0)\n", program.run("ls").ok().out());
        }
    }

    /** Lets others pass the folders above the test's own. */
    /** As in a container: he has a number, and Java knows no name for it. */
    @Test
    void aUserWhoIsInNoListOfUsersHasAnEngineOfHisOwn() throws Exception {
        Program.need(Program.isRoot(), "needs root, to become another user");
        Program.need(Files.isExecutable(Path.of("/usr/bin/setpriv")), "needs setpriv (util-linux)");
        Path own = Files.createDirectory(folder.resolve("own"));
        Files.setAttribute(own, "unix:uid", 54321);
        openFolders(folder);
        try (Program program = new Program(own)) {
            for (List<String> words : List.of(List.of("create", "vol", "--table", "0 8 zero"), List.of("ls"))) {
                List<String> command = new ArrayList<>(List.of(
                        "/usr/bin/setpriv",
                        "--reuid=54321",
                        "--regid=54321",
                        "--clear-groups",
                        "--",
                        Distribution.program("era-dmsetup"),
                        "--control",
                        program.socket.toString()));
                command.addAll(words);
                program.run(command).ok();
            }
        }
    }

    private static void openFolders(Path folder) throws IOException {
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    @Test
    void aLogInAFileHasTheTimeAndWhoAskedForIt() throws Exception {
        Object uid = Files.getAttribute(Path.of("/proc/self"), "unix:uid");
        String time = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}[+-][0-9]{2}:[0-9]{2} era-dmsetup: ";
        try (Program program = new Program(folder)) {
            program.run("engine", "--state", program.state.toString(), "--detach")
                    .ok();
            program.run("create", "vol", "--table", "0 8 zero").ok();
            List<String> lines = program.log().lines().toList();
            assertTrue(lines.stream().allMatch(line -> line.matches(time + ".*")), lines.toString());
            assertTrue(
                    lines.stream().anyMatch(line -> line.matches(time + "uid " + uid + " pid [0-9]+: created vol .*")),
                    lines.toString());
        }
    }

    /** A service's shell may start an engine whose log is no longer the journal; only its own stream counts. */
    @Test
    void onlyTheStreamThatTheJournalReadsGetsItsPriorities() throws Exception {
        for (boolean journal : List.of(true, false)) {
            Path log = folder.resolve("log" + journal);
            Program program = new Program(Files.createDirectory(folder.resolve("of" + journal)));
            String stream = journal ? "$(stat -Lc %d:%i /dev/stderr)" : "1:2";
            Process engine = new ProcessBuilder(
                            "sh",
                            "-c",
                            "JOURNAL_STREAM=" + stream + " exec \"$0\" engine --control \"$1\" --state \"$2\"",
                            Distribution.program("era-dmsetup"),
                            program.socket.toString(),
                            program.state.toString())
                    .redirectError(log.toFile())
                    .start();
            try {
                while (Files.size(log) == 0 && engine.isAlive()) {
                    Thread.sleep(20);
                }
                String said = Files.readString(log);
                assertEquals(journal, said.startsWith("<6>engine of process "), said);
            } finally {
                engine.destroy();
                engine.waitFor();
            }
        }
    }

    /** As systemd does it, by the launcher that systemd has for trying that. */
    private Process activated(Program program, String names, List<String> sockets, String... options)
            throws IOException {
        List<String> command = new ArrayList<>(List.of("/usr/bin/systemd-socket-activate", "--fdname=" + names));
        sockets.forEach(socket -> command.addAll(List.of("--listen", socket)));
        command.add(Distribution.program("era-dmsetup"));
        command.addAll(List.of("engine", "--control", program.socket.toString()));
        command.addAll(List.of("--state", program.state.toString()));
        command.addAll(List.of(options));
        return new ProcessBuilder(command)
                .redirectError(folder.resolve("log").toFile())
                .start();
    }

    private static void awaitListening(SocketAddress address) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (System.nanoTime() < deadline) {
            try {
                SocketChannel.open(address).close();
                return;
            } catch (IOException e) {
                // Not yet.
                Thread.sleep(5);
            }
        }
        throw new IOException("nobody listens at " + address);
    }

    private static int freePort() throws IOException {
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return free.getLocalPort();
        }
    }

    @Test
    void socketsForControlAndForNbdThatSystemdHasOpenedAreTakenOver() throws Exception {
        Program.need(Files.isExecutable(Path.of("/usr/bin/systemd-socket-activate")), "needs systemd");
        Program.need(Files.isExecutable(Path.of("/usr/bin/nbdinfo")), "needs nbdinfo (libnbd-bin)");
        try (Program program = new Program(folder)) {
            Files.createDirectories(program.socket.getParent());
            Path nbd = program.socket.resolveSibling("control.nbd");
            int port = freePort();
            Process engine = activated(
                    program,
                    "control:nbd:nbd",
                    List.of(program.socket.toString(), nbd.toString(), "127.0.0.1:" + port),
                    "--nbd-plain");
            try {
                // The first client starts it.
                awaitListening(UnixDomainSocketAddress.of(nbd));
                program.run("create", "vol", "--table", "0 2048 zero").ok();
                for (String uri : List.of("nbd+unix:///vol?socket=" + nbd, "nbd://127.0.0.1:" + port + "/vol")) {
                    assertEquals(
                            "1048576\n",
                            program.run(List.of("/usr/bin/nbdinfo", "--size", uri))
                                    .ok()
                                    .out());
                }
                assertEquals(
                        "nbd+unix:///vol?socket=" + nbd,
                        program.run("message", "vol", "0", "@uri").ok().out().strip());
                engine.destroy();
                assertEquals(0, engine.waitFor());
                assertTrue(Files.exists(program.socket) && Files.exists(nbd), "the sockets are systemd's, and stay");
                try (Stream<Path> left = Files.list(program.state)) {
                    assertEquals(
                            0,
                            left.filter(file -> file.getFileName().toString().startsWith(".era"))
                                    .count());
                }
            } finally {
                engine.destroyForcibly();
            }
        }
    }

    @Test
    void socketsThatNobodyMayHaveMeantAreRefusedInALine() throws Exception {
        Program.need(Files.isExecutable(Path.of("/usr/bin/systemd-socket-activate")), "needs systemd");
        int port = freePort();
        String[][] refused = {
            {
                "control:nbd",
                "127.0.0.1:" + port,
                "127.0.0.1 port " + port + ", can be reached by every user of this host"
            },
            {"control:other", "127.0.0.1:" + port, "a socket named 'other': one named control, and any number named nbd"
            },
            {"control:control", folder.resolve("second").toString(), "two sockets for control"},
        };
        for (String[] each : refused) {
            try (Program program = new Program(Files.createTempDirectory(folder, "engine"))) {
                Files.createDirectories(program.socket.getParent());
                Process engine = activated(program, each[0], List.of(program.socket.toString(), each[1]));
                try {
                    awaitListening(UnixDomainSocketAddress.of(program.socket));
                    assertEquals(1, engine.waitFor());
                } finally {
                    engine.destroyForcibly();
                }
                String log = Files.readString(folder.resolve("log"));
                List<String> said = log.lines()
                        .filter(line -> line.contains("the service manager hands over"))
                        .toList();
                assertEquals(1, said.size(), log);
                assertTrue(said.get(0).contains(each[2]), log);
            }
        }
    }

    @Test
    void aSocketThatSystemdHasOpenedIsTakenOver() throws Exception {
        Program.need(Files.isExecutable(Path.of("/usr/bin/perl")), "needs perl, which stands in for systemd");
        try (Program program = new Program(folder)) {
            Files.createDirectories(program.socket.getParent());
            // A listening socket as standard input, as a unit with StandardInput=socket has it; it gets its name only
            // when it listens, so that whoever finds the name can connect.
            String activate = "use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0);"
                    + " bind(S, sockaddr_un(\"$ARGV[0].new\")) or die; listen(S, 8) or die;"
                    + " rename(\"$ARGV[0].new\", $ARGV[0]) or die;"
                    + " open(STDIN, '<&', \\*S) or die; exec @ARGV[1..$#ARGV];";
            Process engine = new ProcessBuilder(
                            "/usr/bin/perl",
                            "-e",
                            activate,
                            program.socket.toString(),
                            Distribution.program("era-dmsetup"),
                            "engine",
                            "--control",
                            program.socket.toString(),
                            "--state",
                            program.state.toString())
                    .redirectError(folder.resolve("log").toFile())
                    .start();
            try {
                while (!Files.exists(program.socket)) {
                    assertTrue(engine.isAlive(), "what stands in for systemd has ended");
                    Thread.sleep(5);
                }
                assertEquals("No devices found\n", program.run("ls").ok().out());
                engine.destroy();
                assertEquals(0, engine.waitFor());
                assertTrue(Files.exists(program.socket), "the socket is systemd's, and stays");
            } finally {
                engine.destroyForcibly();
            }
        }
    }
}
