// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.read.MetadataRoots;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.control.SocketControl;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.testkit.Alone;
import org.dmera.tests.io.Host;
import org.dmera.tests.io.TestLinks;
import org.dmera.tests.io.WireClient;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Several clients give an engine commands for one device, and write to it, while some kind of system call takes long: each
 * command is answered, by an error for one that does not fit the others, no acknowledged write is lost or unmarked, also when
 * the engine is killed then, and nothing is left. Nightly; {@code -Dera.slow.seed} takes a seed again.
 */
@Timeout(value = 2, unit = TimeUnit.HOURS)
@Alone
class SlowSystemCallsTest {
    private static final List<String> SLOW = List.of(
            "fsync,fdatasync",
            "pwrite64,pwritev",
            "pread64,preadv",
            "rename,unlink,fsync",
            "open,openat",
            "ioctl",
            "ioctl,mount,umount2",
            "fcntl,flock",
            "read,write,writev",
            "futex",
            "close");
    private static final List<Integer> DELAYS_MILLIS = List.of(2, 20, 150);
    private static final Pattern UNFORESEEN = Pattern.compile("internal error|Exception|\\tat ");
    private static final int BLOCKS = 200;
    private static final int WRITERS = 2;
    private static final long ROUND_NANOS = TimeUnit.MILLISECONDS.toNanos(2500);
    private static final long LIMIT_MILLIS = 60_000;
    private static final String VIEW_UUID = "slow-view-";

    @TempDir
    Path folder;

    private KilledEngine engine;
    private Random random;
    private final AtomicBoolean over = new AtomicBoolean();
    private final Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
    /** Of each block what was acknowledged last, and what was sent last. */
    private final int[] acknowledged = new int[BLOCKS];

    private final int[] sent = new int[BLOCKS];
    /** In which era, or later, a block was written last. */
    private final long[] eras = new long[BLOCKS];
    /** The last era that the device was told to be in. */
    private volatile long era;

    private final AtomicInteger numbers = new AtomicInteger();

    /** What a client asks for, again and again. */
    private interface Command {
        void run(DmClient client) throws IOException;
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
    void commandsAtOnce() throws Exception {
        assumeTrue(Boolean.getBoolean("era.nightly"), "takes minutes: -Dera.nightly=true");
        SystemCallKiller.need();
        Host.needAttach();
        TestLinks.clean();
        engine = new KilledEngine(folder, TestLinks.name("slow"));
        int rounds = Integer.getInteger("era.slow.rounds", 60);
        long first = Long.getLong("era.slow.seed", System.nanoTime());
        for (int round = 0; round < rounds; round++) {
            long seed = first + round;
            System.out.println("-Dera.slow.rounds=1 -Dera.slow.seed=" + seed);
            random = new Random(seed);
            try {
                round();
            } catch (Exception | AssertionError e) {
                failures.forEach(e::addSuppressed);
                throw new AssertionError("-Dera.slow.rounds=1 -Dera.slow.seed=" + seed + ": " + engine.log(), e);
            }
        }
    }

    private void round() throws Exception {
        engine.freshFiles();
        Arrays.fill(acknowledged, 0);
        Arrays.fill(sent, 0);
        Arrays.fill(eras, 0);
        over.set(false);
        failures.clear();
        engine.create(engine.vol, "u-1");
        List<TargetSpec> table = engine.era("m", "a");
        engine.load(engine.vol, table);
        engine.resume(engine.vol);
        era = 1;
        Process strace = slow();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < WRITERS; i++) {
            int first = i;
            threads.add(start("writer", random.nextLong(), any -> write(first, any)));
        }
        List<List<Command>> actors = actors(table);
        int count = 2 + random.nextInt(actors.size() - 1);
        java.util.Collections.shuffle(actors, random);
        for (List<Command> actor : actors.subList(0, count)) {
            threads.add(start("actor", random.nextLong(), any -> act(actor, any)));
        }
        LockSupport.parkNanos(ROUND_NANOS);
        boolean kill = random.nextInt(3) == 0;
        if (kill) {
            over.set(true);
            engine.process().destroyForcibly();
        }
        over.set(true);
        // Not asked to: it would stop one thread after the other, and one may wait in the kernel for another, by way of
        // a node.
        strace.destroyForcibly();
        strace.waitFor();
        for (Thread thread : threads) {
            thread.join(LIMIT_MILLIS);
            assertFalse(
                    thread.isAlive(), () -> thread.getName() + " hangs: " + Arrays.toString(thread.getStackTrace()));
        }
        Throwable failure = failures.poll();
        if (failure != null) {
            throw new AssertionError(failure);
        }
        String log = engine.log();
        assertFalse(UNFORESEEN.matcher(log).find(), log);
        if (kill) {
            engine.kill();
            checkMarks();
            engine.start();
        }
        settle();
        engine.removeAll();
        assertEquals("", engine.seen());
        checkMarks();
        checkData();
    }

