// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.dmera.dmsetup.cli.DmSetup;

/**
 * Runs in the guest: many command lines in one JVM, because starting one for each would take seconds. Each line of the first
 * file is a program, {@code dmsetup} or {@code era-dmsetup}, and its arguments, separated by tabs; the second file gets for
 * each its exit code, its standard output and its standard error. With the paths of a control socket and a state folder for
 * two more arguments an engine runs meanwhile, in this JVM too.
 */
final class GuestSession {
    private static final String OURS = "era-dmsetup";

    private GuestSession() {}

    public static void main(String[] args) throws IOException, InterruptedException {
        if (args.length > 2) {
            startEngine(Path.of(args[2]), Path.of(args[3]));
        }
        List<String> answers = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(args[0]))) {
            List<String> words = Arrays.asList(line.split("\t", -1));
            answers.add((words.get(0).equals(OURS) ? ours(words) : theirs(words)).toLine());
            // Written each time, so that a command that hangs is known.
            Files.write(Path.of(args[1]), answers);
        }
        if (args.length > 2) {
            // The engine's threads would keep the JVM.
            System.exit(0);
        }
    }

    private static void startEngine(Path control, Path state) throws IOException, InterruptedException {
        List<String> words = List.of("--control", control.toString(), "engine", "--state", state.toString());
        Thread engine = new Thread(
                () -> new DmSetup(InputStream.nullInputStream(), System.out, System.err).run(OURS, words), "engine");
        engine.start();
        while (!Files.exists(control)) {
            if (!engine.isAlive()) {
                throw new IOException("the engine did not start");
            }
            Thread.sleep(20);
        }
    }

    private static CommandAnswer ours(List<String> words) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code;
        try (PrintStream outStream = new PrintStream(out, false, StandardCharsets.UTF_8);
                PrintStream errStream = new PrintStream(err, false, StandardCharsets.UTF_8)) {
            code = new DmSetup(InputStream.nullInputStream(), outStream, errStream)
                    .run(OURS, words.subList(1, words.size()));
        }
        return new CommandAnswer(code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }

    private static CommandAnswer theirs(List<String> words) throws IOException, InterruptedException {
        Path out = Files.createTempFile("session", ".out");
        Path err = Files.createTempFile("session", ".err");
        Process process = new ProcessBuilder(words)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(out.toFile())
                .redirectError(err.toFile())
                .start();
        int code = process.waitFor();
        CommandAnswer answer = new CommandAnswer(code, Files.readString(out), Files.readString(err));
        Files.delete(out);
        Files.delete(err);
        return answer;
    }
}
