// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;
import org.dmera.dmsetup.targets.TargetFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Every change of a device, and every step of it: each call on the store, a target or a listener is one. At each the engine is
 * killed, and a new one is started from what the store has then; and at each that can fail it fails.
 */
@Timeout(300)
class EveryTransitionTest {
    /** A change of the device of {@code world}. */
    private interface Change {
        void on(World world) throws IOException;
    }

    /** What is done first, and the change that is looked at. */
    private record Case(Change before, Change change) {}

    private static Map<String, Case> cases() {
        Map<String, Case> cases = new LinkedHashMap<>();
        Change created = world -> world.vol = world.registry.create("vol", "", OptionalInt.empty());
        Change firstLoaded = created(created, "a");
        Change running = resumed(firstLoaded);
        Change reloaded = created(running, "b");
        Change suspended = suspended(running);
        Change open = then(running, world -> world.vol.open());
        Change resume = world -> world.vol.resume();
        Change load = world -> world.vol.load(table("c"), true);
        cases.put("create", new Case(world -> {}, created));
        cases.put("first load", new Case(created, load));
        cases.put("load", new Case(running, load));
        cases.put("load over another", new Case(reloaded, load));
        cases.put("load while suspended", new Case(suspended, load));
        cases.put("clear", new Case(reloaded, world -> world.vol.clear()));
        cases.put("first resume", new Case(firstLoaded, resume));
        cases.put("suspend", new Case(running, world -> world.vol.suspend()));
        cases.put("suspend without a table", new Case(created, world -> world.vol.suspend()));
        cases.put("resume", new Case(suspended, resume));
        cases.put("resume with a new table", new Case(reloaded, resume));
        cases.put("resume of a suspended one with a new table", new Case(suspended(reloaded), resume));
        cases.put("rename", new Case(running, world -> world.registry.rename(world.vol, "", "other")));
        cases.put("set uuid", new Case(running, world -> world.registry.setUuid(world.vol, "", "u-1")));
        cases.put("attach", new Case(running, world -> world.vol.setAttached(true)));
        cases.put(
                "detach",
                new Case(then(running, world -> world.vol.setAttached(true)), world -> world.vol.setAttached(false)));
        cases.put("remove", new Case(running, world -> assertTrue(world.registry.remove(world.vol, false))));
        cases.put("remove with both tables", new Case(reloaded, world -> world.registry.remove(world.vol, false)));
        cases.put("deferred remove", new Case(open, world -> assertFalse(world.registry.remove(world.vol, true))));
        cases.put(
                "deferred remove taken back",
                new Case(
                        then(open, world -> world.registry.remove(world.vol, true)),
                        world -> world.registry.cancelDeferredRemove(world.vol)));
        return cases;
    }

    private static Change then(Change first, Change second) {
        return world -> {
            first.on(world);
            second.on(world);
        };
    }

    private static Change created(Change before, String letter) {
        return then(before, world -> world.vol.load(table(letter), false));
    }

    private static Change resumed(Change before) {
        return then(before, world -> world.vol.resume());
    }

    private static Change suspended(Change before) {
        return then(before, world -> world.vol.suspend());
    }

    private static List<TargetSpec> table(String letter) {
        return List.of(new TargetSpec(0, 8, "letter", letter));
    }

    /** Is told of each step, before it is done; may throw. */
    private interface Steps {
        void at(String step) throws IOException;
    }

    /** A target that reads as its letter. */
    private record Letter(char letter, Steps steps) implements Target {
        @Override
        public String type() {
            return "letter";
        }

        @Override
        public void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags) {
            while (data != null && data.hasRemaining()) {
                if (operation == Operation.READ) {
                    data.put((byte) letter);
                } else {
                    data.get();
                }
            }
        }

        @Override
        public void sync() throws IOException {
            steps.at("sync " + letter);
        }

        @Override
        public void resume() throws IOException {
            steps.at("resume " + letter);
        }

        @Override
        public void suspend() throws IOException {
            steps.at("suspend " + letter);
        }

        @Override
        public void close() throws IOException {
            steps.at("close " + letter);
        }

        @Override
        public String table() {
            return String.valueOf(letter);
        }

        @Override
        public String status() {
            return "";
        }

