// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.control.EngineControl;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;
import org.dmera.dmsetup.targets.TargetFactory;
import org.junit.jupiter.api.Test;

/** Steps that fail in ways that they shouldn't, at the end of an engine above all. */
class ShutdownStepsTest {
    private final List<String> done = new ArrayList<>();

    /** A target that fails in the way, or at the step, that its only argument names. */
    private final class Stubborn implements Target {
        private final String how;

        Stubborn(String how) {
            this.how = how;
        }

        private void fail(String step) throws IOException {
            switch (how) {
                case "io" -> throw new IOException(step);
                case "unchecked" -> throw new IllegalStateException(step);
                case "error" -> throw new OutOfMemoryError(step);
                default -> done.add(step + " " + how);
            }
        }

        @Override
        public String type() {
            return "stubborn";
        }

        @Override
        public void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags) {
            if (operation == Operation.WRITE) {
                done.add("write " + how);
            }
        }

        @Override
        public void resume() {
            if (how.equals("unresumable")) {
                throw new IllegalStateException("resume");
            }
        }

        @Override
        public void replaced() {
            if (how.equals("irreplaceable")) {
                throw new IllegalStateException("replaced");
            }
        }

        @Override
        public void suspend() throws IOException {
            fail("suspend");
        }

        @Override
        public void close() throws IOException {
            fail("close");
        }

        @Override
        public String table() {
            return how;
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

    private final TargetFactory stubborn = new TargetFactory() {
        @Override
        public String type() {
            return "stubborn";
        }

        @Override
        public int[] version() {
            return new int[] {1, 0, 0};
        }

        @Override
        public Target load(long length, List<String> arguments, BackingOpener backings) {
            if (arguments.get(0).equals("refuse")) {
                throw new IllegalStateException("a fault\nof two lines");
            }
            return new Stubborn(arguments.get(0));
        }
    };

    private final DeviceRegistry registry = new DeviceRegistry(
            List.of(stubborn),
            (device, readOnly, found) -> name -> null,
            task -> new Thread(task).start(),
            DeviceStore.NONE,
            EngineLog.silent());

    @Test
    void everyDeviceIsSuspendedAndClosedThoughOthersFailAndTheFirstFailureIsTold() throws Exception {
        for (String how : List.of("io", "good1", "unchecked", "good2", "error", "good3")) {
            MappedDevice device = registry.create(how, "", OptionalInt.empty());
            device.load(List.of(new TargetSpec(0, 8, "stubborn", how)), false);
            device.resume();
        }
        ShutdownSteps steps = new ShutdownSteps(EngineLog.silent());
        registry.suspendAll(steps);
        assertEquals(List.of("suspend good1", "suspend good2", "suspend good3"), done);
        registry.closeAll(steps);
        assertEquals(List.of("close good1", "close good2", "close good3"), done.subList(3, 6));
        IOException first = assertThrows(IOException.class, steps::throwFirst);
        assertTrue(first.getMessage().startsWith("suspend of io (120:0): "), first::getMessage);
    }

    @Test
    void requestsReachTheNewTableThoughTheOldTargetFailedWhenItWasReplaced() throws Exception {
        MappedDevice device = registry.create("vol", "", OptionalInt.empty());
        device.load(List.of(new TargetSpec(0, 8, "stubborn", "irreplaceable")), false);
        device.resume();
        device.load(List.of(new TargetSpec(0, 8, "stubborn", "good")), false);
        assertThrows(IllegalStateException.class, device::resume);
        device.resume();
        device.io().write(0, ByteBuffer.allocate(512), 0);
        assertEquals(List.of("suspend irreplaceable", "close irreplaceable", "write good"), done);
    }

    @Test
    void targetsBeforeOneThatFailsToResumeAreSuspendedAgain() throws Exception {
        MappedDevice device = registry.create("vol", "", OptionalInt.empty());
        device.load(
                List.of(new TargetSpec(0, 8, "stubborn", "good"), new TargetSpec(8, 8, "stubborn", "unresumable")),
                false);
        assertThrows(IllegalStateException.class, device::resume);
        assertEquals(List.of("suspend good"), done);
    }

    @Test
    void anUncheckedExceptionIsAnErrorOfTheCallAndALineInTheLogAndLeavesNothingBehind() throws Exception {
        ByteArrayOutputStream logged = new ByteArrayOutputStream();
        EngineLog log = new EngineLog(
                new PrintStream(logged, true, StandardCharsets.UTF_8), EngineLog.Level.WARNING, EngineLog.Form.PLAIN);
        DeviceRegistry devices = new DeviceRegistry(
                List.of(stubborn),
                (device, readOnly, found) -> name -> null,
                task -> new Thread(task).start(),
                DeviceStore.NONE,
                log);
        devices.create("vol", "", OptionalInt.empty());
        EngineControl control = new EngineControl(devices, Map.of());
        DmException e = assertThrows(
                DmException.class,
                () -> DmCall.of("reload", DmCommand.TABLE_LOAD, DeviceId.ofName("vol"))
                        .table(List.of(
                                new TargetSpec(0, 8, "stubborn", "first"), new TargetSpec(8, 8, "stubborn", "refuse")))
                        .run(control));
        assertTrue(e.getMessage().contains("Input/output error"), e::getMessage);
        assertFalse(devices.byName("vol").hasInactive());
        assertEquals(List.of("close first"), done);
        assertEquals(1, logged.toString(StandardCharsets.UTF_8).lines().count(), logged::toString);
    }
}
