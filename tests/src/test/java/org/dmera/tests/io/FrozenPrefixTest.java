// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.LongBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.dmera.dmsetup.backup.BackupCommand;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.tools.backup.ApplyCommand;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A client that numbers its writes, and sends each when the one before is answered, to one of two devices; and freezes of
 * both at random moments. The views hold the result of the first N of them, together, for one N, from the first look to the
 * last, however much is overwritten; and what their map calls dirty since the freeze before makes the one of the other.
 */
class FrozenPrefixTest {
    /** {@code -Dera.freezes=N}: as many. */
    private static final int FREEZES = Integer.getInteger("era.freezes", Host.NIGHTLY ? 1000 : 24);

    private static final int BACKUPS = Host.NIGHTLY ? 100 : 4;

    private static final int BLOCK = TestEngine.BLOCK_BYTES;
    private static final int MIB = 6;
    private static final int BLOCKS = (MIB << 20) / BLOCK;
    private static final List<String> DEVICES = List.of("a", "b");
    /** Of one device at a time; the oldest goes. */
    private static final int VIEWS = 3;

    @TempDir
    private Path folder;

    /** A numbered operation: {@code count} blocks of a device get its number, or zeroes. */
    private record Op(int device, int block, int count, long stamp) {}

    /** What blocks hold: the stamp, which fills them. */
    private static final class Model {
        final long[][] blocks = new long[DEVICES.size()][BLOCKS];
        int applied;

        void apply(List<Op> log, int upTo) {
            for (; applied < upTo; applied++) {
                Op op = log.get(applied);
                Arrays.fill(blocks[op.device], op.block, op.block + op.count, op.stamp);
            }
        }
    }

    /** The views of one moment, with what they held at the first look. */
    private static final class Moment {
        final List<String> views;
        final long[][] state;
        final List<Long> eras;

        Moment(List<String> views, long[][] state, List<Long> eras) {
            this.views = views;
            this.state = state;
            this.eras = eras;
        }
    }

    private final List<Op> log = new ArrayList<>();
    /** Operations that have been sent, and that have been answered. */
    private final AtomicInteger sent = new AtomicInteger();

    private final AtomicInteger answered = new AtomicInteger();
    private volatile boolean stop;
    private volatile Throwable failure;

    private void write(long seed) {
        Random random = new Random(seed);
        List<WireClient> clients = new ArrayList<>();
        try {
            for (String device : DEVICES) {
                clients.add(WireClient.open(folder.resolve("nbd"), device));
            }
            for (long stamp = 1; !stop; stamp++) {
                int count = 1 + (random.nextInt(8) == 0 ? random.nextInt(40) : 0);
                Op op = new Op(
                        random.nextInt(DEVICES.size()),
                        random.nextInt(BLOCKS - count + 1),
                        count,
                        random.nextInt(20) == 0 ? 0 : stamp);
                synchronized (log) {
                    log.add(op);
                }
                sent.incrementAndGet();
                send(clients.get(op.device), op, random);
                answered.incrementAndGet();
            }
        } catch (IOException | RuntimeException | AssertionError e) {
            failure = e;
        }
        for (WireClient client : clients) {
            try {
                client.close();
            } catch (IOException e) {
                failure = e;
            }
        }
    }

    private static void send(WireClient client, Op op, Random random) throws IOException {
        long offset = (long) op.block * BLOCK;
        int bytes = op.count * BLOCK;
        if (op.stamp == 0) {
            // Files have holes where they are trimmed.
            client.request(random.nextBoolean() ? WireClient.TRIM : WireClient.WRITE_ZEROES, 1, offset, bytes, null);
            assertEquals(0, client.answer().error());
            return;
        }
        ByteBuffer data = ByteBuffer.allocate(bytes);
        while (data.hasRemaining()) {
            data.putLong(op.stamp);
        }
        assertEquals(0, client.write(offset, data.array()));
    }