        @Override
        public List<Backing> dependencies() {
            return List.of();
        }
    }

    /** What is remembered, and what an engine makes of it. */
    private static final class World implements DeviceStore, DeviceListener {
        final TreeMap<Integer, DeviceRecord> store = new TreeMap<>();
        final DeviceRegistry registry;
        MappedDevice vol;
        private Steps steps = step -> {};

        World() {
            registry = new DeviceRegistry(
                    List.of(new TargetFactory() {
                        @Override
                        public String type() {
                            return "letter";
                        }

                        @Override
                        public int[] version() {
                            return new int[] {1, 0, 0};
                        }

                        @Override
                        public Target load(long lengthSectors, List<String> words, BackingOpener backings)
                                throws IOException {
                            steps.at("open");
                            return new Letter(words.get(0).charAt(0), step -> steps.at(step));
                        }
                    }),
                    (device, readOnly, found) -> name -> null,
                    task -> new Thread(task).start(),
                    this,
                    EngineLog.silent());
            registry.addListener(this);
        }

        /** An engine that is started with what another one has remembered. */
        static World from(Map<Integer, DeviceRecord> records) {
            World world = new World();
            world.store.putAll(records);
            world.registry.restore(records.values(), Set.of());
            world.registry.devices().forEach(world.registry::awaitBack);
            return world;
        }

        @Override
        public void save(DeviceRecord record) throws IOException {
            steps.at("save");
            store.put(record.minor(), record);
            steps.at("saved");
        }

        @Override
        public void delete(int minor) throws IOException {
            steps.at("delete");
            store.remove(minor);
            steps.at("deleted");
        }

        @Override
        public void suspending(MappedDevice device) throws IOException {
            steps.at("freeze");
        }

        @Override
        public void beforeRemoval(MappedDevice device) throws IOException {
            steps.at("before removal");
        }

        @Override
        public void removing(MappedDevice device) throws IOException {
            steps.at("removing");
        }

        @Override
        public void appeared(MappedDevice device) {
            moment("appeared");
        }

        @Override
        public void tableChanged(MappedDevice device) {
            moment("table changed");
        }

        @Override
        public void renamed(MappedDevice device, String oldName) {
            moment("renamed");
        }

        @Override
        public void resumed(MappedDevice device) {
            moment("thaw");
        }

        @Override
        public void disappeared(MappedDevice device) {
            moment("disappeared");
        }

        /** A step that can't fail. */
        private void moment(String step) {
            try {
                steps.at("(" + step + ")");
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        }

        /** What users can see, by what it is about; what a request gets is part of it where requests are let through. */
        Map<String, String> seen() {
            Map<String, String> seen = new TreeMap<>();
            seen.put("names", registry.devices().toString());
            for (MappedDevice device : registry.devices()) {
                seen.put("found", String.valueOf(registry.byName(device.name()) == device));
                seen.put("uuid", device.uuid());
                seen.put("suspended", String.valueOf(device.isSuspended()));
                seen.put("attached", String.valueOf(device.isAttached()));
                seen.put("deferred", String.valueOf(device.isDeferredRemove()));
                for (boolean inactive : new boolean[] {false, true}) {
                    try {
                        List<TargetSpec> lines = device.lines(inactive, true);
                        seen.put(inactive ? "inactive" : "live", lines == null ? "none" : lines.toString());
                    } catch (IOException e) {
                        throw new AssertionError(e);
                    }
                }
                seen.put("read only", String.valueOf(device.isReadOnly(true)));
            }
            return seen;
        }

        /** The letter that a request gets now, or "held", or why there is none. */
        String reached() {
            for (MappedDevice device : registry.devices()) {
                if (device.io().table() == null) {
                    return "none";
                }
                if (device.io().isHeld()) {
                    return "held";
                }
                ByteBuffer first = ByteBuffer.allocate(512);
                try {
                    device.io().read(0, first);
                } catch (IOException e) {
                    return e.toString();
                }
                return String.valueOf((char) first.get(0));
            }
            return "none";
        }
    }

    /** What was there at a step. */
    private record Moment(String step, Map<Integer, DeviceRecord> store, Map<String, String> seen, String reached) {}

    /** Does the change, and notes every step. */
    private static List<Moment> walk(Case c, World world) throws IOException {
        List<Moment> moments = new ArrayList<>();
        c.before.on(world);
        world.steps = step -> moments.add(new Moment(step, new TreeMap<>(world.store), world.seen(), world.reached()));
        world.steps.at("(begin)");
        c.change.on(world);
        world.steps.at("(answered)");
        world.steps = step -> {};
        return moments;
    }

    @Test
    void aKillAtAnyStepIsFollowedByTheStateBeforeOrTheOneAfterAndByNoOtherThanWasSeen() throws Exception {
        Set<String> steps = new TreeSet<>();
        for (Map.Entry<String, Case> named : cases().entrySet()) {
            List<Moment> moments = walk(named.getValue(), new World());
            Map<String, String> before = moments.get(0).seen;
            Map<String, String> after = moments.get(moments.size() - 1).seen;
            for (Moment moment : moments) {
                String where = named.getKey() + ", killed at " + moment.step;
                steps.add(moment.step);
                World again = World.from(moment.store);
                Map<String, String> found = again.seen();
                assertTrue(found.equals(before) || found.equals(after), () -> where + ": " + found);
                moment.seen.forEach((what, value) -> {
                    // One that is about to go on is suspended until it does, and nobody is promised that it stays so.
                    boolean passes = what.equals("suspended") && "false".equals(after.get(what));
                    if (!passes && !value.equals(before.get(what))) {
                        assertEquals(value, found.get(what), where + ": " + what);
                    }
                });
                if (moment.step.equals("(answered)")) {
                    assertEquals(after, found, where);
                }
                if (moment.reached.length() == 1 && !found.get("names").equals("[]")) {
                    assertEquals(moment.reached, again.reached(), where);
                }
            }
        }
        assertTrue(
                steps.containsAll(Set.of(
                        "open",
                        "freeze",
                        "sync a",
                        "save",
                        "saved",
                        "suspend a",
                        "resume b",
                        "close a",
                        "(table changed)",
                        "(thaw)",
                        "removing",
                        "delete",
                        "deleted",
                        "(disappeared)")),
                steps.toString());
    }

    @Test
    void aStepThatFailsLeavesTheStateBeforeOrTheOneAfterAndARestartFindsTheSame() throws Exception {
        for (Map.Entry<String, Case> named : cases().entrySet()) {
            List<Moment> moments = walk(named.getValue(), new World());
            Map<String, String> before = moments.get(0).seen;
            Map<String, String> after = moments.get(moments.size() - 1).seen;
            boolean published = false;
            for (int k = 0; k < moments.size(); k++) {
                String step = moments.get(k).step;
                published |= !moments.get(k).seen.equals(before);
                // What was saved or deleted is so, whatever the call says; the state folder takes it back.
                if (!step.startsWith("(") && !step.equals("saved") && !step.equals("deleted")) {
                    fail(named.getValue(), k, named.getKey() + ", " + step + " fails", published, before, after);
                }
            }
        }
    }

    private static void fail(
            Case c, int failing, String where, boolean published, Map<String, String> before, Map<String, String> after)
            throws IOException {
        World world = new World();
        c.before.on(world);
        int[] left = {failing};
        world.steps = step -> {
            left[0]--;
            if (left[0] == 0) {
                throw new ErrnoException(step, Errno.EIO.number());
            }
        };
        IOException failure = null;
        try {
            c.change.on(world);
        } catch (IOException e) {
            failure = e;
        }
        world.steps = step -> {};
        Map<String, String> now = world.seen();
        if (failure == null || published) {
            // Carried out, but for what failed: a device whose targets can't be resumed stays suspended.
            Map<String, String> suspended = new TreeMap<>(after);
            suspended.computeIfPresent("suspended", (what, value) -> "true");
            assertTrue(now.equals(after) || failure != null && now.equals(suspended), () -> where + ": " + now);
        } else {
            assertTrue(((ErrnoException) failure).is(Errno.EIO), where);
            assertEquals(before, now, where);
        }
        World again = World.from(world.store);
        assertEquals(now, again.seen(), where);
        assertEquals("true".equals(now.get("suspended")) ? "held" : again.reached(), world.reached(), where);
    }
}
