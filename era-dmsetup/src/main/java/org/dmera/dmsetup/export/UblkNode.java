// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.dmera.core.linux.DeviceNode;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Threads;

/**
 * A device of the kernel's ublk driver, whose requests come straight to this process: {@link UblkQueue}.
 *
 * <p>It outlives the process. When that is killed, those who use the node wait, and the next engine goes on with it, by its
 * number and by the token that the driver keeps for it. What was under way and not answered comes once more. The driver lets
 * the next one begin only when the dead one's files are closed, and they are closed when each of its threads has come to its end:
 * so no write of the dead one can come after a newer one.
 *
 * <p>What may wait for requests that this process serves is done by a {@link NodeKeeper}, which has none of the process's
 * files: otherwise a kill meanwhile would keep them open, and the next engine out. For the same reason the node itself is not
 * kept open.
 */
final class UblkNode implements Attachment {
    /** How long a dead engine's node may take until the driver has noticed: it looks every five seconds. */
    private static final long RECOVERY_NANOS = TimeUnit.SECONDS.toNanos(60);
    /** How long a stopped device's last users are waited for, before it is left for later. */
    private static final long CLOSE_NANOS = TimeUnit.SECONDS.toNanos(2);

    private static final long POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(5);
    private static final long LATER_NANOS = TimeUnit.SECONDS.toNanos(1);

    /**
     * What a device is known by after this process has ended.
     *
     * @param id its number
     * @param token what the driver keeps of whose it is
     */
    record Identity(int id, long token) {
        String node() {
            return "/dev/ublkb" + id;
        }
    }

    private final Identity identity;
    private final DeviceIo io;
    private final UblkNotes notes;
    private final Consumer<String> log;
    private final UblkControl control;

    private final UblkQueue queue;
    /** Its size, which can't be changed. */
    private long sizeBytes;

    private UblkNode(
            Identity identity,
            MappedDevice device,
            UblkNotes notes,
            Served served,
            UblkControl control,
            Consumer<String> log) {
        this.identity = identity;
        this.io = device.io();
        this.notes = notes;
        this.control = control;
        this.log = log;
        this.queue = new UblkQueue(identity.id(), device, served, control, log, failed -> failLater());
    }

    /** Whether the kernel has the driver at hand. */
    static boolean isAvailable() {
        return Files.exists(Path.of(UblkControl.NODE));
    }

    /** Adds one for {@code device}, noted before anybody can use it; {@code token} tells it from all others. */
    static UblkNode add(MappedDevice device, long token, UblkNotes notes, Served served, Consumer<String> log)
            throws IOException {
        UblkControl control = UblkControl.open("keeper of a ublk device");
        return Failures.takingBack(control::end, () -> {
            long wanted = Ublk.F_USER_RECOVERY | Ublk.F_USER_RECOVERY_REISSUE;
            ByteBuffer info =
                    Ublk.info(-1, UblkQueue.DEPTH, UblkQueue.MAX_BYTES, wanted | Ublk.F_CMD_IOCTL_ENCODE, token);
            control.command("ADD_DEV", Ublk.ADD_DEV, -1, info, 0);
            Identity identity = new Identity(Ublk.id(info), token);
            Failures.Step delete = () -> {
                try {
                    control.attempt(Ublk.DEL_DEV, identity.id(), null, 0);
                } finally {
                    notes.gone(identity);
                }
            };
            return Failures.takingBack(delete, () -> {
                if ((Ublk.flags(info) & wanted) != wanted) {
                    throw new ErrnoException("ublk without user recovery", Errno.EOPNOTSUPP);
                }
                notes.starting(identity, device);
                UblkNode node = new UblkNode(identity, device, notes, served, control, log);
                node.begin();
                notes.started(identity, device);
                return node;
            });
        });
    }

    private void begin() throws IOException {
        sizeBytes = io.sizeBytes();
        boolean readOnly = io.isReadOnly();
        command("SET_PARAMS", Ublk.SET_PARAMS, Ublk.params(sizeBytes, UblkQueue.MAX_BYTES, readOnly), 0);
        queue.start(() -> {});
        // Reads the partition table.
        command("START_DEV", Ublk.START_DEV, null, ProcessHandle.current().pid());
        if (!Files.exists(Path.of(node()))) {
            throw new ErrnoException(node(), Errno.ENOENT);
        }
    }

    /**
     * Goes on with the device of an engine that was killed.
     *
     * @return null when it is no more
     * @throws IOException when it can't be had, or not yet
     */
    static UblkNode recover(
            MappedDevice device, Identity identity, UblkNotes notes, Served served, Consumer<String> log)
            throws IOException {
        UblkControl control = UblkControl.open("keeper of " + identity.node());
        return Failures.takingBack(control::end, () -> {
            Integer state = state(control, identity);
            if (state == null || state == Ublk.STATE_DEAD) {
                // One that was stopped somebody may still have open.
                delete(control, state, identity, notes, log, () -> {});
                return null;
            }
            UblkNode node = new UblkNode(identity, device, notes, served, control, log);
            node.recover();
            return node;
        });
    }

    private void recover() throws IOException {
        queue.start(this::beginRecovery);
        command(
                "END_USER_RECOVERY",
                Ublk.END_USER_RECOVERY,
                null,
                ProcessHandle.current().pid());
        sizeBytes = sizeOf(identity);
    }

