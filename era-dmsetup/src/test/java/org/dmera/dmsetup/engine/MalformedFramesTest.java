// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Frames that no client would send: lengths, offsets, names without an end, loops, huge counts. */
class MalformedFramesTest {
    private static final int FRAMES = Boolean.getBoolean("era.nightly") ? 1_000_000 : 100_000;
    private static final long SEED = Long.getLong("era.seed", 20_261_122);
    private static final long ANSWER_WITHIN_NANOS = 20_000_000_000L;

    @TempDir
    Path folder;

    private final Random random = new Random(SEED);
    private SocketChannel channel;
    private final AtomicReference<SocketChannel> waitsOn = new AtomicReference<>();
    private volatile long waitsSince;

    @Test
    void areAnsweredOrTheConnectionIsClosedAndLiveDevicesAreUnharmed() throws Exception {
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        EngineLog log = new EngineLog(new PrintStream(errors), EngineLog.Level.ERROR, EngineLog.Form.PLAIN);
        try (TestEngine engine = new TestEngine(folder, log);
                DmClient client = engine.client()) {
            engine.createEra(client, "live", 8192, 8);
            MappedDevice live = engine.registry().byName("live");
            // Open, so that even a well-formed remove_all must leave it.
            live.open();
            ByteBuffer data = ByteBuffer.wrap("precious".repeat(64).getBytes(StandardCharsets.US_ASCII));
            live.io().write(4096, data.duplicate(), 0);
            List<TargetSpec> table = client.table(DeviceId.ofName("live"));

            AtomicBoolean hung = new AtomicBoolean();
            Thread watchdog = new Thread(() -> watch(hung), "watchdog");
            watchdog.setDaemon(true);
            watchdog.start();
            int answered = 0;
            for (int i = 0; i < FRAMES; i++) {
                answered += send(engine.socket, frame()) ? 1 : 0;
                assertFalse(hung.get(), "frame " + i + " of seed " + SEED + " had no answer");
            }
            watchdog.interrupt();

            assertEquals(table, client.table(DeviceId.ofName("live")));
            assertFalse(live.isSuspended());
            ByteBuffer back = ByteBuffer.allocate(512);
            live.io().read(4096, back);
            assertEquals(data, back.flip());
            assertEquals(1, client.eraStatus(DeviceId.ofName("live")).currentEra());
            assertFalse(errors.toString(StandardCharsets.ISO_8859_1).contains("internal error"), errors::toString);
            System.out.println(FRAMES + " malformed frames: " + answered + " answered, the others closed on");
            live.close();
        }
    }

    private void watch(AtomicBoolean hung) {
        try {
            while (true) {
                SocketChannel waiting = waitsOn.get();
                if (waiting != null && System.nanoTime() - waitsSince > ANSWER_WITHIN_NANOS) {
                    hung.set(true);
                    waiting.close();
                }
                synchronized (this) {
                    wait(500);
                }
            }
        } catch (InterruptedException | IOException e) {
            return;
        }
    }

    /** Sends it; whether there was an answer. */
    private boolean send(Path socket, ByteBuffer frame) throws IOException {
        if (channel == null) {
            channel = SocketChannel.open(StandardProtocolFamily.UNIX);
            channel.connect(UnixDomainSocketAddress.of(socket));
        }
        int length = frame.remaining() < 4 ? 0 : frame.getInt(0);
        boolean whole = length >= 0 && length <= frame.remaining() - 4 || length < 0 || length > 16 << 20;
        try {
            while (frame.hasRemaining()) {
                channel.write(frame);
            }
            if (!whole || frame.position() < 4) {
                // The engine waits for the rest, which never comes.
                drop();
                return false;
            }
            waitsSince = System.nanoTime();
            waitsOn.set(channel);
            ByteBuffer head = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
            if (!readFully(head)) {
                drop();
                return false;
            }
            if (!readFully(ByteBuffer.allocate(head.getInt(0) - 4)) || random.nextInt(50) == 0) {
                drop();
            }
            return true;
        } catch (IOException e) {
            drop();
            return false;
        } finally {
            waitsOn.set(null);
        }
    }

