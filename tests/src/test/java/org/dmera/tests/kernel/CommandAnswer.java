// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

/** What a command said; as one line of a file, its line ends and backslashes are escaped. */
record CommandAnswer(int exitCode, String output, String error) {

    String toLine() {
        return exitCode + "\t" + escape(output) + "\t" + escape(error);
    }

    static CommandAnswer parse(String line) {
        String[] parts = line.split("\t", -1);
        return new CommandAnswer(Integer.parseInt(parts[0]), unescape(parts[1]), unescape(parts[2]));
    }

    private static String escape(String text) {
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t");
    }

    private static String unescape(String text) {
        StringBuilder plain = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '\\') {
                i++;
                c = text.charAt(i) == 'n' ? '\n' : text.charAt(i) == 't' ? '\t' : text.charAt(i);
            }
            plain.append(c);
        }
        return plain.toString();
    }
}
