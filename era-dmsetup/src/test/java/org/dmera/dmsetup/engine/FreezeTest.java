// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.device.OneMoment;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code freeze} and {@code thaw}: views of what era devices held at a moment. */
@Timeout(300)
@Alone
class FreezeTest {
    private static final int SECTORS = 8192;
    private static final int BYTES = SECTORS * 512;

    @TempDir
    Path folder;

    private Path cow;
    private TestEngine engine;
    private DmSetupOnEngine dmsetup;

    @BeforeEach
    void start() throws IOException {
        cow = Files.createDirectory(folder.resolve("a cow"));
        engine = new TestEngine(folder);
        dmsetup = new DmSetupOnEngine(engine);
        try (DmClient client = engine.client()) {
            engine.createEra(client, "vol", SECTORS, 8);
            engine.createEra(client, "log", SECTORS, 8);
        }
        fill("vol", 1);
        fill("log", 2);
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
    }

    private List<String> good(String... words) {
        DmSetupOnEngine.Result result = dmsetup.run(List.of(words), "");
        assertEquals(0, result.exit(), () -> result.stderr().toString());
        return result.stdout();
    }

    /** What a command that fails says. */
    private String refusal(String... words) {
        DmSetupOnEngine.Result result = dmsetup.run(List.of(words), "");
        assertEquals(1, result.exit(), () -> result.stdout().toString());
        return result.stderr().get(0);
    }

    private MappedDevice device(String name) {
        return engine.registry().byName(name);
    }

    private DeviceIo io(String name) {
        return device(name).io();
    }

    private void fill(String name, int value) throws IOException {
        byte[] bytes = new byte[BYTES];
        Arrays.fill(bytes, (byte) value);
        io(name).write(0, ByteBuffer.wrap(bytes), 0);
    }

    private void write(String name, int offset, int value, int count) throws IOException {
        byte[] bytes = new byte[count];
        Arrays.fill(bytes, (byte) value);
        io(name).write(offset, ByteBuffer.wrap(bytes), 0);
    }

    private byte[] read(String name) throws IOException {
        ByteBuffer data = ByteBuffer.allocate(BYTES);
        io(name).read(0, data);
        return data.array();
    }

    private List<Integer> eras(String name) throws IOException {
        List<Integer> eras = new ArrayList<>();
        io(name).lastWritten(0, BYTES, null, (length, era) -> {
            for (long i = 0; i < length; i += 4096) {
                eras.add(era);
            }
            return true;
        });
        return eras;
    }

    private static void assertErrno(Errno errno, org.junit.jupiter.api.function.Executable call) {
        ErrnoException e = assertThrows(ErrnoException.class, call);
        assertTrue(e.is(errno), e.toString());
    }

    @Test
    void viewsAreReadOnlyDevicesOnTopOfTheirsAndAreNamedByTheNewEra() throws Exception {
        good("checkpoint", "vol");
        assertEquals(List.of("vol@3", "log@2"), good("freeze", "vol", "log", "--cow", cow.toString()));
        assertEquals(List.of("0 8192 frozen 120:0 3 " + cow.toString().replace(" ", "\\ ")), good("table", "vol@3"));
        assertEquals(List.of("0 8192 frozen 0/8200"), good("status", "vol@3"));
        assertEquals(List.of("1 dependencies\t: (120, 0)"), good("deps", "vol@3"));
        assertTrue(good("info", "vol@3").toString().contains("ACTIVE (READ-ONLY)"));
        assertTrue(good("uri", "vol@3").get(0).startsWith("nbd+unix:///vol%403?socket="));
        assertEquals(2, good("ls", "--target", "frozen").size());
        assertErrno(Errno.EPERM, () -> io("vol@3").write(0, ByteBuffer.allocate(512), 0));
        assertErrno(Errno.EPERM, () -> io("vol@3").submit(Operation.DISCARD, 0, 4096, null, 0));
        assertEquals(2, io("vol@3").currentEra());
        JsonNode views = new ObjectMapper()
                .readTree(
                        good("freeze", "log", "--cow", cow.toString(), "--json").get(0));
        assertEquals("{\"views\":[{\"name\":\"log@3\",\"era\":3}]}", views.toString());
        // No line of a table makes a view: what makes all devices again leaves them out.
        assertTrue(!good("table", "--concise").toString().contains("frozen"));
        try (Stream<Path> files = Files.list(cow)) {
            assertEquals(0, files.count(), "their files have no names");
        }
    }

