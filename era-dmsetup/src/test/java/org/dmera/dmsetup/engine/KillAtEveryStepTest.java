// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceRecord;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.export.Attacher;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.MemoryBacking;
import org.dmera.dmsetup.targets.TargetFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.io.TempDirFactory;

/**
 * Every change of a device, with the engine killed, or a system call on the state folder failing, before any of them: what a
 * restart finds is the state before the change or the one after it, and no request was let through to a table that it would
 * not find.
 */
@Timeout(300)
class KillAtEveryStepTest {
    private static final int SECTORS = 64;

    /** In memory where that can be had: thousands of files are synced. */
    static final class InMemory implements TempDirFactory {
        private static final Path MEMORY = Path.of("/dev/shm");

        @Override
        public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext context) throws IOException {
            String prefix = "kill-at-every-step";
            return Files.isWritable(MEMORY)
                    ? Files.createTempDirectory(MEMORY, prefix)
                    : Files.createTempDirectory(prefix);
        }
    }

    @TempDir(factory = InMemory.class)
    Path folder;

    private final ExecutorService background = Executors.newCachedThreadPool();
    private int folders;

    @AfterEach
    void end() {
        background.shutdown();
    }

    /** A change of the devices of {@code world}. */
    private interface Change {
        void on(World world) throws IOException;
    }

    /** What is done first, and the change that is looked at. */
    private record Case(Change before, Change change) {}

    private static Map<String, Case> cases() {
        Map<String, Case> cases = new LinkedHashMap<>();
        Change none = world -> {};
        Change running = world -> {
            world.create("vol");
            world.vol.load(linear("a"), false);
            world.vol.resume();
        };
        Change reloaded = world -> {
            running.on(world);
            world.vol.load(linear("b"), false);
        };
        Change suspended = world -> {
            running.on(world);
            world.vol.suspend();
        };
        Change open = world -> {
            running.on(world);
            world.vol.open();
        };
        cases.put("create", new Case(none, world -> world.create("vol")));
        cases.put("load", new Case(running, world -> world.vol.load(linear("b"), false)));
        cases.put("load over another", new Case(reloaded, world -> world.vol.load(linear("c"), true)));
        cases.put("clear", new Case(reloaded, world -> world.vol.clear()));
        cases.put(
                "first resume",
                new Case(
                        world -> {
                            world.create("vol");
                            world.vol.load(linear("a"), false);
                        },
                        world -> world.vol.resume()));
        cases.put("suspend", new Case(running, world -> world.vol.suspend()));
        cases.put("resume", new Case(suspended, world -> world.vol.resume()));
        cases.put("resume with a new table", new Case(reloaded, world -> world.vol.resume()));
        cases.put(
                "resume of a suspended one with a new table",
                new Case(
                        world -> {
                            reloaded.on(world);
                            world.vol.suspend();
                        },
                        world -> world.vol.resume()));
        cases.put(
                "resume of an era device onto another origin",
                new Case(
                        world -> {
                            world.create("vol");
                            world.vol.load(era("m1 a"), false);
                            world.vol.resume();
                            world.vol.load(era("m2 b"), false);
                        },
                        world -> world.vol.resume()));
        cases.put(
                "suspend of an era device",
                new Case(
                        world -> {
                            world.create("vol");
                            world.vol.load(era("m1 a"), false);
                            world.vol.resume();
                        },
                        world -> world.vol.suspend()));
        cases.put("rename", new Case(running, world -> world.registry.rename(world.vol, "", "other")));
        cases.put("set uuid", new Case(running, world -> world.registry.setUuid(world.vol, "", "u-1")));
        cases.put("attach", new Case(running, world -> world.verb("@attach")));
        cases.put(
                "detach",
                new Case(
                        world -> {
                            running.on(world);
                            world.verb("@attach");
                        },
                        world -> world.verb("@detach")));
        cases.put("remove", new Case(running, world -> assertTrue(world.registry.remove(world.vol, false))));
        cases.put("deferred remove", new Case(open, world -> assertFalse(world.registry.remove(world.vol, true))));
        cases.put(
                "deferred remove taken back",
                new Case(
                        world -> {
                            open.on(world);
                            world.registry.remove(world.vol, true);
                        },
                        world -> world.registry.cancelDeferredRemove(world.vol)));
        return cases;
    }

    private static List<TargetSpec> linear(String backing) {
        return List.of(new TargetSpec(0, SECTORS, "linear", backing + " 0"));
    }

    private static List<TargetSpec> era(String backings) {
        return List.of(new TargetSpec(0, SECTORS, "era", backings + " 8"));
    }

    /** Files of a state folder on which a kill, or a failure, comes before a certain system call. */
    private static final class FailingFiles extends StateFiles {
        private final boolean killed;
        /** System calls that are still done; those after that are the failing one and, after a kill, none. */
        private int left = Integer.MAX_VALUE;

        private int done;
        private Runnable atFailure = () -> {};

        FailingFiles(Path folder, boolean killed) throws IOException {
            super(folder);
            this.killed = killed;
        }

        private void step() throws IOException {
            done++;
            if (left > 0) {
                left--;
                return;
            }
            atFailure.run();
            atFailure = () -> {};
            if (!killed) {
                left = Integer.MAX_VALUE;
            }
            throw new ErrnoException("state folder", Errno.ENOSPC.number());
        }

        @Override
        int create(String name) throws IOException {
            step();
            return super.create(name);
        }

        @Override
        void write(int file, byte[] text) throws IOException {
            step();
            super.write(file, text);
        }

        @Override
        void sync(int file) throws IOException {
            step();
            super.sync(file);
        }

        @Override
        void rename(String from, String to) throws IOException {
            step();
            super.rename(from, to);
        }

        @Override
        void unlink(String name) throws IOException {
            step();
            super.unlink(name);
        }

        @Override
        void syncFolder() throws IOException {
            step();
            super.syncFolder();
        }
    }

    /** An engine's devices over backings in memory, each filled with its own name. */
    private final class World implements AutoCloseable {
        final Path state;
        final FailingFiles files;
        final StateDirectory directory;
        final DeviceRegistry registry;
        /** Which devices have nodes. */
        final Set<String> nodes = new TreeSet<>();

        boolean nodesAreInUse;
        private final Map<String, MemoryBacking> backings = new HashMap<>();
        MappedDevice vol;

        World(boolean killed) throws IOException {
            state = Files.createDirectory(folder.resolve("state" + folders++));
            files = new FailingFiles(state, killed);
            directory = StateDirectory.open(state, files);
            for (String name : List.of("a", "b", "c")) {
                MemoryBacking backing = new MemoryBacking(name, SECTORS * 512);
                Arrays.fill(backing.bytes(), (byte) name.charAt(0));
                backings.put(name, backing);
            }
            backings.put("m1", new MemoryBacking("m1", 64 * 4096));
            backings.put("m2", new MemoryBacking("m2", 64 * 4096));
            registry = new DeviceRegistry(
                    Engine.targetTypes(EngineLog.silent()),
                    (device, readOnly, found) -> new TargetFactory.BackingOpener() {
                        @Override
                        public Backing open(String name) {
                            return backings.get(name);
                        }

                        @Override
                        public Object owner() {
                            return device;
                        }
                    },
                    background,
                    directory,
                    EngineLog.silent());
        }

        /** Makes and takes away nodes that are names in {@link #nodes}. */
        private Object attacher(Object self, Method method, Object[] arguments) throws IOException {
            MappedDevice device = (MappedDevice) arguments[0];
            return switch (method.getName()) {
                case "attach" -> {
                    nodes.add(device.toString());
                    yield "/dev/" + device;
                }
                case "detach" -> {
                    if (nodesAreInUse) {
                        throw new ErrnoException("node of " + device, Errno.EBUSY.number());
                    }
                    yield nodes.remove(device.toString());
                }
                default -> throw new IllegalStateException(method.toString());
            };
        }

        void verb(String word) throws IOException {
            Attacher attacher = (Attacher) Proxy.newProxyInstance(
                    Attacher.class.getClassLoader(), new Class<?>[] {Attacher.class}, this::attacher);
            EngineVerbs.all(folder.resolve("nbd"), attacher, new Freezer(registry), EngineLog.silent())
                    .get(word)
                    .run(vol, 0, List.of());
        }

        void create(String name) throws IOException {
            vol = registry.create(name, "", OptionalInt.empty());
        }

        /** Which backing a request reaches now; "held" while none is let through, "none" without a table. */
        String reached() {
            if (vol == null || vol.io().table() == null) {
                return "none";
            }
            if (vol.io().isHeld()) {
                return "held";
            }
            ByteBuffer first = ByteBuffer.allocate(512);
            try {
                vol.io().read(0, first);
            } catch (IOException e) {
                return "none";
            }
            return String.valueOf((char) first.get(0));
        }

        @Override
        public void close() throws IOException {
            directory.close();
        }
    }

    /** What a restart finds. */
    private List<DeviceRecord> remembered(Path state) throws IOException {
        try (StateDirectory again = StateDirectory.open(state)) {
            StateDirectory.Remembered remembered = again.load(EngineLog.silent());
            assertEquals(new TreeSet<>(), new TreeSet<>(remembered.unreadableMinors()));
            try (Stream<Path> files = Files.list(state)) {
                assertEquals(
                        List.of(),
                        files.filter(file -> file.toString().endsWith(".new")).toList(),
                        "what was not finished stays for ever");
            }
            return new ArrayList<>(remembered.devices());
        }
    }

    private static List<DeviceRecord> withoutIds(List<DeviceRecord> records) {
        List<DeviceRecord> comparable = new ArrayList<>();
        for (DeviceRecord r : records) {
            comparable.add(new DeviceRecord(
                    r.minor(),
                    "",
                    r.name(),
                    r.uuid(),
                    r.suspended(),
                    r.live(),
                    r.inactive(),
                    r.attached(),
                    r.deferredRemove()));
        }
        return comparable;
    }

    /** What of the devices can be seen while the engine runs. */
    private static String seen(World world) {
        StringBuilder text = new StringBuilder(world.nodes.toString());
        for (MappedDevice device : world.registry.devices()) {
            try {
                text.append(device).append(' ').append(device.uuid());
                text.append(device.isSuspended() ? " suspended" : "").append(device.isAttached() ? " attached" : "");
                text.append(device.isDeferredRemove() ? " deferred" : "");
                text.append(' ').append(device.lines(false, true)).append(device.lines(true, true));
                text.append(device.io().isHeld() ? " held" : "")
                        .append(" reaches ")
                        .append(world.reached());
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        }
        return text.toString();
    }

    /** What the change does when nothing goes wrong, and how many system calls it takes. */
    private record Whole(List<DeviceRecord> before, List<DeviceRecord> after, int steps) {}

    private Whole whole(Case c) throws IOException {
        Path state;
        List<DeviceRecord> before;
        int steps;
        try (World world = new World(true)) {
            c.before.on(world);
            state = world.state;
            Path copy = Files.createDirectory(folder.resolve("copy" + folders++));
            for (String file : state.toFile().list()) {
                Files.copy(state.resolve(file), copy.resolve(file));
            }
            before = withoutIds(remembered(copy));
            int done = world.files.done;
            c.change.on(world);
            steps = world.files.done - done;
        }
        return new Whole(before, withoutIds(remembered(state)), steps);
    }

    @Test
    void aKillBetweenAnyTwoSystemCallsLeavesTheStateBeforeOrTheOneAfter() throws Exception {
        for (Map.Entry<String, Case> named : cases().entrySet()) {
            Case c = named.getValue();
            Whole whole = whole(c);
            assertTrue(whole.steps > 1, named.getKey());
            for (int step = 0; step < whole.steps; step++) {
                String where = named.getKey() + ", killed before system call " + step;
                String[] reached = {"none"};
                Path state;
                try (World world = new World(true)) {
                    c.before.on(world);
                    state = world.state;
                    world.files.left = step;
                    world.files.atFailure = () -> reached[0] = world.reached();
                    assertThrows(IOException.class, () -> c.change.on(world), where);
                }
                List<DeviceRecord> found = withoutIds(remembered(state));
                assertTrue(found.equals(whole.before) || found.equals(whole.after), () -> where + ": " + found);
                if (reached[0].length() == 1 && !named.getKey().equals("remove")) {
                    DeviceRecord record = found.get(0);
                    assertFalse(record.suspended(), where);
                    assertNotNull(record.live(), where + ": a request reached " + reached[0]);
                    String params = record.live().lines().get(0).params();
                    assertTrue((params + " ").contains(reached[0] + " "), where + ": " + reached[0] + " " + params);
                }
            }
        }
    }

    @Test
    void aSystemCallThatFailsLeavesTheDeviceAsItWasAndIsAnsweredWithItsError() throws Exception {
        for (Map.Entry<String, Case> named : cases().entrySet()) {
            Case c = named.getValue();
            Whole whole = whole(c);
            for (int step = 0; step < whole.steps; step++) {
                String where = named.getKey() + ", system call " + step + " fails";
                Path state;
                try (World world = new World(false)) {
                    c.before.on(world);
                    state = world.state;
                    String before = seen(world);
                    world.files.left = step;
                    ErrnoException e = assertThrows(ErrnoException.class, () -> c.change.on(world), where);
                    assertTrue(e.is(Errno.ENOSPC), where);
                    assertEquals(before, seen(world), where);
                }
                assertEquals(whole.before, withoutIds(remembered(state)), where);
                // And with room again the same change can be made.
                try (World world = new World(false)) {
                    c.before.on(world);
                    world.files.left = step;
                    assertThrows(ErrnoException.class, () -> c.change.on(world), where);
                    c.change.on(world);
                    state = world.state;
                }
                assertEquals(whole.after, withoutIds(remembered(state)), where);
            }
        }
    }

    @Test
    void aNodeThatIsInUseStaysAndIsRememberedStill() throws Exception {
        Path state;
        try (World world = new World(false)) {
            cases().get("detach").before.on(world);
            state = world.state;
            String before = seen(world);
            world.nodesAreInUse = true;
            assertThrows(ErrnoException.class, () -> world.verb("@detach"));
            assertEquals(before, seen(world));
        }
        assertTrue(remembered(state).get(0).attached());
    }

    @Test
    void aChangeInAFolderThatWasRemovedOrMadeAgainIsRefused() throws Exception {
        for (Map.Entry<String, Case> named : cases().entrySet()) {
            Case c = named.getValue();
            try (World world = new World(false)) {
                c.before.on(world);
                String before = seen(world);
                Path away = world.state.resolveSibling(world.state.getFileName() + ".away");
                Files.move(world.state, away);
                for (boolean madeAgain : new boolean[] {false, true}) {
                    if (madeAgain) {
                        Files.createDirectory(world.state);
                    }
                    ErrnoException e = assertThrows(ErrnoException.class, () -> c.change.on(world), named.getKey());
                    assertTrue(e.is(Errno.ENOENT) && e.getMessage().contains("was removed or replaced"), e::getMessage);
                    assertEquals(before, seen(world), named.getKey());
                }
            }
        }
    }

    @Test
    void aFolderThatWasRemovedAndMadeAgainIsNoOtherEnginesWhileTheFirstRuns() throws Exception {
        Path state = folder.resolve("mine");
        try (StateDirectory first = StateDirectory.open(state)) {
            first.load(EngineLog.silent());
            Files.delete(state.resolve("lock"));
            Files.delete(state);
            IOException e = assertThrows(IOException.class, () -> StateDirectory.open(state));
            assertTrue(
                    e.getMessage().contains("process " + ProcessHandle.current().pid()), e::getMessage);
        }
        StateDirectory.open(state).close();
    }
}
