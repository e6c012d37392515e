// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.EOFException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.dmera.core.linux.Errno;
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
 * The engine, the program itself, is killed before any one of the system calls of each command: after a restart everything is
 * as before the command or as after it, as after it if the command was answered, no acknowledged write is lost or unmarked,
 * nothing is left behind, and the command can be given again. A few calls of a few commands in every run, chosen by a seed that
 * the output names and {@code -Dera.kills.seed} takes; nightly every call of every command.
 */
@Timeout(value = 4, unit = TimeUnit.HOURS)
@Alone
class KilledBetweenSystemCallsTest {
    private static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");
    private static final int KILLS_IN_EVERY_RUN = 4;
    private static final long QUIET_MILLIS = 120;
    private static final long SETTLE_NANOS = TimeUnit.SECONDS.toNanos(60);

    @TempDir
    Path folder;

    private KilledEngine engine;

    /** A part of a command, which has an answer of its own. */
    interface Step {
        void run(KilledEngine engine) throws Exception;
    }

    /**
     * A command.
     *
     * @param before what is there before it
     * @param steps its parts; between two of them the state may stay as well, as {@code create} with a table is three calls
     */
    record Verb(String name, boolean attaches, Step before, List<Step> steps) {
        Verb(String name, Step before, Step... steps) {
            this(name, false, before, List.of(steps));
        }

        static Verb attached(String name, Step before, Step... steps) {
            return new Verb(name, true, before, List.of(steps));
        }
    }

    /** What is seen when there is none. */
    private static final String NO_DEVICE = "";

    private static final Step NOTHING = engine -> {};
    private static final Step RUNNING = engine -> {
        engine.create(engine.vol, "u-1");
        engine.load(engine.vol, engine.linear("a"));
        engine.resume(engine.vol);
    };
    private static final Step RELOADED = engine -> {
        RUNNING.run(engine);
        engine.load(engine.vol, engine.linear("b"));
    };
    private static final Step SUSPENDED = engine -> {
        RUNNING.run(engine);
        engine.suspend(engine.vol);
    };
    private static final Step ATTACHED = engine -> {
        RUNNING.run(engine);
        engine.message(engine.vol, "@attach");
    };
    private static final Step MOUNTED = engine -> {
        RUNNING.run(engine);
        engine.mount(engine.vol);
    };
    private static final Step ERA = engine -> {
        engine.create(engine.vol, "u-1");
        engine.load(engine.vol, engine.era("m", "a"));
        engine.resume(engine.vol);
        engine.learnEra(engine.vol);
    };
    private static final Step ERA_WRITTEN = engine -> {
        ERA.run(engine);
        engine.write(engine.vol, '1');
        engine.awaitOpens(engine.vol, 0);
    };
    private static final Step SNAPSHOT_HELD = engine -> {
        ERA_WRITTEN.run(engine);
        engine.message(engine.vol, "take_metadata_snap");
        engine.learnEra(engine.vol);
    };
    private static final Step CREATE = engine -> engine.create(engine.vol, "u-1");
    private static final Step LOAD_B = engine -> engine.load(engine.vol, engine.linear("b"));
    private static final Step RESUME = engine -> engine.resume(engine.vol);
    private static final Step SUSPEND = engine -> engine.suspend(engine.vol);
    private static final Step RENAME = engine -> engine.rename(engine.vol, engine.other);
    private static final Step REMOVE = engine -> engine.remove(engine.vol, false);
    private static final Step ATTACH = engine -> engine.message(engine.vol, "@attach");
    private static final Step DETACH = engine -> engine.message(engine.vol, "@detach");
    private static final Step WRITE = engine -> engine.write(engine.vol, '2');

