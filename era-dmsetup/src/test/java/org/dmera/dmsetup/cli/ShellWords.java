// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.util.ArrayList;
import java.util.List;

/** Takes a recorded command line apart: words, single quotes, and {@code <<<} for standard input. */
public record ShellWords(List<String> words, String stdin) {
    /** The words after {@code dmsetup}. What is in parentheses at the end is the recorder's remark. */
    public static ShellWords of(String line) {
        String command = line.replaceFirst("   \\(.*\\)$", "");
        String stdin = "";
        int here = command.indexOf("<<<");
        if (here >= 0) {
            stdin = command.substring(here + 3).strip().replaceAll("^'|'$", "").replace("\\n", "\n");
            command = command.substring(0, here);
        }
        List<String> words = new ArrayList<>();
        StringBuilder word = null;
        boolean quoted = false;
        for (int i = 0; i < command.length(); i++) {
            char c = command.charAt(i);
            if (c == '\'') {
                quoted = !quoted;
                word = word == null ? new StringBuilder() : word;
            } else if (c == ' ' && !quoted) {
                if (word != null) {
                    words.add(word.toString());
                }
                word = null;
            } else {
                word = (word == null ? new StringBuilder() : word).append(c);
            }
        }
        if (word != null) {
            words.add(word.toString());
        }
        if (!words.get(0).equals("dmsetup")) {
            throw new IllegalArgumentException(line);
        }
        return new ShellWords(words.subList(1, words.size()), stdin);
    }
}