    private static long[] read(MappedDevice device) throws IOException {
        ByteBuffer data = ByteBuffer.allocateDirect(BLOCKS * BLOCK);
        device.io().read(0, data);
        return stamps(data.flip());
    }

    private static long[] stamps(ByteBuffer data) {
        LongBuffer words = data.asLongBuffer();
        long[] stamps = new long[BLOCKS];
        for (int i = 0; i < BLOCKS; i++) {
            stamps[i] = words.get(i * (BLOCK / Long.BYTES));
            for (int word = 1; word < BLOCK / Long.BYTES; word++) {
                if (words.get(i * (BLOCK / Long.BYTES) + word) != stamps[i]) {
                    throw new AssertionError("block " + i + " is torn");
                }
            }
        }
        return stamps;
    }

    private static int differences(long[][] a, long[][] b) {
        int differences = 0;
        for (int device = 0; device < a.length; device++) {
            for (int i = 0; i < BLOCKS; i++) {
                differences += a[device][i] != b[device][i] ? 1 : 0;
            }
        }
        return differences;
    }

    /** Applies what comes after {@code model} until it is what was seen; fails when no prefix is. */
    private void assertPrefix(Model model, long[][] seen, int least, int most, String where) {
        List<Op> ops;
        synchronized (log) {
            ops = List.copyOf(log);
        }
        model.apply(ops, least);
        int first = differences(model.blocks, seen);
        while (differences(model.blocks, seen) > 0) {
            assertTrue(
                    model.applied < most,
                    () -> where + ": no prefix of " + least + " to " + most + " operations; after the first of them "
                            + first + " blocks differ, after the last "
                            + differences(model.blocks, seen));
            model.apply(ops, model.applied + 1);
        }
    }

    @Test
    @Timeout(3600)
    void viewsOfTwoDevicesAreOnePrefixOfWhatWasWrittenAndTheirMapsMakeTheNextFromTheLast() throws Exception {
        long seed = Long.getLong("era.seed", System.nanoTime());
        Random random = new Random(seed);
        Path cow = Files.createDirectory(folder.resolve("cow"));
        Model model = new Model();
        Deque<Moment> moments = new ArrayDeque<>();
        long[][] chain = new long[DEVICES.size()][BLOCKS];
        List<Long> base = List.of(0L, 0L);
        try (TestEngine engine = new TestEngine(folder);
                DmClient control = DmClient.open(folder.resolve("control").toString(), line -> {})) {
            for (String device : DEVICES) {
                engine.createEra(device, MIB);
            }
            Thread writer = new Thread(() -> write(random.nextLong()));
            writer.start();
            List<DeviceId> ids = DEVICES.stream().map(DeviceId::ofName).toList();
            for (int round = 0; round < FREEZES && failure == null; round++) {
                String where = "freeze " + round + ", -Dera.seed=" + seed;
                LockSupport.parkNanos(random.nextInt(20_000_000));
                int least = answered.get();
                List<DmClient.View> views = control.freeze(ids, cow, true, List.of());
                int most = sent.get();
                List<String> names = views.stream().map(DmClient.View::name).toList();
                long[][] seen = new long[DEVICES.size()][];
                for (int i = 0; i < seen.length; i++) {
                    seen[i] = read(engine.engine.registry().byName(names.get(i)));
                }
                assertPrefix(model, seen, least, most, where);
                for (int i = 0; i < seen.length; i++) {
                    applyDirty(
                            engine,
                            names.get(i),
                            seen[i],
                            chain[i],
                            base.get(i),
                            views.get(i).era());
                    assertArrayEquals(seen[i], chain[i], where + ": the increment of " + names.get(i));
                }
                base = views.stream().map(DmClient.View::era).toList();
                moments.add(new Moment(names, seen, base));
                if (moments.size() > VIEWS) {
                    thaw(engine, control, moments.remove(), where);
                }
            }
            stop = true;
            writer.join();
            while (!moments.isEmpty()) {
                thaw(engine, control, moments.remove(), "at the end, -Dera.seed=" + seed);
            }
            assertEquals(2, engine.engine.registry().devices().size());
        }
        if (failure != null) {
            throw new AssertionError("the writer failed, -Dera.seed=" + seed, failure);
        }
        assertTrue(answered.get() > FREEZES, answered + " operations in " + FREEZES + " freezes");
        try (var left = Files.list(cow)) {
            assertEquals(0, left.count(), "files are left");
        }
    }

