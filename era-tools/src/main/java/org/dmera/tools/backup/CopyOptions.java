// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import org.dmera.tools.backup.copy.CopyEngine;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Arguments.InvalidValueException;
import org.dmera.tools.cli.Usage;

/** The options that every command that copies an origin has. */
public final class CopyOptions {
    private CopyOptions() {}

    public static Usage declare(Usage usage) {
        return usage.choice("compress", 'c', "HOW", "zstd (the default) or none", "zstd", "none")
                .option("level", 0, "N", "zstd level, 1 to 19 [default: 1]")
                .option("bwlimit", 0, "RATE", "Read at most this many bytes a second: 50M, 1G")
                .option("readers", 0, "N", "Reads in flight [default: 8]");
    }

    public static CopyEngine.Options of(Arguments arguments) {
        long bytesPerSecond = bytes(arguments, "bwlimit", 0);
        if (bytesPerSecond == 0 && arguments.has("bwlimit")) {
            throw new InvalidValueException(
                    "bwlimit", arguments.value("bwlimit"), "nothing would ever be read; leave it out for no limit");
        }
        return new CopyEngine.Options(
                (int) arguments.number("readers", CopyEngine.Options.DEFAULT.readers(), 1, 32),
                zstdLevel(arguments),
                bytesPerSecond);
    }

    /** 0 for none. */
    static int zstdLevel(Arguments arguments) {
        boolean none = arguments.value("compress", "zstd").equals("none");
        if (none && arguments.has("level")) {
            throw new InvalidValueException(
                    "level", arguments.value("level"), "nothing is compressed with --compress none");
        }
        return none ? 0 : (int) arguments.number("level", CopyEngine.Options.DEFAULT.zstdLevel(), 1, 19);
    }

    /** An option's value in bytes, or {@code otherwise} when it was not given. */
    public static long bytes(Arguments arguments, String name, long otherwise) {
        String text = arguments.value(name);
        if (text == null) {
            return otherwise;
        }
        try {
            return ByteCount.parse(text);
        } catch (ArithmeticException | NumberFormatException e) {
            throw new InvalidValueException(name, text, "not a number of bytes such as 4096, 50M or 1.5G");
        }
    }
}