    @Test
    void eachOfSeveralViewsKeepsItsMomentAndItsErasWhateverIsWrittenDiscardedOrZeroed() throws Exception {
        write("vol", 0, 3, 4096);
        good("freeze", "vol", "--cow", cow.toString());
        byte[] first = read("vol");
        List<Integer> firstEras = eras("vol");
        write("vol", 4096 * 5 + 512, 4, 512);
        io("vol").submit(Operation.DISCARD, 1 << 20, 1 << 20, null, 0);
        good("freeze", "vol", "--cow", cow.toString());
        byte[] second = read("vol");
        List<Integer> secondEras = eras("vol");
        io("vol").submit(Operation.WRITE_ZEROES, 0, 200_000, null, 0);
        fill("vol", 9);
        assertArrayEquals(first, read("vol@2"));
        assertArrayEquals(second, read("vol@3"));
        assertEquals(firstEras, eras("vol@2"));
        assertEquals(secondEras, eras("vol@3"));
        assertEquals(1, secondEras.get(0));
        assertEquals(2, secondEras.get(5));
        assertEquals(List.of("0 8192 frozen 8200/8200"), good("status", "vol@2"));
        good("thaw", "vol@2", "vol@3");
        fill("vol", 10);
        assertEquals(2, engine.registry().devices().size());
    }

    @Test
    void aPieceOfAViewIsReadAtAnyOffset() throws Exception {
        write("vol", 100_000, 7, 50_000);
        good("freeze", "vol", "--cow", cow.toString());
        byte[] all = read("vol");
        List<Integer> eras = eras("vol");
        write("vol", 70_000, 8, 1);
        write("vol", 3 << 20, 8, 1);
        for (int offset : new int[] {0, 1, 65_535, 65_536, 69_999, 131_071, (3 << 20) - 1, BYTES - 3}) {
            for (int length : new int[] {1, 3, 70_000, 1 << 20}) {
                ByteBuffer piece = ByteBuffer.allocate(Math.min(length, BYTES - offset));
                io("vol@2").read(offset, piece);
                assertArrayEquals(Arrays.copyOfRange(all, offset, offset + piece.capacity()), piece.array());
                long[] at = {offset};
                io("vol@2").lastWritten(offset, piece.capacity(), null, (bytes, era) -> {
                    for (long end = at[0] + bytes; at[0] < end; at[0]++) {
                        assertEquals(eras.get((int) (at[0] / 4096)), era);
                    }
                    return true;
                });
                assertEquals(offset + piece.capacity(), at[0]);
            }
        }
    }

    @Test
    void whatIsWrongIsToldInOneLine() throws Exception {
        good("create", "flat", "--table", "0 8 linear engine:vol 0");
        String dir = cow.toString();
        assertEquals(
                "freeze: --cow DIR is missing: the folder for what is overwritten while there is a view.",
                refusal("freeze", "vol"));
        assertEquals(
                "freeze: --cow /nowhere: expected a folder that there is.",
                refusal("freeze", "vol", "--cow", "/nowhere"));
        // It takes no files. Why is said, as of a folder that can't be written: it was "Input/output error".
        String why = refusal("freeze", "vol", "--cow", "/proc");
        assertTrue(why.endsWith("No such file or directory") || why.endsWith("Permission denied"), why);
        assertEquals(
                "freeze: flat has a table of type linear; expected an era device, of one line.",
                refusal("freeze", "vol", "flat", "--cow", dir));
        assertEquals("freeze: vol is named twice.", refusal("freeze", "vol", "vol", "--cow", dir));
        assertEquals(
                "thaw: vol is no view; expected the name that freeze printed, DEVICE@ERA.", refusal("thaw", "vol"));
        assertEquals("--cow has no effect on thaw.", refusal("thaw", "vol", "--cow", dir));
        assertEquals("No device specified.", refusal("freeze", "--cow", dir));
        good("suspend", "log");
        assertEquals("freeze: log is suspended; resume it first.", refusal("freeze", "vol", "log", "--cow", dir));
        assertEquals(
                "device-mapper: info ioctl on nobody   failed: No such device or address",
                refusal("freeze", "nobody", "--cow", dir).replaceFirst("on nobody *", "on nobody   "));
        assertEquals(3, engine.registry().devices().size());
        // Nothing is held, and nothing copies.
        write("vol", 0, 5, 4096);
    }

    @Test
    void aViewGetsNoUuidThatNoDeviceCanHave() {
        String freeze = "@freeze " + folder + " nolockfs "
                + DevNumber.text(device("vol").dev()) + "=";
        good("message", "vol", "0", freeze + "u".repeat(DmIoctl.UUID_BYTES - 1));
        assertTrue(refusal("message", "vol", "0", freeze + "v".repeat(DmIoctl.UUID_BYTES))
                .contains("Invalid argument"));
        assertEquals(1, device("vol").openCount());
    }

