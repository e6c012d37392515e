// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.dmera.dmsetup.control.Control;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.Recording;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every recorded run of the real dmsetup, run by era-dmsetup on the recorded answers: it must send what dmsetup sent, and
 * print what dmsetup printed.
 */
class RecordedSessionsTest {
    /** Calls whose event number is a udev cookie with flags, which depend on the host. */
    private static final Set<DmCommand> WITH_COOKIE =
            EnumSet.of(DmCommand.DEV_CREATE, DmCommand.DEV_SUSPEND, DmCommand.DEV_REMOVE, DmCommand.DEV_RENAME);

    static Stream<Recording.Run> runs() {
        return Recording.runs().stream();
    }

    /** Plays the kernel by the recording. */
    private static final class Playback implements Control {
        private final Deque<Recording.Call> calls;
        private final boolean devName;

        Playback(Recording.Run run) {
            calls = new ArrayDeque<>(run.calls());
            devName = run.commandLine().contains("-o devname");
            // dmsetup asks for the driver's version twice when that is what it was asked for itself; once is enough.
            if (calls.size() == 2 && run.calls().get(1).command() == DmCommand.VERSION) {
                calls.removeLast();
            }
        }

        @Override
        public int call(int command, ByteBuffer buffer) {
            if (command == DmCommand.LIST_DEVICES.number() && devName && calls.isEmpty()) {
                // This host has no such loop device, so its name is sought among the mapped devices.
                buffer.putLong(buffer.getInt(16), 0);
                return 0;
            }
            Recording.Call call = calls.poll();
            assertNotNull(call, "a call that dmsetup did not make: " + DmCommand.ofNumber(command));
            assertEquals(call.command(), DmCommand.ofNumber(command));
            byte[] sent = new byte[buffer.limit()];
            buffer.get(0, sent);
            assertArrayEquals(
                    comparable(call, call.before()),
                    comparable(call, sent),
                    call.command().name());
            buffer.put(0, call.after(), 0, Math.min(call.after().length, buffer.limit()));
            return call.result();
        }

        /** Without the fields that are free by the fixtures' README: version, size of the buffer, udev cookie. */
        private static byte[] comparable(Recording.Call call, byte[] bytes) {
            DmIoctl io = DmIoctl.over(ByteBuffer.wrap(bytes));
            io.setVersion(0, 0, 0);
            io.setDataSize(0);
            if (WITH_COOKIE.contains(call.command())) {
                io.setEventNr(0);
            }
            return bytes;
        }

        @Override
        public String describe() {
            return "a recording";
        }
    }

    @ParameterizedTest
    @MethodSource("runs")
    void sendsAndPrintsWhatTheRealOneDid(Recording.Run run) {
        ShellWords line = ShellWords.of(run.commandLine());
        Playback kernel = new Playback(run);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        DmSetup program = new DmSetup(
                new ByteArrayInputStream(line.stdin().getBytes(StandardCharsets.UTF_8)),
                new PrintStream(out, false, StandardCharsets.UTF_8),
                new PrintStream(err, false, StandardCharsets.UTF_8),
                (switches, creating) -> kernel);
        List<String> words = new ArrayList<>(line.words());
        if (words.contains("--tree")) {
            // The recording was made in a UTF-8 locale.
            words.addAll(List.of("-o", "utf"));
        }

        int exit = program.run("dmsetup", words);

        assertEquals(expectedStdout(run), lines(out));
        assertEquals(expectedStderr(run), lines(err));
        assertEquals(run.exit(), exit);
        assertTrue(
                kernel.calls.isEmpty(), () -> "not sent: " + kernel.calls.peek().command());
    }

    /** The recorded output; block devices' names are the host's, so those of this host stand in for the recorded ones. */
    private static List<String> expectedStdout(Recording.Run run) {
        List<String> expected = new ArrayList<>();
        for (String line : run.stdout()) {
            String here = line;
            for (int minor = 0; run.commandLine().contains("-o devname") && minor < 2; minor++) {
                if (!Files.exists(Path.of("/sys/dev/block/7:" + minor))) {
                    here = here.replace("(loop" + minor + ")", "(7, " + minor + ")");
                }
            }
            expected.add(here);
        }
        return expected;
    }

    /** The recorded errors, without libdevmapper's remark that a device without a table has no node in /dev/mapper. */
    private static List<String> expectedStderr(Recording.Run run) {
        return run.stderr().stream()
                .filter(line -> !line.endsWith(": open failed: No such file or directory"))
                .toList();
    }

    private static List<String> lines(ByteArrayOutputStream bytes) {
        return bytes.toString(StandardCharsets.UTF_8).lines().toList();
    }
}
