// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmIoctl;

/**
 * {@code --readahead [+]SECTORS|auto|none}: how far the kernel reads ahead on a device.
 *
 * @param sectors −1 leaves it to the kernel
 * @param leastOnly whether the kernel's own value stays when it is higher
 */
record ReadAhead(long sectors, boolean leastOnly) {
    private static final ReadAhead AUTO = new ReadAhead(-1, false);

    /** What the option's argument says. */
    static ReadAhead parse(String text) throws CommandLineException {
        return switch (text.trim().toLowerCase(Locale.ROOT)) {
            case "auto" -> AUTO;
            case "none" -> new ReadAhead(0, false);
            default ->
                new ReadAhead(
                        Numbers.decimal("read-ahead", text, Integer.MAX_VALUE),
                        text.trim().startsWith("+"));
        };
    }

    /** Fails for what can't be done on the session's devices. */
    static void check(Session session) throws IOException, CommandLineException {
        if (session.has(Switch.READAHEAD)
                && parse(session.switches().value(Switch.READAHEAD)).sectors >= 0
                && !session.control().isKernel()) {
            throw new CommandLineException("--readahead: an engine's devices have none of their own.");
        }
    }

    /** Sets it on the device of an answer, if the user asked for it. */
    static void apply(Session session, DmIoctl device) throws IOException, CommandLineException {
        if (!session.has(Switch.READAHEAD)) {
            return;
        }
        ReadAhead wanted = parse(session.switches().value(Switch.READAHEAD));
        if (wanted.sectors < 0) {
            return;
        }
        Path file = Path.of("/sys/dev/block", DevNumber.text(device.dev()), "bdi", "read_ahead_kb");
        long kib = (wanted.sectors + 1) / 2;
        if (!wanted.leastOnly || Long.parseLong(Files.readString(file).trim()) < kib) {
            Files.writeString(file, Long.toString(kib));
        }
    }
}
