// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What an engine says, in one line, when it can't have what it was started with. */
@Timeout(600)
class EngineTroubleTest {
    private static final String LAUNCHER = Distribution.program("era-dmsetup");

    @TempDir
    Path folder;

    private Program program;

    @BeforeEach
    void makeProgram() {
        program = new Program(folder);
    }

    @AfterEach
    void endEngine() throws IOException {
        program.kill();
    }

    private Program.Result engine(Path control, Path state) throws Exception {
        return program.run(List.of(LAUNCHER, "engine", "--control", control.toString(), "--state", state.toString()));
    }

    /** It ends with 1, and says this and nothing else before the last line. */
    private static void assertRefused(String why, Program.Result result) {
        assertEquals(1, result.exit(), result.err());
        List<String> lines = result.err().lines().toList();
        assertEquals(2, lines.size(), result.err());
        assertTrue(lines.get(0).contains(why), result.err());
        assertEquals("Command failed.", lines.get(1));
    }

    @Test
    void aSecondEngineAtTheSameSocketIsRefusedAndTheFirstGoesOn() throws Exception {
        program.start();
        assertRefused(
                "an engine answers at " + program.socket + " already", engine(program.socket, folder.resolve("other")));
        program.run("create", "vol", "--table", "0 8 zero").ok();
    }

    /** Its socket is all that a client of NBD takes, and who it is can be told. */
    @Test
    void aClientThatGotTheLastDescriptorIsServed() throws Exception {
        Path prlimit = Path.of("/usr/bin/prlimit");
        Program.need(Files.isExecutable(prlimit), "prlimit is missing");
        program.start();
        String pid = Files.readString(program.state.resolve("lock")).strip();
        int free = 0;
        while (Files.exists(Path.of("/proc", pid, "fd", Integer.toString(free)), LinkOption.NOFOLLOW_LINKS)) {
            free++;
        }
        program.run(List.of(prlimit.toString(), "--pid", pid, "--nofile=" + (free + 1) + ":"))
                .ok();
        try (SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            client.connect(UnixDomainSocketAddress.of(program.socket + ".nbd"));
            assertTrue(client.read(ByteBuffer.allocate(18)) > 0, program.log());
            client.write(ByteBuffer.allocate(4).putInt(0, -1));
            assertEquals(-1, client.read(ByteBuffer.allocate(1)));
        }
        String broken = " pid " + ProcessHandle.current().pid() + ": sent unknown flags";
        assertTrue(program.log().contains(broken), program.log());
    }

    @Test
    void theEnvironmentSaysHowNamesAreMangledUnlessAnOptionDoes() throws Exception {
        program.start();
        inMode("hex", "a\\x20b");
        inMode("none", "c d");
        inMode("auto", "e\\x20f");
        // As in libdevmapper, what is no mode is as if it were not set.
        inMode("sometimes", "g h");
        inMode("hex", "i j", "--manglename", "none");
        assertEquals(
                List.of("a\\x5cx20b", "c d", "e\\x20f", "g\\x20h", "i j"),
                program.run("info", "-c", "--noheadings", "--manglename", "none", "-o", "name")
                        .ok()
                        .out()
                        .lines()
                        .toList());
    }

    private void inMode(String mode, String name, String... options) throws Exception {
        List<String> words = new ArrayList<>(List.of(
                "env", "DM_DEFAULT_NAME_MANGLING_MODE=" + mode, LAUNCHER, "--control", program.socket.toString()));
        words.addAll(List.of(options));
        words.addAll(List.of("create", name, "-n"));
        program.run(words).ok();
    }

    @Test
    void aSocketThatNobodyAnswersAtIsReplaced() throws Exception {
        Files.createDirectories(program.socket.getParent());
        ServerSocketChannel dead = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        dead.bind(UnixDomainSocketAddress.of(program.socket));
        dead.close();
        assertTrue(Files.exists(program.socket));
        program.start();
        assertEquals("No devices found\n", program.run("ls").ok().out());
    }

