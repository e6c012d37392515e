// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** An engine in a process of its own, to be killed. */
final class CrashedEngine {
    private final Process process;

    /**
     * Starts one on the devices that are remembered in {@code folder}; answers when it serves them.
     *
     * @param options further ones of the virtual machine
     */
    CrashedEngine(Path folder, String... options) throws IOException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"));
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName(), folder.toString()));
        process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        BufferedReader out =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        if (!"ready".equals(out.readLine())) {
            throw new IOException("the engine did not start");
        }
    }

    /** kill -9, and waits until it is gone. */
    void kill() throws InterruptedException, IOException {
        process.destroyForcibly();
        if (!process.waitFor(240, TimeUnit.SECONDS)) {
            throw new IOException("the engine outlives SIGKILL");
        }
    }

    /** The process. */
    static final class Main {
        private Main() {}

        public static void main(String[] args) throws IOException {
            TestEngine engine = new TestEngine(Path.of(args[0]));
            System.out.println("ready");
            System.out.flush();
            // Until it is killed, or whoever started it is gone.
            while (System.in.read() >= 0) {}
            engine.close();
        }
    }
}