    /** Waits until the killed engine has let go of it. */
    private void beginRecovery() throws IOException {
        long deadline = System.nanoTime() + RECOVERY_NANOS;
        int result;
        while ((result = control.attempt(Ublk.START_USER_RECOVERY, identity.id(), null, 0)) == -Errno.EBUSY.number()
                && System.nanoTime() - deadline < 0) {
            LockSupport.parkNanos(POLL_NANOS);
        }
        // One that a killed engine has begun goes on: Linux 6.10 to 6.15 refuse to begin it again before it has a
        // queue.
        if (result != -Errno.EINVAL.number()) {
            UblkControl.check("START_USER_RECOVERY", identity.id(), result);
        }
    }

    /** Null when it is not there, or another's. */
    private static Integer state(UblkControl control, Identity identity) throws IOException {
        ByteBuffer info = Ublk.emptyInfo();
        int result = control.attempt(Ublk.GET_DEV_INFO, identity.id(), info, 0);
        if (result == -Errno.ENODEV.number() || result >= 0 && Ublk.serverFlags(info) != identity.token()) {
            return null;
        }
        UblkControl.check("GET_DEV_INFO", identity.id(), result);
        return Ublk.state(info);
    }

    private static long sizeOf(Identity identity) throws IOException {
        Path size = Path.of("/sys/class/block/ublkb" + identity.id() + "/size");
        return Long.parseLong(Files.readString(size).strip()) * Ublk.SECTOR_BYTES;
    }

    /**
     * Takes away what a killed engine left, from its users too, when no engine will go on with it.
     *
     * @param stopped done when its requests fail, and its users may have it open yet
     */
    static void delete(Identity identity, UblkNotes notes, Consumer<String> log, Runnable stopped) throws IOException {
        UblkControl control = UblkControl.open("keeper of " + identity.node());
        Failures.takingBack(control::end, () -> {
            delete(control, state(control, identity), identity, notes, log, stopped);
            return null;
        });
    }

    private static void delete(
            UblkControl control,
            Integer state,
            Identity identity,
            UblkNotes notes,
            Consumer<String> log,
            Runnable stopped)
            throws IOException {
        if (state == null) {
            notes.gone(identity);
            control.end();
        } else {
            stopAndDelete(control, identity, notes, log, stopped);
        }
    }

    // ---- commands

    private void command(String name, int command, ByteBuffer buffer, long data) throws IOException {
        control.command(name, command, identity.id(), buffer, data);
    }

    // ---- as an attachment

    @Override
    public String node() {
        return identity.node();
    }

    @Override
    public void resized() throws IOException {
        if (io.sizeBytes() != sizeBytes) {
            throw new ErrnoException(node() + " keeps its size of " + sizeBytes + " bytes", Errno.EOPNOTSUPP);
        }
    }

    @Override
    public void requireUnclaimed() throws IOException {
        control.keeper().perform(() -> NodeMounts.requireUnclaimed(node()));
    }

    @Override
    public void sync() throws IOException {
        control.keeper().perform(() -> {
            int fd = FileDescriptors.open(node(), io.isReadOnly() ? FileDescriptors.O_RDONLY : FileDescriptors.O_RDWR);
            try {
                DeviceNode.sync(fd, node());
            } finally {
                FileDescriptors.close(fd);
            }
        });
    }

    /** Throws EBUSY when somebody has claimed it, as a mount does; who merely has it open gets errors from now on. */
    @Override
    public void detach(Failures.Step writeOut) throws IOException {
        control.keeper().whileShut(node(), writeOut, () -> command("STOP_DEV", Ublk.STOP_DEV, null, 0));
        abandon();
    }

    @Override
    public void abandon() throws IOException {
        stopAndDelete(control, identity, notes, log, queue::join);
    }

    private void failLater() {
        Threads.start("end of " + node(), () -> {
            try {
                command("STOP_DEV", Ublk.STOP_DEV, null, 0);
            } catch (IOException e) {
                log.accept("ublk: " + node() + ": " + e.getMessage());
            }
        });
    }

    // ---- the end

    /** Stops it, if it is not yet, and deletes it, now or when its last user has closed it; then the keeper ends. */
    private static void stopAndDelete(
            UblkControl control, Identity identity, UblkNotes notes, Consumer<String> log, Runnable join)
            throws IOException {
        control.command("STOP_DEV", Ublk.STOP_DEV, identity.id(), null, 0);
        join.run();
        if (deleteUnused(control, identity, CLOSE_NANOS, POLL_NANOS)) {
            notes.gone(identity);
            control.end();
            return;
        }
        log.accept("ublk: " + identity.node() + " is open; it goes when it is closed");
        Threads.start("end of " + identity.node(), () -> {
            try {
                deleteUnused(control, identity, Long.MAX_VALUE, LATER_NANOS);
                notes.gone(identity);
            } catch (IOException e) {
                log.accept("ublk: " + identity.node() + ": " + e.getMessage());
            } finally {
                control.end();
            }
        });
    }

    /**
     * Deletes it when nobody has the block device open. The command would wait for that itself, and before Linux 6.5 nobody on
     * this host could add or delete another device meanwhile.
     *
     * @return whether that came to be in time
     */
    private static boolean deleteUnused(UblkControl control, Identity identity, long nanos, long pollNanos)
            throws IOException {
        long begin = System.nanoTime();
        ByteBuffer any = Ublk.params(Ublk.SECTOR_BYTES, UblkQueue.MAX_BYTES, false);
        // Its parameters can't be set while the block device is there.
        while (control.attempt(Ublk.SET_PARAMS, identity.id(), any, 0) == -Errno.EACCES.number()) {
            if (System.nanoTime() - begin > nanos) {
                return false;
            }
            LockSupport.parkNanos(pollNanos);
        }
        int result = control.attempt(Ublk.DEL_DEV, identity.id(), null, 0);
        if (result != -Errno.ENODEV.number()) {
            UblkControl.check("DEL_DEV", identity.id(), result);
        }
        return true;
    }
}