    static final List<Verb> VERBS = List.of(
            new Verb("create with a table", NOTHING, CREATE, LOAD_B, RESUME, WRITE),
            new Verb(
                    "create with an era table",
                    NOTHING,
                    CREATE,
                    engine -> engine.load(engine.vol, engine.era("m", "a")),
                    RESUME,
                    WRITE),
            new Verb("load", RUNNING, LOAD_B),
            new Verb("load over another", RELOADED, engine -> engine.load(engine.vol, engine.linear("c"))),
            new Verb("load of an era table", ERA_WRITTEN, engine -> engine.load(engine.vol, engine.era("n", "b"))),
            new Verb("clear", RELOADED, engine -> engine.clear(engine.vol)),
            new Verb("resume onto another origin", RELOADED, RESUME, WRITE),
            new Verb("resume of a suspended one", SUSPENDED, RESUME, WRITE),
            new Verb(
                    "resume of an era device onto another origin",
                    engine -> {
                        ERA_WRITTEN.run(engine);
                        engine.load(engine.vol, engine.era("n", "b"));
                    },
                    RESUME,
                    WRITE),
            new Verb("suspend", RUNNING, SUSPEND),
            new Verb("suspend and resume of an era device", ERA_WRITTEN, SUSPEND, RESUME, WRITE),
            new Verb("rename", RUNNING, RENAME),
            new Verb("rename of an era device", ERA_WRITTEN, RENAME),
            new Verb(
                    "rename of one beneath another",
                    engine -> {
                        RUNNING.run(engine);
                        String upper = engine.vol + "-upper";
                        engine.create(upper, "");
                        engine.load(upper, KilledEngine.table("linear", "engine:" + engine.vol + " 0"));
                        engine.resume(upper);
                    },
                    RENAME,
                    engine -> engine.create(engine.vol, "")),
            new Verb(
                    "set uuid",
                    engine -> {
                        engine.create(engine.vol, "");
                        LOAD_B.run(engine);
                        RESUME.run(engine);
                    },
                    engine -> engine.setUuid(engine.vol, "u-2")),
            new Verb("remove", RELOADED, REMOVE),
            new Verb("remove of an era device", ERA_WRITTEN, REMOVE),
            new Verb(
                    "deferred removal",
                    engine -> {
                        RUNNING.run(engine);
                        engine.use(engine.vol);
                    },
                    engine -> engine.remove(engine.vol, true),
                    engine -> engine.endUse(engine.vol)),
            new Verb(
                    "deferred removal that is taken back",
                    engine -> {
                        RUNNING.run(engine);
                        engine.use(engine.vol);
                        engine.remove(engine.vol, true);
                    },
                    engine -> engine.message(engine.vol, "@cancel_deferred_remove")),
            new Verb("checkpoint", ERA_WRITTEN, engine -> engine.checkpoint(engine.vol), WRITE),
            new Verb(
                    "take_metadata_snap",
                    ERA_WRITTEN,
                    engine -> {
                        engine.message(engine.vol, "take_metadata_snap");
                    },
                    WRITE),
            new Verb("drop_metadata_snap", SNAPSHOT_HELD, engine -> engine.message(engine.vol, "drop_metadata_snap")),
            Verb.attached("attach", RUNNING, ATTACH),
            Verb.attached("attach of an era device", ERA_WRITTEN, ATTACH),
            Verb.attached("detach", ATTACHED, DETACH),
            Verb.attached("remove of an attached one", ATTACHED, REMOVE),
            Verb.attached("rename of an attached one", ATTACHED, RENAME),
            Verb.attached("suspend and resume of an attached one", ATTACHED, SUSPEND, RESUME),
            Verb.attached("suspend and resume of a mounted one", MOUNTED, SUSPEND, RESUME),
            Verb.attached(
                    "deferred removal of a mounted one", MOUNTED, engine -> engine.remove(engine.vol, true), engine -> {
                        engine.unmount();
                        engine.awaitGone(engine.vol);
                    }),
            Verb.attached(
                    "resume of an attached one onto another origin",
                    engine -> {
                        ATTACHED.run(engine);
                        LOAD_B.run(engine);
                    },
                    RESUME,
                    WRITE));

    /** The states before, between and after the steps of a command, and its calls. */
    private record Recorded(List<String> states, List<SystemCallKiller.Call> calls) {}

    private void start(String name) throws Exception {
        SystemCallKiller.need();
        TestLinks.clean();
        engine = new KilledEngine(folder, name);
    }

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

    @Test
    @Timeout(value = 20, unit = TimeUnit.MINUTES)
    void aFewCallsOfAFewCommands() throws Exception {
        long seed = Long.getLong("era.kills.seed", System.nanoTime());
        System.out.println("-Dera.kills.seed=" + seed);
        Random random = new Random(seed);
        List<Verb> verbs = new ArrayList<>(VERBS.stream()
                .filter(verb -> !verb.attaches || Program.isRoot())
                .toList());
        Collections.shuffle(verbs, random);
        start(TestLinks.name("killed"));
        for (Verb verb : verbs.subList(0, KILLS_IN_EVERY_RUN)) {
            Recorded recorded = record(verb);
            int number = 1 + random.nextInt(recorded.calls.size());
            try {
                kill(verb, recorded, number, recorded.calls.get(number - 1).numberInThread());
            } catch (Exception | AssertionError e) {
                throw new AssertionError("-Dera.kills.seed=" + seed + ": " + verb.name + ", before call " + number, e);
            }
        }
    }

    @TestFactory
    Stream<DynamicTest> everyCallOf() {
        String only = System.getProperty("era.kills.verbs", ".*");
        return VERBS.stream()
                .filter(verb -> NIGHTLY && verb.name.matches(only))
                .map(verb -> DynamicTest.dynamicTest(verb.name, () -> everyCallOf(verb)));
    }