    private Process slow() throws Exception {
        String calls = SLOW.get(random.nextInt(SLOW.size()));
        int delay = DELAYS_MILLIS.get(random.nextInt(DELAYS_MILLIS.size())) * 1000;
        int step = calls.equals("futex") ? 50 : 1 + random.nextInt(5);
        Path said = folder.resolve("strace.said");
        String end = random.nextBoolean() ? "delay_enter" : "delay_exit";
        String inject = "inject=" + calls + ":" + end + "=" + delay + ":when=" + (1 + random.nextInt(5)) + "+" + step;
        System.out.println(inject);
        Process strace = new ProcessBuilder(
                        "strace",
                        "-f",
                        "-o",
                        "/dev/null",
                        "-e",
                        "trace=" + calls,
                        "-e",
                        inject,
                        "-p",
                        Long.toString(engine.process().pid()))
                .redirectErrorStream(true)
                .redirectOutput(said.toFile())
                .start();
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(LIMIT_MILLIS);
        while (!Files.readString(said).contains("attached")) {
            assertTrue(strace.isAlive() && System.nanoTime() < deadline, "strace can't attach");
            LockSupport.parkNanos(5_000_000);
        }
        return strace;
    }

    private interface Work {
        void with(Random any) throws Exception;
    }

    private Thread start(String name, long seed, Work work) {
        Thread thread = new Thread(
                () -> {
                    try {
                        work.with(new Random(seed));
                    } catch (Exception | Error e) {
                        if (!over.get()) {
                            failures.add(e);
                        }
                    }
                },
                name);
        thread.start();
        return thread;
    }

    private DmClient client() throws IOException {
        return new DmClient(SocketControl.connect(engine.program.socket));
    }

    private static DmCall call(String task, DmCommand command, DeviceId device) {
        return DmCall.of(task, command, device);
    }

    private List<List<Command>> actors(List<TargetSpec> table) {
        DeviceId vol = DeviceId.ofUuid("u-1");
        Command suspend = c -> call("suspend", DmCommand.DEV_SUSPEND, vol)
                .flag(DmFlags.SUSPEND, true)
                .run(c.control());
        Command resume = c -> call("resume", DmCommand.DEV_SUSPEND, vol).run(c.control());
        Command load =
                c -> call("reload", DmCommand.TABLE_LOAD, vol).table(table).run(c.control());
        Command clear = c -> call("clear", DmCommand.TABLE_CLEAR, vol).run(c.control());
        Command checkpoint = c -> era = Math.max(era, c.checkpoint(vol));
        Command attach = c -> c.message(vol, 0, "@attach");
        Command detach = c -> c.message(vol, 0, "@detach");
        Command take = c -> c.message(vol, 0, "take_metadata_snap");
        Command drop = c -> c.message(vol, 0, "drop_metadata_snap");
        Command view = c -> {
            String uuid = VIEW_UUID + numbers.incrementAndGet();
            c.freeze(List.of(vol), folder, true, List.of(uuid));
            DeviceId made = DeviceId.ofUuid(uuid);
            String name = c.info(made).name();
            try (WireClient reader = WireClient.open(Path.of(engine.program.socket + ".nbd"), name)) {
                // With another table in use it is lost.
                reader.read(0, KilledEngine.BLOCK_BYTES);
            }
            call("thaw", DmCommand.DEV_REMOVE, made).patiently(true).run(c.control());
        };
        Command there = c ->
                call("rename", DmCommand.DEV_RENAME, vol).text(engine.other).run(c.control());
        Command back =
                c -> call("rename", DmCommand.DEV_RENAME, vol).text(engine.vol).run(c.control());
        Command status = c -> c.status(vol);
        return new ArrayList<>(List.of(
                List.of(suspend, resume),
                List.of(suspend, load, resume),
                List.of(load, resume),
                List.of(load, clear),
                List.of(checkpoint),
                List.of(attach, detach),
                List.of(attach, suspend, resume, detach),
                List.of(take, drop),
                List.of(view),
                List.of(view),
                List.of(there, back),
                List.of(status)));
    }

