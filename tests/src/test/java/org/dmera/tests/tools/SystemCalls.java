// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What strace saw of a program and all of its threads, in order. */
final class SystemCalls {
    static final String STRACE = "/usr/bin/strace";

    private static final Pattern LINE = Pattern.compile("(\\d+) +(.*)");
    private static final Pattern RESUMED = Pattern.compile("<\\.\\.\\. \\w+ resumed>(.*)");
    private static final String UNFINISHED = " <unfinished ...>";

    /** A call that did what it was asked for: it had begun with line {@code from}, and was over with line {@code to}. */
    record Call(int from, int to, String text) {
        boolean is(String names) {
            return text.matches("(?:" + names + ")\\(.*");
        }

        /** Whether its first argument is a descriptor of that file. */
        boolean isOn(Path file) {
            return text.matches("\\w+\\(\\d+<" + Pattern.quote(file.toString()) + ">.*");
        }
    }

    private SystemCalls() {}

    /** The command under strace, which writes to {@code trace}; with further options of strace's. */
    static List<String> traced(Path trace, List<String> options, List<String> command) {
        List<String> all = new ArrayList<>(List.of(STRACE, "-f", "-y", "-s", "8", "-qq", "-o", trace.toString()));
        all.addAll(options);
        all.addAll(command);
        return all;
    }

    /** Those of {@code trace} that did not fail. */
    static List<Call> of(Path trace) throws IOException {
        List<Call> calls = new ArrayList<>();
        Map<String, Integer> began = new HashMap<>();
        Map<String, String> halves = new HashMap<>();
        List<String> lines = Files.readAllLines(trace, java.nio.charset.StandardCharsets.ISO_8859_1);
        for (int i = 0; i < lines.size(); i++) {
            Matcher line = LINE.matcher(lines.get(i));
            if (!line.matches()) {
                throw new IOException("not a line of strace's: " + lines.get(i));
            }
            String thread = line.group(1);
            String text = line.group(2);
            if (text.endsWith(UNFINISHED)) {
                halves.put(thread, text.substring(0, text.length() - UNFINISHED.length()));
                began.put(thread, i);
                continue;
            }
            int from = i;
            Matcher resumed = RESUMED.matcher(text);
            if (resumed.matches() && halves.containsKey(thread)) {
                text = halves.remove(thread) + resumed.group(1);
                from = began.remove(thread);
            }
            if (text.matches("\\w+\\(.*") && !text.matches(".*\\) += -1 .*")) {
                calls.add(new Call(from, i, text));
            }
        }
        return calls;
    }
}