    @Test
    void noEraBeginsForAViewWhoseNameIsTooLong() throws Exception {
        String name = "n".repeat(DmIoctl.NAME_BYTES - 1 - "@9".length());
        Path meta = engine.file("long.meta", 8192);
        good("create", name, "--table", "0 8 era " + meta + " " + engine.file("long.data", 8) + " 8");
        for (int era = 1; era < 8; era++) {
            good("checkpoint", name);
        }
        assertEquals(List.of("vol@2", name + "@9"), good("freeze", "vol", name, "--cow", cow.toString()));
        assertTrue(refusal("freeze", "vol", name, "--cow", cow.toString()).endsWith("File name too long"));
        assertEquals(9, io(name).currentEra());
        assertEquals(2, io("vol").currentEra());
    }

    @Test
    void whenOneOfThemCannotBeFrozenNoneIs() throws Exception {
        good("create", "log@2", "--table", "0 8 zero");
        assertTrue(refusal("freeze", "vol", "log", "--cow", cow.toString()).endsWith("Device or resource busy"));
        assertEquals(List.of("log", "log@2", "vol"), names());
        fill("vol", 4);
        fill("log", 4);
        assertEquals(List.of("vol@3", "log@3"), good("freeze", "vol", "log", "--cow", cow.toString()));
    }

    @Test
    void anEraThatBeganInVainCountsTheWritesThatAreAnsweredInIt() throws Exception {
        good("create", "meta", "--table", "0 8192 linear " + engine.file("meta", 8192) + " 0");
        good("create", "worse", "--table", "0 8192 era engine:meta " + engine.file("worse.data", 8192) + " 8");
        good("load", "meta", "--table", "0 8192 error");
        good("resume", "meta");
        long before = io("log").currentEra();
        try (AnswerScope owed = io("log").openScope(1)) {
            owed.owe(0, 4096);
            write("log", 0, 5, 4096);
            refusal("freeze", "log", "worse", "--cow", cow.toString());
            owed.sent();
        }
        assertEquals(before + 1, io("log").currentEra());
        assertEquals(before + 1, eras("log").get(0).longValue());
    }

    private List<String> names() {
        return engine.registry().devices().stream().map(MappedDevice::name).toList();
    }

    @Test
    void theDeviceBeneathAViewIsRenamedAndSuspendedButNotRemoved() throws Exception {
        good("freeze", "vol", "--cow", cow.toString());
        byte[] then = read("vol");
        write("vol", 0, 5, 4096);
        assertTrue(refusal("remove", "vol").endsWith("Device or resource busy"));
        good("rename", "vol", "tome");
        good("suspend", "tome");
        assertArrayEquals(then, read("vol@2"));
        assertEquals(List.of(1, 1), eras("vol@2").subList(0, 2));
        good("resume", "tome");
        fill("tome", 6);
        assertArrayEquals(then, read("vol@2"));
        assertEquals(1, eras("vol@2").get(700));
        good("remove", "--deferred", "tome");
        good("thaw", "vol@2");
        while (names().contains("tome")) {
            Thread.onSpinWait();
        }
        assertEquals(List.of("log"), names());
    }

    @Test
    void aViewIsLostWhenAnotherTableIsUsedBeneathIt() throws Exception {
        good("freeze", "vol", "--cow", cow.toString());
        int events = device("vol@2").events().number();
        String table = good("table", "vol").get(0);
        good("load", "vol", "--table", table);
        assertEquals(List.of("0 8192 frozen 0/8200"), good("status", "vol@2"));
        good("resume", "vol");
        assertEquals(List.of("0 8192 frozen Invalid"), good("status", "vol@2"));
        assertEquals(events + 1, device("vol@2").events().number());
        assertThrows(IOException.class, () -> read("vol@2"));
        assertThrows(IOException.class, () -> eras("vol@2"));
        fill("vol", 3);
        assertEquals(List.of("Invalid: another table is in use"), good("message", "vol@2", "0", "@failure"));
        good("freeze", "vol", "--cow", cow.toString());
        good("thaw", "vol@2");
    }