    /** One after the other, each answered in time, by an error perhaps. */
    private void act(List<Command> commands, Random any) throws Exception {
        try (DmClient client = client()) {
            while (!over.get()) {
                for (Command command : commands) {
                    long began = System.nanoTime();
                    try {
                        command.run(client);
                    } catch (DmException e) {
                        // It does not fit what another one has made of the device meanwhile.
                        LockSupport.parkNanos(1_000_000);
                    }
                    long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began);
                    assertTrue(millis < LIMIT_MILLIS, () -> "a command took " + millis + " ms");
                    LockSupport.parkNanos(any.nextInt(5) * 1_000_000L);
                }
            }
        }
    }

    /** Writes to every {@link #WRITERS}th block; the export's name may change. */
    private void write(int first, Random any) throws Exception {
        WireClient writer = null;
        int number = 0;
        byte[] data = new byte[KilledEngine.BLOCK_BYTES];
        try {
            while (!over.get()) {
                if (writer == null) {
                    writer = open();
                    continue;
                }
                int block = any.nextInt(BLOCKS / WRITERS) * WRITERS + first;
                long at = era;
                sent[block] = ++number;
                byte[] stamp = stamp(number);
                for (int i = 0; i < data.length; i += stamp.length) {
                    System.arraycopy(stamp, 0, data, i, stamp.length);
                }
                int error = writer.write((long) block * data.length, data);
                assertEquals(0, error, "a write fails");
                acknowledged[block] = number;
                eras[block] = at;
            }
        } finally {
            if (writer != null) {
                writer.close();
            }
        }
    }

    private WireClient open() throws IOException {
        for (String name : List.of(engine.vol, engine.other)) {
            try {
                return WireClient.open(Path.of(engine.program.socket + ".nbd"), name);
            } catch (IOException e) {
                LockSupport.parkNanos(1_000_000);
            }
        }
        return null;
    }

    private static byte[] stamp(int number) {
        return String.format("%016d", number).getBytes(StandardCharsets.US_ASCII);
    }

    /** Whatever was left half-way by a client that stopped. */
    private void settle() throws Exception {
        try (DmClient client = client()) {
            DeviceId vol = DeviceId.ofUuid("u-1");
            call("resume", DmCommand.DEV_SUSPEND, vol).run(client.control());
        }
    }

    private void checkMarks() throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(Files.readAllBytes(folder.resolve("m")));
        CheckReport report = MetadataChecker.check(device);
        assertTrue(report.isClean(), report::toString);
        MetadataRoots roots = MetadataRoots.read(device);
        assertTrue(roots.currentEra() >= era, () -> "era " + roots.currentEra() + " after " + era);
        for (int block = 0; block < BLOCKS; block++) {
            if (acknowledged[block] > 0) {
                BlockSet changed = ChangedBlocks.since(device, roots, Math.max(1, eras[block]));
                assertTrue(changed.contains(block), "block " + block + " of era " + eras[block] + " is not marked");
            }
        }
    }

    private void checkData() throws IOException {
        byte[] all = Files.readAllBytes(folder.resolve("a"));
        for (int block = 0; block < BLOCKS; block++) {
            if (acknowledged[block] > 0) {
                int at = block * KilledEngine.BLOCK_BYTES;
                String there = new String(all, at, 16, StandardCharsets.US_ASCII);
                int number = Integer.parseInt(there);
                assertTrue(
                        number >= acknowledged[block] && number <= sent[block],
                        "block " + block + " has write " + there + ", acknowledged is " + acknowledged[block]);
            }
        }
    }
}
