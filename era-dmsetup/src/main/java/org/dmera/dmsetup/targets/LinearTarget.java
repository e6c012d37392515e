// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.List;

/** {@code linear DEVICE START}: the device's sectors from START on. */
public final class LinearTarget implements Target {
    private final Backing backing;
    private final long startSector;
    private final long startBytes;

    private LinearTarget(Backing backing, long startSector) {
        this.backing = backing;
        this.startSector = startSector;
        this.startBytes = startSector * TableWords.SECTOR_BYTES;
    }

    /** As {@link TargetFactory#load}. */
    static Target load(
            long startSector, long lengthSectors, List<String> arguments, TargetFactory.BackingOpener backings)
            throws TableException, IOException {
        if (arguments.size() != 2) {
            throw TableWords.invalid("Invalid argument count");
        }
        long from =
                TableWords.number(arguments.get(1), Long.MAX_VALUE / TableWords.SECTOR_BYTES, "Invalid device sector");
        Backing backing = TableWords.open(backings, arguments.get(0), "Device lookup failed");
        try {
            TableWords.checkArea(backing, from, lengthSectors);
            return new LinearTarget(backing, from);
        } catch (TableException | RuntimeException | Error e) {
            Failures.after(e, backing::close);
            throw e;
        }
    }

    @Override
    public String type() {
        return "linear";
    }

    @Override
    public void read(long offsetBytes, ByteBuffer dst) throws IOException {
        backing.read(startBytes + offsetBytes, dst);
    }

    @Override
    public long sendTo(SocketChannel socket, long offsetBytes, long lengthBytes) {
        return backing.sendTo(socket, startBytes + offsetBytes, lengthBytes);
    }

    @Override
    public void write(long offsetBytes, ByteBuffer src, int flags) throws IOException {
        backing.write(startBytes + offsetBytes, src, flags);
    }

    @Override
    public void flush() throws IOException {
        backing.flush();
    }

    @Override
    public void discard(long offsetBytes, long lengthBytes, int flags) throws IOException {
        backing.discard(startBytes + offsetBytes, lengthBytes, flags);
    }

    @Override
    public void writeZeroes(long offsetBytes, long lengthBytes, int flags) throws IOException {
        backing.writeZeroes(startBytes + offsetBytes, lengthBytes, flags);
    }

    @Override
    public long allocation(long offsetBytes, long lengthBytes) throws IOException {
        return backing.allocation(startBytes + offsetBytes, lengthBytes);
    }

    @Override
    public boolean mustWait(long offsetBytes, long lengthBytes) {
        return backing.mustWait(startBytes + offsetBytes, lengthBytes);
    }

    @Override
    public void prepare(long offsetBytes, long lengthBytes, Prepared then) {
        backing.prepare(startBytes + offsetBytes, lengthBytes, then);
    }

    @Override
    public void answersOwed(OwedAnswers answers) {
        backing.answersOwed(
                stillOwed -> answers.awaitOrReport((offset, length) -> stillOwed.write(startBytes + offset, length)));
    }

    @Override
    public String table() {
        return TableWords.of(backing) + " " + startSector;
    }

    @Override
    public String status() {
        return "";
    }

    @Override
    public void storage(long offsetBytes, long lengthBytes, StorageAreas areas) {
        backing.storage(startBytes + offsetBytes, lengthBytes, areas);
    }

    @Override
    public List<Backing> dependencies() {
        return List.of(backing);
    }

    @Override
    public void close() throws IOException {
        backing.close();
    }
}