    @Test
    void aFileInTheSocketsPlaceIsNotReplaced() throws Exception {
        Files.createDirectories(program.socket.getParent());
        Files.writeString(program.socket, "precious");
        assertRefused(program.socket + " is no socket", engine(program.socket, program.state));
        assertEquals("precious", Files.readString(program.socket));
    }

    @Test
    void aSocketPathThatIsTooLongIsRefused() throws Exception {
        Path deep = folder.resolve("d".repeat(120)).resolve("control");
        assertRefused(deep.toString(), engine(deep, program.state));
        Program.Result client = program.run(List.of(LAUNCHER, "--control", deep.toString(), "ls"));
        assertRefused(deep.toString(), client);
    }

    @Test
    void anNbdAddressThatCanNotBeServedIsRefusedByName() throws Exception {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            String address = "tcp:127.0.0.1:" + taken.getLocalPort();
            assertRefused("NBD at " + address + ": Address already in use", withNbd("--nbd", address, "--nbd-plain"));
            String noFolder = folder.resolve("pki").toString();
            assertRefused(
                    "TLS needs the file " + noFolder + "/server-key.pem, which does not exist",
                    withNbd("--nbd", address, "--nbd-tls", noFolder));
            // Somebody who wants TLS must not believe to have it.
            assertRefused("need an address in --nbd tcp:", withNbd("--nbd-tls", noFolder));
            assertRefused("--nbd-plain", withNbd("--nbd", "tcp:0.0.0.0:" + taken.getLocalPort()));
        }
    }

    private Program.Result withNbd(String... options) throws Exception {
        List<String> words = new ArrayList<>(List.of(
                LAUNCHER, "engine", "--control", program.socket.toString(), "--state", program.state.toString()));
        words.addAll(List.of(options));
        return program.run(words);
    }

    @Test
    void aStateFolderThatCanNotBeMadeOrWrittenIsRefused() throws Exception {
        Path file = Files.writeString(folder.resolve("file"), "");
        assertRefused(file.toString(), engine(program.socket, file));
        assertRefused(file.toString(), engine(program.socket, file.resolve("state")));
        // Not even root can write there.
        assertRefused("/proc/era", engine(program.socket, Path.of("/proc/era")));
        assertFalse(Files.exists(program.socket));
        Program.Result detached = program.run(List.of(
                LAUNCHER, "engine", "--control", program.socket.toString(), "--state", "/proc/era", "--detach"));
        assertRefused("/proc/era", detached);
    }

    @Test
    void rememberedDevicesThatMakeNoSenseAreKeptNamedAndNotOverwritten() throws Exception {
        Files.createDirectories(program.state);
        String good =
                "era-dmsetup device 2\nminor %d\nname %s\nuuid %s\nid 1-2-3\nsuspended no\nlive rw 1\n0 8 zero \nend\n";
        write("0.device", "junk\n");
        write("1.device", good.formatted(1, "vol", ""));
        write("2.device", good.formatted(2, "cut", "").replace("end\n", ""));
        write("3.device", good.formatted(3, "vol", ""));
        write("4.device", good.formatted(7, "moved", ""));
        write("5.device", good.formatted(5, "a/b", ""));
        write("6.device", good.formatted(6, "twin", "same"));
        write("8.device", good.formatted(8, "twin2", "same"));
        program.start();
        program.run("create", "new", "--table", "0 8 zero").ok();
        assertEquals(
                "new\t(120:7)\ntwin\t(120:6)\nvol\t(120:1)\n",
                program.run("ls").ok().out());
        for (int minor : new int[] {0, 2, 3, 4, 5, 8}) {
            Path file = program.state.resolve(minor + ".device");
            assertEquals(
                    1,
                    program.log()
                            .lines()
                            .filter(line -> line.contains(file + " is left alone: "))
                            .count(),
                    minor + ": " + program.log());
        }
        assertEquals("junk\n", Files.readString(program.state.resolve("0.device")));
    }

    private void write(String name, String text) throws IOException {
        Files.writeString(program.state.resolve(name), text);
    }
}
