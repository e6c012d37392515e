// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
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
import java.util.OptionalInt;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Records that anybody else writes on are ruined, so no table may bring that about, whatever way it takes to them. */
@Timeout(600)
@Alone
class SharedStorageTest {
    private static final int SECTORS = 1024;

    @TempDir
    Path folder;

    private TestEngine engine;
    private DeviceRegistry registry;

    @BeforeEach
    void start() throws IOException {
        engine = new TestEngine(folder);
        registry = engine.registry();
        for (String name : List.of("m", "n", "a", "b")) {
            engine.file(name, 2 * SECTORS);
        }
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
    }

    private Path file(String name) {
        return folder.resolve(name);
    }

    private MappedDevice create(String name, String type, String params) throws IOException {
        MappedDevice device = registry.create(name, "", OptionalInt.empty());
        try {
            load(device, type, params, false);
            device.resume();
        } catch (IOException e) {
            registry.remove(device, false);
            throw e;
        }
        return device;
    }

    private static void load(MappedDevice device, String type, String params, boolean readOnly) throws IOException {
        device.load(List.of(new TargetSpec(0, SECTORS, type, params)), readOnly);
    }

    private void refused(Errno errno, String metadata, String origin) throws IOException {
        byte[] blank = new byte[4096];
        for (boolean readOnly : new boolean[] {false, true}) {
            MappedDevice device = registry.create("refused", "", OptionalInt.empty());
            String params = metadata + " " + origin + " 8";
            ErrnoException e = assertThrows(ErrnoException.class, () -> load(device, "era", params, readOnly), params);
            assertTrue(e.is(errno), () -> params + ": " + e.getMessage());
            assertFalse(device.hasInactive());
            registry.remove(device, false);
            // Nothing was formatted on the way to the refusal.
            for (String file : List.of("a", "b")) {
                byte[] first = java.util.Arrays.copyOf(Files.readAllBytes(file(file)), 4096);
                assertArrayEquals(blank, first, file);
            }
        }
    }

    @Test
    void metadataThatIsTheOriginIsRefusedByWhateverWay() throws Exception {
        String a = file("a").toString();
        Files.createSymbolicLink(file("link"), file("a"));
        Files.createSymbolicLink(file("node"), Path.of("/dev/mapper/lin"));
        Files.createLink(file("hard"), file("a"));
        create("lin", "linear", a + " 0");
        create("deep", "linear", "engine:lin 0");
        create("half", "linear", a + " 512");
        create("striped", "striped", "2 8 " + a + " 0 " + file("b") + " 0");
        for (String other : List.of(
                a,
                file("link").toString(),
                file("hard").toString(),
                file("node").toString(),
                "engine:lin",
                "engine:deep",
                "/dev/mapper/half")) {
            refused(Errno.EINVAL, a, other);
            refused(Errno.EINVAL, other, a);
        }
        refused(Errno.EINVAL, "engine:lin", "engine:deep");
        refused(Errno.EINVAL, "engine:lin", "engine:half");
        refused(Errno.EINVAL, "engine:striped", a);
        refused(Errno.EINVAL, file("b").toString(), "engine:striped");
    }

    @Test
    void metadataOfAnotherTargetIsRefusedAsMetadataAndAsOrigin() throws Exception {
        String m = file("m").toString();
        create("vol", "era", m + " " + file("n") + " 8");
        create("lin", "linear", m + " 0");
        Files.createSymbolicLink(file("link"), file("m"));
        for (String same : List.of(m, "engine:lin", file("link").toString())) {
            refused(Errno.EBUSY, same, file("a").toString());
            refused(Errno.EBUSY, file("a").toString(), same);
        }
        // The origin of a target is nobody's metadata, but for one that writes through the target.
        refused(Errno.EBUSY, file("n").toString(), file("a").toString());
    }

    @Test
    void aLoopDeviceIsTheAreaOfItsFile() throws Exception {
        boolean canLoop = "root".equals(System.getProperty("user.name")) && Files.exists(Path.of("/dev/loop-control"));
        assertTrue(canLoop || !"true".equals(System.getenv("CI")), "needs root and /dev/loop-control");
        assumeTrue(canLoop, "needs root and /dev/loop-control");
        String loop = losetup("-f", "--show", "-o", "524288", file("a").toString());
        try {
            create("front", "linear", file("a") + " 0");
            create("middle", "linear", file("a") + " 1016");
            refused(Errno.EINVAL, loop, file("a").toString());
            refused(Errno.EINVAL, "engine:middle", loop);
            MappedDevice vol = create("vol", "era", "engine:front " + loop + " 8");
            registry.remove(vol, false);
        } finally {
            losetup("-d", loop);
        }
    }

