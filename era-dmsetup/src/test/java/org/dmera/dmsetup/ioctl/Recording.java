// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.ioctl;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.dmera.testkit.Fixtures;

/** The recorded traffic between the real dmsetup and a real kernel ({@code fixtures/ioctl}). */
public final class Recording {
    /** One run of dmsetup: its command line, its ioctls, and what it printed. */
    public record Run(String commandLine, List<Call> calls, int exit, List<String> stdout, List<String> stderr) {
        @Override
        public String toString() {
            return commandLine;
        }
    }

    /** One ioctl: the whole buffer before and after; {@code result} is 0 or −errno. */
    public static final class Call {
        private final DmCommand command;
        private final long request;
        private final byte[] before;
        private final byte[] after;
        private final int result;

        Call(DmCommand command, long request, byte[] before, byte[] after, int result) {
            this.command = command;
            this.request = request;
            this.before = before;
            this.after = after;
            this.result = result;
        }

        public DmCommand command() {
            return command;
        }

        public long request() {
            return request;
        }

        public byte[] before() {
            return before.clone();
        }

        public byte[] after() {
            return after.clone();
        }

        public int result() {
            return result;
        }

        /** A buffer of its own with the bytes before the call. */
        public DmIoctl sent() {
            return DmIoctl.over(ByteBuffer.wrap(before.clone()));
        }

        /** A buffer of its own with the bytes after the call. */
        public DmIoctl answer() {
            return DmIoctl.over(ByteBuffer.wrap(after.clone()));
        }
    }

    private Recording() {}

    /** Every run, in order. */
    public static List<Run> runs() {
        String text = new String(
                Fixtures.unxz(Fixtures.folder().resolve("ioctl/dmsetup-6.1.log.xz")), StandardCharsets.UTF_8);
        List<Run> runs = new ArrayList<>();
        for (String block : text.split("(?m)^### ", -1)) {
            if (!block.isBlank()) {
                runs.add(parse(block));
            }
        }
        return runs;
    }

    private static Run parse(String block) {
        String[] lines = block.split("\n", -1);
        List<Call> calls = new ArrayList<>();
        List<String> stdout = new ArrayList<>();
        List<String> stderr = new ArrayList<>();
        int exit = 0;
        String head = "";
        byte[] before = null;
        int result = 0;
        for (int i = 1; i < lines.length; i++) {
            String line = lines[i];
            if (line.startsWith("@ioctl ")) {
                head = line;
            } else if (line.startsWith("in ")) {
                before = bytes(line);
            } else if (line.startsWith("ret ")) {
                result = -Integer.parseInt(line.replaceFirst(".*errno=(\\d+).*", "$1"));
            } else if (line.startsWith("out ")) {
                long request = Long.decode(head.replaceFirst(".*request=(\\S+) .*", "$1"));
                calls.add(new Call(DmCommand.ofNumber((int) (request & 0xff)), request, before, bytes(line), result));
            } else if (line.startsWith("exit ")) {
                exit = Integer.parseInt(line.substring(5));
            } else if (line.startsWith("stdout| ")) {
                stdout.add(line.substring(8));
            } else if (line.startsWith("stderr| ")) {
                stderr.add(line.substring(8));
            } else if (!line.isBlank()) {
                throw new IllegalStateException("unknown line in the recording: " + line);
            }
        }
        return new Run(lines[0], calls, exit, stdout, stderr);
    }

    /** {@code in len=16384 nz=29 0400…}: the bytes up to the last one that is not zero, and how many there are. */
    private static byte[] bytes(String line) {
        String[] words = line.split(" +", -1);
        byte[] all = new byte[Integer.parseInt(words[1].substring("len=".length()))];
        byte[] given = HexFormat.of().parseHex(words[3]);
        System.arraycopy(given, 0, all, 0, given.length);
        return all;
    }
}
