// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The links in /dev to the nodes of tests' devices, whose names are {@code era-WHAT-PID…}. One that is left behind names a
 * loop device that may be somebody else's by now, and nobody but the tests knows that it is stale.
 */
public final class TestLinks {
    private static final Pattern NAME = Pattern.compile("era-[a-z-]+-([0-9]+)(-.*)?");

    private TestLinks() {}

    /** A device's name that says whose it is. */
    public static String name(String what) {
        return "era-" + what + "-" + ProcessHandle.current().pid();
    }

    /** Takes away what this process's tests left, as after an engine that was killed, and what those that were killed did. */
    public static void clean() throws IOException {
        for (Path folder : List.of(Path.of("/dev/mapper"), Path.of("/dev/era"))) {
            if (!Files.isDirectory(folder)) {
                continue;
            }
            try (DirectoryStream<Path> links = Files.newDirectoryStream(folder, Files::isSymbolicLink)) {
                for (Path link : links) {
                    Matcher name = NAME.matcher(link.getFileName().toString());
                    if (name.matches() && isOver(Long.parseLong(name.group(1)))) {
                        Files.deleteIfExists(link);
                    }
                }
            }
        }
    }

    private static boolean isOver(long pid) {
        return pid == ProcessHandle.current().pid() || ProcessHandle.of(pid).isEmpty();
    }
}
