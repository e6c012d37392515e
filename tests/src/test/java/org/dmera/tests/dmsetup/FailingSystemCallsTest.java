// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

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
import org.dmera.dmsetup.control.DmException;
import org.dmera.testkit.Alone;
import org.dmera.tests.io.Host;
import org.dmera.tests.io.TestLinks;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
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
    /** What nodes are made of and come to as well: the kernel's device files, links, mounts, and what it tells of them. */
    private static final String CALLS_OF_NODES =
            CALLS + ",ioctl,mount,umount2,read,readv,write,writev,symlink,readlink,"
                    + "mkdir,chmod,mknod,mknodat,getdents64,statx,access";

    private static final String FILES_OF_NODES =
            "/dev/(?:fuse|loop-control|loop\\d+|mapper/%s.*)|/sys/(?:class/)?block/loop.*|/proc/(?:misc|swaps|\\w+/mountinfo)";
    /** In a call's file, for that in which the engine has everything. */
    private static final String FOLDER = "FOLDER";

    private static final Pattern LOOP = Pattern.compile("(/dev/loop|/sys/block/loop|/sys/class/block/loop)\\d+(.*)");
    private static final Set<String> TAKING_AWAY =
            Set.of("unlink", "umount2", "readlink", "statx", "newfstatat", "access");
    /** Loop devices that may be the next free one. */
    private static final int LOOPS = 16;
    /** Calls of a kind on a device file, of which each is another one: ioctl(2), most of all. */
    private static final int NUMBERED_CALLS = 4;
    /** After the first the devices are taken away, after the second the engine is killed and started again. */
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

    /** It would be in a view half-way through what it was writing. */
    @Test
    void aDeviceOfWhichNobodyKnowsWhatIsMountedOnItIsNotSuspended() throws Exception {
        assumeTrue(Boolean.getBoolean("era.nightly"), "mounts under strace: -Dera.nightly=true");
        begin(true);
        engine.freshFiles();
        engine.create(engine.vol, "u-1");
        engine.load(engine.vol, engine.linear("a"));
        engine.resume(engine.vol);
        engine.mount(engine.vol);
        List<String> failing = List.of("-P", "/proc/self/mountinfo", "-e", "inject=open,openat:error=EMFILE:when=1+");
        underStrace(failing, () -> assertThrows(DmException.class, () -> engine.suspend(engine.vol)));
        engine.unmount();
        engine.removeAll();
    }

    private void begin(boolean attaches) throws Exception {
        SystemCallKiller.need();
        if (attaches) {
            Host.needAttach();
        }
        if (engine == null) {
            TestLinks.clean();
            engine = new KilledEngine(folder, TestLinks.name("failing"));
        }
    }

    private void everyKindOfCallOf(KilledBetweenSystemCallsTest.Verb verb) throws Exception {
        begin(verb.attaches());
        String only = System.getProperty("era.failing.calls", ".*");
        List<Throwable> failures = new ArrayList<>();
        Set<Call> calls = callsOf(verb);
        long began = System.nanoTime();
        for (Call call : calls) {
            for (String error : ERRORS) {
                String what = verb.name() + ": " + error + " of " + call;
                if (!what.matches(only)) {
                    continue;
                }
                try {
                    fail(verb, call, error);
                } catch (Exception | AssertionError e) {
                    failures.add(new AssertionError(what + ": " + engine.log(), e));
                    System.out.println(what + ": " + e + "\n" + engine.log());
                    startAnew();
                }
            }
        }
        long seconds = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - began);
        System.out.println(verb.name() + ": " + calls.size() + " calls in " + seconds + " s");
        if (!failures.isEmpty()) {
            AssertionError all = new AssertionError(failures.size() + " failures", failures.get(0));
            failures.subList(1, failures.size()).forEach(all::addSuppressed);
            throw all;
        }
    }

    /** After a failure, which may have left anything, in another folder. */
    private void startAnew() throws Exception {
        try {
            engine.unmount();
        } catch (Exception | AssertionError e) {
            System.out.println("unmount: " + e);
        }
        engine.kill();
        TestLinks.clean();
        engine = new KilledEngine(Files.createTempDirectory(folder, "after-"), TestLinks.name("failing"));
    }

    /** One kind of call on a file, and which of them. */
    private record Call(String name, String file, int number) implements Comparable<Call> {
        @Override
        public int compareTo(Call other) {
            return toString().compareTo(other.toString());
        }

        /** What can't be looked at or taken away when a node goes is named in the log, and the next engine does away with it. */
        boolean isOfTakingAway() {
            return TAKING_AWAY.contains(name) && (file.startsWith("/dev/mapper/") || file.contains(".attached/"));
        }

        /** Has strace make it fail: of a loop device whichever is the next free one. */
        List<String> options(String error, Path folder) {
            List<String> options = new ArrayList<>();
            Matcher loop = LOOP.matcher(file);
            boolean any = loop.matches();
            for (int i = 0; i < (any ? LOOPS : 1); i++) {
                options.addAll(List.of(
                        "-P", any ? loop.group(1) + i + loop.group(2) : file.replace(FOLDER, folder.toString())));
            }
            options.addAll(List.of("-e", "inject=" + name + ":error=" + error + ":when=" + number));
            return options;
        }
    }

    private Set<Call> callsOf(KilledBetweenSystemCallsTest.Verb verb) throws Exception {
        prepare(verb);
        runUnderStrace(verb, List.of("-e", "trace=" + (verb.attaches() ? CALLS_OF_NODES : CALLS)));
        engine.removeAll();
        String files = Pattern.quote(engine.program.folder.toString()) + "/[^>\"]+"
                + (verb.attaches() ? "|" + FILES_OF_NODES.formatted(Pattern.quote(engine.vol)) : "");
        Matcher found = Pattern.compile("^\\d+ +(\\w+)\\(.*?[<\"](" + files + ")[>\"]", Pattern.MULTILINE)
                .matcher(Files.readString(folder.resolve("trace"), StandardCharsets.ISO_8859_1));
        Set<Call> calls = new TreeSet<>();
        while (found.find()) {
            String file = found.group(2).replace(engine.program.folder.toString(), FOLDER);
            int number = 1;
            while (!calls.add(new Call(found.group(1), file, number))
                    && number < NUMBERED_CALLS
                    && file.startsWith("/dev/")) {
                number++;
            }
        }
        return calls;
    }

    private void prepare(KilledBetweenSystemCallsTest.Verb verb) throws Exception {
        engine.freshFiles();
        verb.before().run(engine);
    }

    private void runUnderStrace(KilledBetweenSystemCallsTest.Verb verb, List<String> options) throws Exception {
        underStrace(options, () -> run(verb));
    }

    /** What is done while strace looks at the engine. */
    private interface Part {
        void run() throws Exception;
    }

    private void underStrace(List<String> options, Part part) throws Exception {
        Path said = folder.resolve("strace.said");
        List<String> command = new ArrayList<>(List.of("strace", "-f", "-y", "-s", "8", "-o"));
        command.add(folder.resolve("trace").toString());
        command.addAll(options);
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
            part.run();
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

    private void fail(KilledBetweenSystemCallsTest.Verb verb, Call call, String error) throws Exception {
        prepare(verb);
        runUnderStrace(verb, call.options(error, engine.program.folder));
        assertTrue(engine.process().isAlive(), "the engine has ended");
        engine.checkMetadata();
        engine.unmount();
        String log = engine.log();
        assertFalse(UNFORESEEN.matcher(log).find(), log);
        if (error.equals(ERRORS.get(0)) && !call.isOfTakingAway()) {
            engine.removeAll();
            return;
        }
        engine.kill();
        engine.start();
        engine.checkMetadata();
        engine.removeAll();
        assertEquals("", engine.seen());
    }
}