    private boolean readFully(ByteBuffer into) throws IOException {
        while (into.hasRemaining()) {
            if (channel.read(into) < 0) {
                return false;
            }
        }
        return true;
    }

    private void drop() throws IOException {
        channel.close();
        channel = null;
    }

    private ByteBuffer frame() {
        int size = 305 + random.nextInt(random.nextInt(20) == 0 ? 20_000 : 600);
        DmIoctl io = DmIoctl.over(ByteBuffer.allocate(size));
        io.setVersion(4, random.nextInt(4) == 0 ? random.nextInt(60) : 0, 0);
        io.setDataSize(size);
        io.setDataStart(312);
        io.setName("f" + random.nextInt(4));
        io.setFlags(random.nextInt());
        io.setEventNr(0x7fff0000 + random.nextInt(0xffff));
        io.setTargetCount(random.nextInt(3));
        DmCommand[] commands = DmCommand.values();
        int command = commands[random.nextInt(commands.length)].number();
        for (int at = 312; at < size; at++) {
            io.buffer().put(at, (byte) (random.nextInt(3) == 0 ? random.nextInt() : 0));
        }
        if (size >= 400 && random.nextBoolean()) {
            TargetSpec.encodeRequest(
                    io, List.of(new TargetSpec(0, 8, random.nextBoolean() ? "zero" : "linear", "x 0")));
        }
        for (int i = random.nextInt(4); i > 0; i--) {
            command = spoil(io, command);
        }
        if (command == DmCommand.DEV_WAIT.number()) {
            // To wait for an event that may never come is no fault.
            io.setEventNr(0x7fffffff);
        }
        return framed(command, io.buffer());
    }

    private int spoil(DmIoctl io, int command) {
        ByteBuffer buffer = io.buffer();
        switch (random.nextInt(9)) {
            case 0 -> io.setDataSize(random.nextInt());
            case 1 -> io.setDataStart(random.nextBoolean() ? random.nextInt() : random.nextInt(buffer.limit() + 8));
            case 2 -> fill(buffer, 48, 128, (byte) 'n');
            case 3 -> fill(buffer, 176, 129, (byte) 'u');
            case 4 -> io.setTargetCount(random.nextBoolean() ? -1 : random.nextInt());
            case 5 -> {
                if (buffer.limit() >= 352) {
                    buffer.putInt(332, random.nextBoolean() ? 0 : random.nextInt(80) - 40);
                }
            }
            case 6 -> {
                return random.nextInt(40) - 5;
            }
            // Not the major of the engine's devices: a well-formed call on the live one would be no fault.
            case 7 -> io.setDev(random.nextLong() & ~0xfff00L);
            default -> fill(buffer, 312, buffer.limit() - 312, (byte) 0xff);
        }
        return command;
    }

    private static void fill(ByteBuffer buffer, int from, int bytes, byte with) {
        for (int i = from; i < Math.min(from + bytes, buffer.limit()); i++) {
            buffer.put(i, with);
        }
    }

    private ByteBuffer framed(int command, ByteBuffer payload) {
        ByteBuffer frame = ByteBuffer.allocate(8 + payload.limit()).order(ByteOrder.LITTLE_ENDIAN);
        int length = 4 + payload.limit();
        boolean cut = random.nextInt(20) == 0;
        switch (random.nextInt(40)) {
            case 0 -> length = random.nextInt();
            case 1 -> length = random.nextInt(320);
            case 2 -> length += 1 + random.nextInt(100);
            default -> {}
        }
        frame.putInt(length)
                .putInt(command)
                .put(payload.duplicate().position(0))
                .flip();
        return cut ? frame.limit(random.nextInt(frame.limit())) : frame;
    }
}