    @Test
    void aViewIsLostWhenADeviceBeneathItsDeviceGetsAnotherTable() throws Exception {
        good("create", "base", "--table", "0 8192 linear engine:vol 0");
        good("create", "middle", "--table", "0 8192 linear engine:base 0");
        good("create", "top", "--table", "0 8192 era " + engine.file("top.meta", 8192) + " engine:middle 8");
        good("freeze", "top", "log", "--cow", cow.toString());
        byte[] then = read("top");
        int events = device("top@2").events().number();
        good("load", "base", "--table", "0 8192 linear engine:log 0");
        good("suspend", "base");
        FutureTask<byte[]> reader = new FutureTask<>(() -> read("top@2"));
        Thread thread = new Thread(reader);
        thread.start();
        while (thread.getState() != Thread.State.TIMED_WAITING) {
            Thread.onSpinWait();
        }
        good("resume", "base");
        assertThrows(ExecutionException.class, reader::get, "what came between");
        assertEquals(List.of("0 8192 frozen Invalid"), good("status", "top@2"));
        assertEquals(List.of("Invalid: a device beneath has another table"), good("message", "top@2", "0", "@failure"));
        assertEquals(events + 1, device("top@2").events().number());
        assertThrows(IOException.class, () -> read("top@2"));
        assertEquals(2, read("top")[0]);
        assertEquals(1, then[0]);
        // Those of others go on.
        assertEquals(2, read("log@2")[0]);
    }

    @Test
    void aViewKeepsTheTableThatItHas() throws Exception {
        good("freeze", "vol", "--cow", cow.toString());
        byte[] then = read("vol");
        assertTrue(refusal("load", "vol@2", "--table", "0 8 zero").endsWith("Operation not permitted"));
        good("create", "above", "-r", "--table", "0 8192 linear engine:vol@2 0");
        assertTrue(refusal("thaw", "vol@2").endsWith("Device or resource busy"));
        fill("vol", 3);
        assertArrayEquals(then, read("above"));
        good("remove", "above");
        good("rename", "vol@2", "sunday");
        good("thaw", "sunday");
    }

    @Test
    void aRestartKnowsNoViews() throws Exception {
        good("freeze", "vol", "log", "--cow", cow.toString());
        write("vol", 0, 5, 4096);
        engine.close();
        engine = new TestEngine(folder).allBack();
        dmsetup = new DmSetupOnEngine(engine);
        assertEquals(List.of("log", "vol"), names());
        assertEquals(5, read("vol")[0]);
        good("freeze", "vol", "--cow", cow.toString());
        good("remove_all");
        assertEquals(List.of(), names());
    }

    @Test
    void twoDevicesOfOneStackAreFrozenTogether() throws Exception {
        Path meta = engine.file("upper.meta", 8192);
        good("create", "upper", "--table", "0 4096 era " + meta + " engine:vol 8");
        write("upper", 0, 7, 100_000);
        // Its metadata on a device that is frozen with it.
        io("log").submit(Operation.WRITE_ZEROES, 0, BYTES, null, 0);
        good("create", "place", "--table", "0 8192 linear engine:log 0");
        good("create", "third", "--table", "0 8192 era engine:place " + engine.file("third.data", 8192) + " 8");
        byte[] lower = read("vol");
        assertEquals(
                List.of("vol@2", "third@2", "upper@2", "log@2"),
                good("freeze", "vol", "third", "upper", "log", "--cow", cow.toString()));
        write("upper", 0, 8, 200_000);
        write("third", 0, 8, 4096);
        assertArrayEquals(lower, read("vol@2"));
        ByteBuffer upper = ByteBuffer.allocate(4096 * 512);
        io("upper@2").read(0, upper);
        assertArrayEquals(Arrays.copyOf(lower, upper.capacity()), upper.array());
    }

    @Test
    void whoResumesALowerDeviceWaitsForNoFreezeThatWaitsForTheUpperOne() throws Exception {
        good("create", "upper", "--table", "0 8192 era " + engine.file("upper.meta", 8192) + " engine:vol 8");
        good("suspend", "vol");
        FutureTask<Void> write = begin(() -> write("upper", 0, 7, 4096), FreezeTest::waitsForAWhile);
        FutureTask<Void> suspend =
                begin(() -> device("upper").suspend(), any -> io("upper").isHeld());
        FutureTask<Void> freeze = begin(() -> freezeTogether("vol", "upper"), FreezeTest::waits);
        begin(() -> device("vol").resume(), any -> true).get(60, TimeUnit.SECONDS);
        write.get();
        suspend.get();
        ExecutionException refused = assertThrows(ExecutionException.class, freeze::get);
        assertTrue(refused.getMessage().contains("suspended"), refused.getMessage());
        good("resume", "upper");
    }

