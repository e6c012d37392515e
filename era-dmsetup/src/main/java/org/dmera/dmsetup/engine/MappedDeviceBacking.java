// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.atomic.AtomicBoolean;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.DeviceRecord;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.OwedAnswers;
import org.dmera.dmsetup.targets.StorageAreas;
import org.dmera.dmsetup.targets.Target;

/** A mapped device beneath another one. It counts as an open, so the lower device can't be removed before the upper. */
final class MappedDeviceBacking implements Backing {
    private static final String KIND = DeviceRecord.Found.MAPPED;

    private final MappedDevice device;
    private final MappedDevice user;
    private final DeviceIo io;
    private final long sizeBytes;
    /** What was lost by tables that the device had before. */
    private volatile IOException knownLoss;

    private final AtomicBoolean closed = new AtomicBoolean();

    /** {@code user} is the device on top; EINVAL when that is beneath this one. */
    MappedDeviceBacking(MappedDevice device, MappedDevice user) throws ErrnoException {
        device.openBeneath(user);
        this.device = device;
        this.user = user;
        this.io = device.io();
        this.sizeBytes = io.sizeBytes();
        forgetLoss();
    }

    @Override
    public String display() {
        return DevNumber.text(device.dev());
    }

    @Override
    public long device() {
        return device.dev();
    }

    @Override
    public long sizeBytes() {
        return sizeBytes;
    }

    @Override
    public Object identity() {
        return device;
    }

    @Override
    public String remembered() {
        return KIND + DevNumber.text(device.dev()) + ":" + device.id();
    }

    /** Whether {@code remembered} is of a mapped device. */
    static boolean isRemembered(String remembered) {
        return remembered.startsWith(KIND);
    }

    /** The device that {@code remembered} is of, which has its number and id still; or null. */
    static MappedDevice find(String remembered, DeviceRegistry registry) {
        String[] words = remembered.substring(KIND.length()).split(":", 3);
        if (words.length < 3 || !words[1].matches("[0-9]{1,7}")) {
            return null;
        }
        MappedDevice device = registry.byDev(DevNumber.encode(registry.major(), Integer.parseInt(words[1])));
        return device != null && device.id().equals(words[2]) ? device : null;
    }

    @Override
    public void storage(long offsetBytes, long lengthBytes, StorageAreas areas) {
        device.storage(offsetBytes, lengthBytes, areas);
    }

    @Override
    public void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags)
            throws IOException {
        io.submit(operation, offsetBytes, lengthBytes, data, flags);
        if (operation == Operation.FLUSH || (flags & Target.FUA) != 0) {
            requireNoLoss();
        }
    }

    @Override
    public long sendTo(SocketChannel socket, long offsetBytes, long lengthBytes) {
        return io.sendTo(socket, offsetBytes, lengthBytes);
    }

    /** Past the gate, which a suspended device holds; what has passed it before is done. */
    @Override
    public void sync() throws IOException {
        device.sync();
        requireNoLoss();
    }

    /** The device may have got another table since, which knows nothing of it. */
    @Override
    public IOException loss() {
        IOException former = io.lossOfFormer();
        return former != knownLoss ? former : io.loss();
    }

    @Override
    public void forgetLoss() {
        knownLoss = io.lossOfFormer();
    }

    private void requireNoLoss() throws IOException {
        IOException lost = loss();
        if (lost != null) {
            throw new IOException(lost.getMessage(), lost);
        }
    }

    @Override
    public long allocation(long offsetBytes, long lengthBytes) throws IOException {
        return io.allocation(offsetBytes, lengthBytes);
    }

    @Override
    public boolean mustWait(long offsetBytes, long lengthBytes) {
        return io.mustWait(offsetBytes, lengthBytes);
    }

    @Override
    public void prepare(long offsetBytes, long lengthBytes, Target.Prepared then) {
        io.prepare(offsetBytes, lengthBytes, then);
    }

    @Override
    public void answersOwed(OwedAnswers answers) {
        io.includeAnswers(this, answers);
    }

    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            io.excludeAnswers(this);
            device.closeBeneath(user);
        }
    }
}