    private static String losetup(String... words) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of("/usr/sbin/losetup"));
        command.addAll(List.of(words));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        assertEquals(0, process.waitFor(), said);
        return said;
    }

    @Test
    void twoAreasOfOneFileAreNotTheSame() throws Exception {
        create("front", "linear", file("a") + " 0");
        create("back", "linear", file("a") + " 1024");
        MappedDevice vol = create("vol", "era", "engine:front engine:back 8");
        assertTrue(vol.hasLive());
        // Reloaded onto the same, and stacked.
        load(vol, "era", "engine:front engine:back 8", false);
        vol.resume();
        create("upper", "era", file("m") + " engine:vol 8");
        create("on", "era", "engine:upper " + file("n") + " 8");
        assertEquals(1, vol.openCount());
    }

    @Test
    void twoAreasOfAStripedDeviceAreNotTheSameThoughBothLieOnEachStripe() throws Exception {
        registry.create("striped", "", OptionalInt.empty())
                .load(
                        List.of(new TargetSpec(
                                0, 2 * SECTORS, "striped", "2 8 " + file("a") + " 0 " + file("b") + " 0")),
                        false);
        registry.byName("striped").resume();
        create("front", "linear", "engine:striped 0");
        create("back", "linear", "engine:striped 1024");
        create("middle", "linear", "engine:striped 1016");
        refused(Errno.EINVAL, "engine:front", "engine:middle");
        create("vol", "era", "engine:front engine:back 8");
    }

    @Test
    void aDeviceBeneathIsNotReloadedOntoWhatItsTargetMustNotShare() throws Exception {
        MappedDevice below = create("below", "linear", file("m") + " 0");
        create("vol", "era", "engine:below " + file("n") + " 8");
        create("other", "era", file("a") + " " + file("b") + " 8");
        for (String taken : List.of("n", "a", "b")) {
            ErrnoException e =
                    assertThrows(ErrnoException.class, () -> load(below, "linear", file(taken) + " 0", false), taken);
            assertTrue(e.is(taken.equals("n") ? Errno.EINVAL : Errno.EBUSY), e::getMessage);
            assertFalse(below.hasInactive());
        }
        load(below, "linear", file("m") + " 0", false);
        below.resume();
    }

    @Test
    void ofTwoLoadsThatWouldCloseACircleTogetherOneIsRefused() throws Exception {
        MappedDevice one = create("one", "linear", file("a") + " 0");
        MappedDevice two = create("two", "linear", file("b") + " 0");
        ExecutorService threads = Executors.newFixedThreadPool(2);
        try {
            for (int round = 0; round < 60; round++) {
                CyclicBarrier together = new CyclicBarrier(2);
                List<Future<Boolean>> loads = new ArrayList<>();
                for (MappedDevice device : List.of(one, two)) {
                    String below = device == one ? "engine:two 0" : "engine:one 0";
                    loads.add(threads.submit(() -> {
                        together.await();
                        try {
                            load(device, "linear", below, false);
                            return true;
                        } catch (ErrnoException e) {
                            assertTrue(e.is(Errno.EINVAL), e::getMessage);
                            return false;
                        }
                    }));
                }
                assertFalse(loads.get(0).get() && loads.get(1).get());
                one.clear();
                two.clear();
            }
        } finally {
            threads.shutdown();
        }
    }

    @Test
    void filesAreOpenedAndClosedByManyAtOnce() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try {
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                MappedDevice device = registry.create("d" + i, "", OptionalInt.empty());
                all.add(threads.submit(() -> {
                    for (int round = 0; round < 12; round++) {
                        load(device, "linear", file(round % 2 == 0 ? "a" : "b") + " 0", false);
                        device.clear();
                    }
                    return null;
                }));
            }
            for (Future<?> one : all) {
                one.get();
            }
        } finally {
            threads.shutdown();
        }
    }
}
