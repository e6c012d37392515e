// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.dmera.testkit.Alone;
import org.dmera.tests.io.Host;
import org.dmera.tests.io.TestLinks;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every kind of call that a command makes on each file beneath the engine, its state or its devices, fails once: the engine
 * says so or does without, no acknowledged write is lost or unmarked, also when it is killed then and started again, and
 * every device can be taken away, which leaves nothing. Nightly.
 */
@Timeout(value = 4, unit = TimeUnit.HOURS)
@Alone
class FailingSystemCallsTest {
    private static final String CALLS = "open,openat,pread64,pwrite64,pwritev,fsync,fdatasync,fallocate,lseek,rename,"
            + "renameat,unlink,unlinkat,flock,fcntl,newfstatat,sendfile";
    private static final List<String> ERRORS = List.of("EIO", "ENOSPC");
    /** What the log says of a failure that nobody has thought of. */
    private static final Pattern UNFORESEEN = Pattern.compile("internal error|Exception|\\tat ");

    private static final long LIMIT_NANOS = TimeUnit.SECONDS.toNanos(60);

    @TempDir
    Path folder;

    private KilledEngine engine;

    @AfterEach
    void end() throws Exception {
        try {
            if (engine != null) {
                engine.stop();
            }
        } finally {
            TestLinks.clean();
        }
    }

    @TestFactory
    Stream<DynamicTest> everyKindOfCallOf() {
        String only = System.getProperty("era.kills.verbs", ".*");
        return KilledBetweenSystemCallsTest.VERBS.stream()
                .filter(verb -> Boolean.getBoolean("era.nightly") && verb.name().matches(only))
                .map(verb -> DynamicTest.dynamicTest(verb.name(), () -> everyKindOfCallOf(verb)));
    }

    private void everyKindOfCallOf(KilledBetweenSystemCallsTest.Verb verb) throws Exception {
        SystemCallKiller.need();
        if (verb.attaches()) {
            Host.needAttach();
        }
        if (engine == null) {
            TestLinks.clean();
            engine = new KilledEngine(folder, TestLinks.name("failing"));
        }
        for (String call : callsOf(verb)) {
            for (String error : ERRORS) {
                try {
                    fail(verb, call, error);
                } catch (Exception | AssertionError e) {
                    throw new AssertionError(verb.name() + ": " + error + " of " + call + ": " + engine.log(), e);
                }
            }
        }
    }

    /** As in {@code fsync FILE}: each kind of call on each file. */
    private Set<String> callsOf(KilledBetweenSystemCallsTest.Verb verb) throws Exception {
        begin(verb);
        runUnderStrace(verb, "-e", "trace=" + CALLS);
        engine.removeAll();
        Matcher call = Pattern.compile(
                        "^\\d+ +(\\w+)\\(.*?[<\"](" + Pattern.quote(folder.toString()) + "/[^>\"]+)[>\"]",
                        Pattern.MULTILINE)
                .matcher(Files.readString(folder.resolve("trace"), StandardCharsets.ISO_8859_1));
        Set<String> calls = new TreeSet<>();
        while (call.find()) {
            calls.add(call.group(1) + " " + call.group(2));
        }
        return calls;
    }

    private void begin(KilledBetweenSystemCallsTest.Verb verb) throws Exception {
        engine.freshFiles();
        verb.before().run(engine);
    }

    private void runUnderStrace(KilledBetweenSystemCallsTest.Verb verb, String... options) throws Exception {
        Path said = folder.resolve("strace.said");
        List<String> command = new ArrayList<>(List.of("strace", "-f", "-y", "-s", "8", "-o"));
        command.add(folder.resolve("trace").toString());
        command.addAll(List.of(options));
        command.addAll(List.of("-p", Long.toString(engine.process().pid())));
        Process strace = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(said.toFile())
                .start();
        try {
            long deadline = System.nanoTime() + LIMIT_NANOS;
            while (!Files.readString(said).contains("attached")) {
                assertTrue(strace.isAlive() && System.nanoTime() < deadline, "strace can't attach");
                LockSupport.parkNanos(5_000_000);
            }
            run(verb);
        } finally {
            strace.destroy();
            strace.waitFor();
        }
    }

    /** Until a step fails: a write to a device that has stayed suspended would wait for ever. */
    private void run(KilledBetweenSystemCallsTest.Verb verb) throws Exception {
        for (KilledBetweenSystemCallsTest.Step step : verb.steps()) {
            try {
                step.run(engine);
            } catch (IOException | AssertionError e) {
                return;
            }
        }
    }

    private void fail(KilledBetweenSystemCallsTest.Verb verb, String call, String error) throws Exception {
        begin(verb);
        String[] words = call.split(" ", 2);
        runUnderStrace(verb, "-P", words[1], "-e", "inject=" + words[0] + ":error=" + error + ":when=1");
        assertTrue(engine.process().isAlive(), "the engine has ended");
        engine.checkMetadata();
        engine.unmount();
        String log = engine.log();
        assertFalse(UNFORESEEN.matcher(log).find(), log);
        engine.kill();
        TestLinks.clean();
        engine.start();
        engine.checkMetadata();
        engine.removeAll();
        assertEquals("", engine.seen());
    }
}
