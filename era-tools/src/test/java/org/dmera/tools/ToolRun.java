// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.dmera.tools.cli.CommandLine;

/** One run of a tool inside this process. */
final class ToolRun {
    private final int code;
    private final byte[] out;
    private final String err;

    private ToolRun(int code, byte[] out, String err) {
        this.code = code;
        this.out = out;
        this.err = err;
    }

    static ToolRun of(String tool, Object... args) {
        return withInput(new byte[0], tool, args);
    }

    static ToolRun withInput(byte[] input, String tool, Object... args) {
        String[] words = new String[args.length];
        for (int i = 0; i < args.length; i++) {
            words[i] = args[i].toString();
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = CommandLine.run(
                Commands.find(tool),
                words,
                new ByteArrayInputStream(input),
                out,
                new PrintStream(err, true, StandardCharsets.UTF_8));
        return new ToolRun(code, out.toByteArray(), err.toString(StandardCharsets.UTF_8));
    }

    /** The product of a run that must have succeeded without a word on standard error. */
    byte[] product() {
        if (code != 0 || !err.isEmpty()) {
            throw new AssertionError("exit " + code + ": " + err);
        }
        return out;
    }

    String text() {
        return new String(product(), StandardCharsets.UTF_8);
    }

    /** The product of a run that must have succeeded with one line on standard error, which contains {@code text}. */
    String warned(String text) {
        if (code != 0 || err.indexOf('\n') != err.length() - 1 || !err.contains(text)) {
            throw new AssertionError("exit " + code + ", no \"" + text + "\" in: " + err);
        }
        return new String(out, StandardCharsets.UTF_8);
    }

    /** Requires that it failed without a product, and that what it said contains {@code text}. */
    void failed(String text) {
        if (code != 1 || out.length != 0 || !err.contains(text)) {
            throw new AssertionError("exit " + code + ", " + out.length + " bytes of output, and: " + err);
        }
    }

    /** Requires that it failed with one line, which contains every one of {@code texts}, and printed nothing. */
    void refused(String... texts) {
        if (code != 1 || out.length != 0 || err.indexOf('\n') != err.length() - 1) {
            throw new AssertionError("exit " + code + ", " + out.length + " bytes of output, and: " + err);
        }
        for (String text : texts) {
            if (!err.contains(text)) {
                throw new AssertionError("no \"" + text + "\" in: " + err);
            }
        }
    }
}
