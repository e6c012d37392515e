// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.dmera.dmsetup.cli.DmSetup;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.targets.EraTarget;

/** Runs era-dmsetup's commands in this process on an engine in this process, one after another, each to its rest. */
final class DmSetupOnEngine {
    private static final long AT_REST_WITHIN_NANOS = TimeUnit.SECONDS.toNanos(60);

    /** What a command did. */
    record Result(int exit, List<String> stdout, List<String> stderr) {}

    private final TestEngine engine;

    DmSetupOnEngine(TestEngine engine) {
        this.engine = engine;
    }

    Result run(List<String> words, String stdin) {
        List<String> args = new ArrayList<>(List.of("--control", engine.socket.toString()));
        args.addAll(words);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int exit = new DmSetup(
                        new ByteArrayInputStream(stdin.getBytes(StandardCharsets.UTF_8)),
                        new PrintStream(out, false, StandardCharsets.UTF_8),
                        new PrintStream(err, false, StandardCharsets.UTF_8))
                .run("dmsetup", args);
        awaitRest();
        return new Result(
                exit,
                out.toString(StandardCharsets.UTF_8).lines().toList(),
                err.toString(StandardCharsets.UTF_8).lines().toList());
    }

    /**
     * The lines of a status of the device, with what the engine has answered by now: a status doesn't wait for a machine that
     * is slow, and may print older figures then.
     */
    List<String> answered(String name, List<String> printed) throws IOException {
        List<String> lines = new ArrayList<>();
        for (String line : printed) {
            String[] words = line.split(" ", 4);
            words[3] = engine.registry()
                    .byName(name)
                    .onTarget(
                            Long.parseLong(words[0]),
                            target -> target instanceof EraTarget era ? era.answeredStatus() : words[3]);
            lines.add(String.join(" ", words));
        }
        return lines;
    }

    /** Waits until every era target has digested what there is to digest. */
    void awaitRest() {
        long deadline = System.nanoTime() + AT_REST_WITHIN_NANOS;
        for (MappedDevice device : engine.registry().devices()) {
            while (!isAtRest(device)) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException(device + " does not come to rest");
                }
                LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(50));
            }
        }
    }

    private static boolean isAtRest(MappedDevice device) {
        if (!device.hasLive()) {
            return true;
        }
        try {
            String rest = "at rest";
            long[] sector = {0};
            boolean atRest = true;
            for (var line : device.lines(false, true)) {
                sector[0] = line.startSector();
                atRest &= rest.equals(device.onTarget(
                        sector[0], target -> target instanceof EraTarget era && !era.isIdle() ? "busy" : rest));
            }
            return atRest;
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