    private void everyCallOf(Verb verb) throws Exception {
        if (verb.attaches) {
            Host.needAttach();
        }
        if (engine == null) {
            start(TestLinks.name("killed"));
        }
        Recorded recorded;
        try {
            recorded = record(verb);
        } catch (Exception | AssertionError e) {
            engine.kill();
            startAnew(0);
            throw e;
        }
        List<Throwable> failures = new ArrayList<>();
        int kills = 0;
        int late = 0;
        boolean killed = true;
        for (int number = 1; killed; number++) {
            int heldBack = number <= recorded.calls.size()
                    ? recorded.calls.get(number - 1).numberInThread()
                    : 1;
            try {
                int calls = kill(verb, recorded, number, heldBack);
                if (calls > number && heldBack > 1) {
                    // It went another way than when it was recorded, and calls were made before the kill came.
                    calls = kill(verb, recorded, number, 1);
                    kills++;
                }
                killed = calls >= number;
                kills += killed ? 1 : 0;
                late += calls > number ? 1 : 0;
            } catch (Exception | AssertionError e) {
                failures.add(new AssertionError(verb.name + ", before call " + number, e));
                System.out.println(verb.name + ", before call " + number + ": " + e);
                if (failures.size() > 30) {
                    break;
                }
                engine.kill();
                startAnew(number);
            }
        }
        System.out.println(verb.name + ": " + kills + " kills, " + late + " of them late");
        if (!failures.isEmpty()) {
            AssertionError all = new AssertionError(
                    failures.size() + " of " + kills + " kills: " + failures.get(0), failures.get(0));
            failures.subList(1, failures.size()).forEach(all::addSuppressed);
            throw all;
        }
    }

    /** After a failure, which may have left anything, in another folder. */
    private void startAnew(int number) throws Exception {
        TestLinks.clean();
        Path fresh = Files.createTempDirectory(folder, "after-" + number + "-");
        engine = new KilledEngine(fresh, TestLinks.name("killed"));
    }

    /** Runs the command once without a kill. */
    private Recorded record(Verb verb) throws Exception {
        begin(verb);
        List<String> states = new ArrayList<>(List.of(engine.seen()));
        for (Step step : verb.steps) {
            step.run(engine);
            states.add(engine.seen());
        }
        engine.removeAll();
        begin(verb);
        List<SystemCallKiller.Call> calls;
        try (SystemCallKiller watched = new SystemCallKiller(engine.process(), 0, 0)) {
            for (Step step : verb.steps) {
                step.run(engine);
            }
            watched.awaitQuiet(QUIET_MILLIS);
            calls = watched.calls();
        }
        engine.removeAll();
        return new Recorded(states, calls);
    }

    private void begin(Verb verb) throws Exception {
        engine.freshFiles();
        verb.before.run(engine);
    }

    /** Kills the engine before the call of that number, and judges what the next one finds; how many calls there were. */
    private int kill(Verb verb, Recorded recorded, int number, int heldBack) throws Exception {
        begin(verb);
        assertEquals(recorded.states.get(0), engine.seen(), "before the command");
        int answered = 0;
        int calls;
        String text;
        try (SystemCallKiller killer = new SystemCallKiller(engine.process(), number, heldBack)) {
            try {
                for (Step step : verb.steps) {
                    step.run(engine);
                    answered++;
                }
                killer.awaitQuiet(QUIET_MILLIS);
            } catch (DmException e) {
                throw e;
            } catch (IOException e) {
                assertTrue(killer.calls().size() >= number, () -> "not killed, and no answer: " + e);
            }
            calls = killer.calls().size();
            engine.kill();
            text = killer.awaitEnd();
        }
        try {
            judge(verb, recorded, answered);
        } catch (Exception | AssertionError e) {
            throw new AssertionError(
                    "answered: " + answered + " of " + verb.steps.size() + " in\n" + text + "\nthen\n" + engine.log()
                            + "\n" + e.getMessage(),
                    e);
        }
        return calls;
    }

    private void judge(Verb verb, Recorded recorded, int answered) throws Exception {
        engine.checkMetadata();
        engine.start();
        // Nobody has a device open after a restart: one whose removal was deferred goes then.
        List<String> allowed =
                recorded.states.subList(answered, Math.min(answered + 2, recorded.states.size())).stream()
                        .map(state -> state.contains(KilledEngine.DEFERRED) ? NO_DEVICE : state)
                        .toList();
        String found = settle(allowed);
        engine.unmount();
        int at = answered;
        while (at < recorded.states.size() && !recorded.states.get(at).equals(found)) {
            at++;
        }
        if (at == recorded.states.size()) {
            engine.removeAll();
            return;
        }
        for (Step step : verb.steps.subList(at, verb.steps.size())) {
            step.run(engine);
        }
        settle(recorded.states.subList(recorded.states.size() - 1, recorded.states.size()));
        engine.removeAll();
        engine.checkMetadata();
    }

    /** What is seen, as soon as it is one of those: nodes come back in the background. */
    private String settle(List<String> allowed) throws Exception {
        long deadline = System.nanoTime() + SETTLE_NANOS;
        String seen = look();
        while (!allowed.contains(seen) && System.nanoTime() < deadline) {
            LockSupport.parkNanos(20_000_000);
            seen = look();
        }
        String found = seen;
        assertTrue(
                allowed.contains(found),
                () -> "found\n" + found + "\nexpected one of\n" + String.join("or\n", allowed));
        return found;
    }

    /** What is seen; a device may go meanwhile, whose removal was deferred. */
    private String look() throws IOException {
        try {
            return engine.seen();
        } catch (EOFException e) {
            return e.toString();
        } catch (DmException e) {
            if (e.is(Errno.ENXIO)) {
                return e.getMessage();
            }
            throw e;
        }
    }
}
