// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.ioctl.TextPayload;

/** One call as libdevmapper would make it: its request is built again for every size of buffer that is tried. */
public final class DmCall {
    /** libdevmapper's patience with {@code remove --retry}: 25 times, a fifth of a second apart. */
    private static final int PATIENT_TRIES = 25;

    private static final long BETWEEN_TRIES_NANOS = TimeUnit.MILLISECONDS.toNanos(200);

    private final String task;
    private final DmCommand command;
    private DeviceId device;
    private int flags;
    private int eventNr;
    private int payloadBytes;
    private int answerBytes;
    private int tries = 1;
    /** What goes into a request besides, or null. */
    private Consumer<DmIoctl> payload;

    private DmCall(String task, DmCommand command, DeviceId device) {
        this.task = task;
        this.command = command;
        this.device = device;
    }

    /** A call; {@code task} is libdevmapper's name for it, which its messages use. */
    public static DmCall of(String task, DmCommand command, DeviceId device) {
        return new DmCall(task, command, device);
    }

    /** Sets {@code bits} of {@link DmFlags}, when {@code condition} holds. */
    public DmCall flag(int bits, boolean condition) {
        flags |= condition ? bits : 0;
        return this;
    }

    /** Sets the event number to wait beyond. */
    public DmCall eventNr(int seen) {
        eventNr = seen;
        return this;
    }

    /** Sets the flags for udev's rules ({@code UDEV_…} of {@link DmFlags}). There is never a cookie to wait for. */
    public DmCall udevFlags(int udevFlags) {
        eventNr = udevFlags << DmFlags.UDEV_FLAGS_SHIFT;
        return this;
    }

    public DmCall table(List<TargetSpec> specs) {
        payloadBytes = TargetSpec.encodedBytes(specs);
        payload = io -> TargetSpec.encodeRequest(io, specs);
        return this;
    }

    /** The new name or uuid. */
    public DmCall text(String text) {
        payloadBytes = TextPayload.encodedBytes(text);
        payload = io -> TextPayload.encode(io, text);
        return this;
    }

    /** The message and the sector of its target. */
    public DmCall message(long sector, String text) {
        payloadBytes = TextPayload.messageBytes(text);
        // Not a lambda: to link the first one of a process takes as long as sending the message.
        payload = new Consumer<>() {
            @Override
            public void accept(DmIoctl io) {
                TextPayload.encodeMessage(io, sector, text);
            }
        };
        return this;
    }

    /** Makes room for so long an answer at once: for what must not be done again when the answer did not fit. */
    public DmCall room(int bytes) {
        answerBytes = bytes;
        return this;
    }

    /** Gives the name even though a number is given too: a device that is made has both. */
    public DmCall withName(String name) {
        payload = io -> io.setName(name);
        return this;
    }

    /** Makes it again when the device was busy, for a while, when {@code condition} holds. */
    public DmCall patiently(boolean condition) {
        tries = condition ? PATIENT_TRIES : 1;
        return this;
    }

    /** Asks for the version of this target type. */
    public DmCall targetType(String type) {
        // It goes where other calls have a device's name.
        device = DeviceId.ofName(type);
        return this;
    }

    /** As {@link #run}, but null when there is no such device. */
    public DmIoctl runIfThere(Control control) throws IOException {
        try {
            return run(control);
        } catch (DmException e) {
            if (e.is(Errno.ENXIO)) {
                return null;
            }
            throw e;
        }
    }

    /**
     * Makes the call, with ever larger buffers until the answer fits.
     *
     * @return the answer
     * @throws DmException when it was refused
     * @throws IOException when the channel failed
     */
    public DmIoctl run(Control control) throws IOException {
        for (int left = tries; ; left--) {
            try {
                return runOnce(control);
            } catch (DmException e) {
                if (!e.is(Errno.EBUSY) || left <= 1) {
                    throw e;
                }
                LockSupport.parkNanos(BETWEEN_TRIES_NANOS);
            }
        }
    }

    private DmIoctl runOnce(Control control) throws IOException {
        int bytes = Math.max(DmIoctl.INITIAL_BUFFER_BYTES, DmIoctl.HEADER_BYTES + Math.max(payloadBytes, answerBytes));
        while (true) {
            DmIoctl io = DmIoctl.request(bytes);
            io.setFlags(io.flags() | flags);
            io.setEventNr(eventNr);
            device.encode(io);
            if (payload != null) {
                payload.accept(io);
            }
            int result = control.call(command.number(), io.buffer());
            if (result < 0) {
                throw new DmException(task, device, -result);
            }
            if (!io.has(DmFlags.BUFFER_FULL)) {
                return io;
            }
            if (bytes > SocketControl.MAX_FRAME_BYTES / 4) {
                throw new IOException("device-mapper: the answer to " + task + " does not fit " + bytes + " bytes");
            }
            bytes *= 2;
        }
    }
}
