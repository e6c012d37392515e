// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.IoUring;
import org.dmera.core.linux.RawIo;
import org.dmera.dmsetup.targets.Failures;

/**
 * Commands to {@code /dev/ublk-control}, given by a {@link NodeKeeper}: they may wait for requests that this process serves.
 */
final class UblkControl {
    static final String NODE = "/dev/ublk-control";

    private static final int RING_ENTRIES = 4;

    private final NodeKeeper keeper;
    /** The keeper's, and what follows. */
    private final int fd;

    private final IoUring ring;
    private final boolean encodes;

    private UblkControl(NodeKeeper keeper, int fd, IoUring ring) throws IOException {
        this.keeper = keeper;
        this.fd = fd;
        this.ring = ring;
        ByteBuffer features = ByteBuffer.allocateDirect(Long.BYTES);
        encodes = call(Ublk.encoded(Ublk.GET_FEATURES, Ublk.CONTROL_BYTES), 0, features, 0) >= 0;
    }

    /** Starts a keeper of that name; {@link #end} follows. */
    static UblkControl open(String name) throws IOException {
        NodeKeeper keeper = NodeKeeper.start(name);
        return Failures.takingBack(keeper::end, () -> keeper.call(() -> open(keeper)));
    }

    private static UblkControl open(NodeKeeper keeper) throws IOException {
        int fd = FileDescriptors.open(NODE, FileDescriptors.O_RDWR);
        return Failures.takingBack(() -> FileDescriptors.close(fd), () -> {
            IoUring ring = new IoUring(RING_ENTRIES, true);
            return Failures.takingBack(ring::close, () -> new UblkControl(keeper, fd, ring));
        });
    }

    /** The number by which the kernel at hand knows a command whose argument has so many bytes. */
    int number(int command, int argumentBytes) {
        return encodes ? Ublk.encoded(command, argumentBytes) : command;
    }

    /** Has a command done, or throws with its {@code name}. */
    void command(String name, int command, int id, ByteBuffer buffer, long data) throws IOException {
        check(name, id, attempt(command, id, buffer, data));
    }

    /** Throws when that is the −errno of a command. */
    static void check(String name, int id, int result) throws ErrnoException {
        ErrnoException.check("ublk " + name + " of device " + id, result);
    }

    /** Has a command done on device {@code id}; what it returned, or −errno. */
    int attempt(int command, int id, ByteBuffer buffer, long data) throws IOException {
        return keeper.call(() -> call(number(command, Ublk.CONTROL_BYTES), id, buffer, data));
    }

    private int call(int number, int id, ByteBuffer buffer, long data) throws IOException {
        ring.putCommand(fd, number, number);
        ring.bodyInt(Ublk.CONTROL_ID, id);
        // All but one are for the whole device.
        ring.bodyShort(Ublk.CONTROL_QUEUE, (short) -1);
        ring.bodyLong(Ublk.CONTROL_DATA, data);
        if (buffer != null) {
            ring.bodyShort(Ublk.CONTROL_LENGTH, (short) buffer.capacity());
            ring.bodyLong(Ublk.CONTROL_ADDRESS, RawIo.address(buffer));
        }
        do {
            ring.enter(1);
        } while (!ring.hasCompletion());
        int result = ring.result();
        ring.next();
        return result;
    }

    NodeKeeper keeper() {
        return keeper;
    }

    /** Gives no more commands, and ends the keeper, after what has been asked for before. */
    void end() {
        keeper.end(() -> {
            try {
                ring.close();
            } finally {
                FileDescriptors.close(fd);
            }
        });
    }
}