    @Test
    void whoHasADeviceBetweenThemSuspendedChangesTheLowerOne() throws Exception {
        good("create", "middle", "--table", "0 8192 linear engine:vol 0");
        good("create", "upper", "--table", "0 8192 era " + engine.file("upper.meta", 8192) + " engine:middle 8");
        good("suspend", "middle");
        FutureTask<Void> write = begin(() -> write("upper", 0, 7, 4096), FreezeTest::waitsForAWhile);
        FutureTask<Void> freeze =
                begin(() -> freezeTogether("vol", "upper"), any -> io("upper").isHeld());
        begin(() -> device("vol").suspend(), any -> true).get(60, TimeUnit.SECONDS);
        begin(() -> device("vol").resume(), any -> true).get(60, TimeUnit.SECONDS);
        good("resume", "middle");
        freeze.get();
        write.get();
    }

    private void freezeTogether(String... names) throws IOException {
        List<MappedDevice> devices = Stream.of(names).map(this::device).toList();
        engine.registry().atOneMoment(devices, false, new OneMoment() {
            @Override
            public void prepare(MappedDevice device, Target target) {}

            @Override
            public void held(MappedDevice device, Target target) {}
        });
    }

    private static boolean waits(Thread thread) {
        return thread.getState() == Thread.State.WAITING;
    }

    /** As at the gate of a device that is suspended. */
    private static boolean waitsForAWhile(Thread thread) {
        return thread.getState() == Thread.State.TIMED_WAITING;
    }

    /** Does {@code step} on a thread of its own; returns when that has come so far. */
    private static FutureTask<Void> begin(Failures.Step step, Predicate<Thread> far) {
        FutureTask<Void> task = new FutureTask<>(() -> {
            step.run();
            return null;
        });
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        thread.start();
        while (!far.test(thread)) {
            Thread.onSpinWait();
        }
        return task;
    }

    @Test
    void noneOfSeveralDevicesIsLetGoBeforeTheMomentOfTheLast() throws Exception {
        try (DmClient client = engine.client()) {
            engine.createEra(client, "third", SECTORS, 8);
        }
        List<MappedDevice> devices = List.of(device("vol"), device("log"), device("third"));
        List<MappedDevice> held = new ArrayList<>();
        List<FutureTask<Void>> writes = new ArrayList<>();
        engine.registry().atOneMoment(devices, false, new OneMoment() {
            @Override
            public void prepare(MappedDevice device, Target target) {}

            @Override
            public void held(MappedDevice device, Target target) {
                held.add(device);
                FutureTask<Void> write = new FutureTask<>(() -> {
                    device.io().write(0, ByteBuffer.allocate(4096), 0);
                    return null;
                });
                writes.add(write);
                Thread writer = new Thread(write);
                writer.start();
                while (!write.isDone() && writer.getState() != Thread.State.TIMED_WAITING) {
                    Thread.onSpinWait();
                }
                for (int i = 0; i < writes.size(); i++) {
                    assertFalse(writes.get(i).isDone(), held.get(i) + " takes writes before " + device + "'s moment");
                    assertTrue(held.get(i).io().isHeld());
                }
            }
        });
        assertEquals(3, held.size());
        for (FutureTask<Void> write : writes) {
            write.get();
        }
    }

    @Test
    void aViewWithoutRoomIsLostAndTheWriterIsNot() throws Exception {
        assumeTrue("root".equals(System.getProperty("user.name")), "a small file system of its own needs root");
        Path small = Files.createDirectory(folder.resolve("small"));
        assumeTrue(
                new ProcessBuilder("mount", "-t", "tmpfs", "-o", "size=1m", "none", small.toString())
                                .start()
                                .waitFor()
                        == 0,
                "a small file system of its own can't be mounted here");
        try {
            good("freeze", "vol", "--cow", cow.toString());
            good("freeze", "vol", "log", "--cow", small.toString());
            byte[] then = read("vol");
            int events = device("vol@3").events().number();
            write("vol", 0, 5, 300_000);
            assertArrayEquals(then, read("vol@3"));
            fill("vol", 6);
            assertEquals(List.of("0 8192 frozen Overflow"), good("status", "vol@3"));
            assertEquals(events + 1, device("vol@3").events().number());
            assertTrue(good("message", "vol@3", "0", "@failure").get(0).startsWith("Overflow: "));
            assertThrows(IOException.class, () -> read("vol@3"));
            assertThrows(IOException.class, () -> eras("vol@3"));
            assertThrows(IOException.class, () -> io("vol@3").allocation(0, BYTES));
            assertEquals(6, read("vol")[BYTES - 1]);
            // The other view of the device has room.
            assertArrayEquals(then, read("vol@2"));
            good("thaw", "vol@3");
            // What it had is free, and serves the other device's.
            write("log", 0, 6, 300_000);
            assertEquals(2, read("log@2")[0]);
            good("thaw", "log@2");
        } finally {
            good("remove_all");
            new ProcessBuilder("umount", small.toString()).start().waitFor();
        }
    }
}