    @Test
    @Timeout(3600)
    void aBackupOfTwoDevicesInOneCallRestoresToOnePrefixEachTime() throws Exception {
        long seed = Long.getLong("era.seed", System.nanoTime());
        Random random = new Random(seed);
        Path streams = folder.resolve("streams");
        String control = folder.resolve("control").toString();
        Model model = new Model();
        try (TestEngine engine = new TestEngine(folder)) {
            for (String device : DEVICES) {
                engine.createEra(device, MIB);
            }
            Thread writer = new Thread(() -> write(random.nextLong()));
            writer.start();
            for (int round = 0; round < BACKUPS && failure == null; round++) {
                String where = "backup " + round + ", -Dera.seed=" + seed;
                LockSupport.parkNanos(random.nextInt(20_000_000));
                int least = answered.get();
                run(
                        new BackupCommand(),
                        "era_backup",
                        "a",
                        "b",
                        "--to",
                        streams.toString(),
                        "--control",
                        control,
                        "-q");
                int most = sent.get();
                long[][] seen = new long[DEVICES.size()][];
                for (int i = 0; i < seen.length; i++) {
                    seen[i] = stamps(restored(streams, DEVICES.get(i)));
                }
                assertPrefix(model, seen, least, most, where);
                assertEquals(2, engine.engine.registry().devices().size(), where + ": a view is left");
            }
            stop = true;
            writer.join();
        }
        if (failure != null) {
            throw new AssertionError("the writer failed, -Dera.seed=" + seed, failure);
        }
    }

    private static void run(Command command, String... args) {
        assertEquals(0, CommandLine.run(command, args, 1), String.join(" ", args));
    }

    private ByteBuffer restored(Path streams, String device) throws IOException {
        Path target = folder.resolve(device + ".restored");
        Files.deleteIfExists(target);
        List<String> args = new ArrayList<>(List.of("era_apply", "-q", "-o", target.toString()));
        try (var files = Files.list(streams)) {
            files.map(Path::toString)
                    .filter(file -> file.matches(".*/" + device + "[.].*erastream"))
                    .sorted()
                    .forEach(args::add);
        }
        run(new ApplyCommand(), args.toArray(String[]::new));
        return ByteBuffer.wrap(Files.readAllBytes(target));
    }

    /** Brings what was copied of the view before up to this one, by what the map says. */
    private static void applyDirty(TestEngine engine, String view, long[] state, long[] chain, long since, long era)
            throws IOException {
        long[] eras = TestEngine.eras(engine.engine.registry().byName(view));
        for (int i = 0; i < BLOCKS; i++) {
            assertTrue(eras[i] < era, "block " + i + " of " + view + " has era " + eras[i]);
            if (eras[i] >= since) {
                chain[i] = state[i];
            }
        }
    }

    /** Looks at the views again, which hold what they held, and ends them. */
    private static void thaw(TestEngine engine, DmClient control, Moment moment, String where) throws IOException {
        for (int i = 0; i < moment.views.size(); i++) {
            MappedDevice view = engine.engine.registry().byName(moment.views.get(i));
            assertArrayEquals(moment.state[i], read(view), where + ": " + view + " has changed");
            for (long era : TestEngine.eras(view)) {
                assertTrue(era < moment.eras.get(i), where + ": " + view + " knows of era " + era);
            }
            String status = control.status(DeviceId.ofName(view.name())).get(0).params();
            assertTrue(status.matches("[0-9]+/[0-9]+"), status);
            engine.engine.registry().remove(view, false);
        }
    }
}
