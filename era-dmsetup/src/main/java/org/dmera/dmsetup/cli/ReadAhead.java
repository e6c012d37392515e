// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmIoctl;

/**
 * {@code --readahead [+]SECTORS|auto|none}: how far the kernel reads ahead on a device; on an engine's, where it has a node.
 *
 * @param sectors −1 leaves it to the kernel
 * @param leastOnly whether the kernel's own value stays when it is higher
 */
record ReadAhead(long sectors, boolean leastOnly) {
    private static final ReadAhead AUTO = new ReadAhead(-1, false);

    /** The option's argument. */
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
    static void check(Session session) throws IOException {
        if (session.has(Switch.READAHEAD)
                && parse(session.switches().value(Switch.READAHEAD)).sectors >= 0
                && !session.control().isKernel()
                && !session.has(Switch.ATTACH)) {
            throw new CommandLineException(
                    "--readahead: it is a node in /dev that reads ahead: on an engine give it to attach, or to create --attach.");
        }
    }

    /** Sets it on the kernel's device of an answer, if the user asked for it. */
    static void apply(Session session, DmIoctl device) throws IOException {
        if (session.has(Switch.READAHEAD) && session.control().isKernel()) {
            parse(session.switches().value(Switch.READAHEAD)).set(device.dev());
        }
    }

    /** Sets it on the node that an engine has given a device, if the user asked for it. */
    static void apply(Session session, Path node) throws IOException {
        if (session.has(Switch.READAHEAD)) {
            parse(session.switches().value(Switch.READAHEAD)).set((long) Files.getAttribute(node, "unix:rdev"));
        }
    }

    private void set(long dev) throws IOException {
        if (sectors < 0) {
            return;
        }
        Path file = Path.of("/sys/dev/block", DevNumber.text(dev), "bdi", "read_ahead_kb");
        long kib = (sectors + 1) / 2;
        if (!leastOnly || Long.parseLong(Files.readString(file).trim()) < kib) {
            Files.writeString(file, Long.toString(kib));
        }
    }
}
