// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.RefusedException;

/** An era device without a device: metadata and origin are files, and writes are made by the test. */
final class FileEraDevice implements EraDevice {
    static final int BLOCK_BYTES = 8192;

    final Path metadata;
    /** Where the backup is told that the metadata is. */
    Path metadataAsTold;

    final Path origin;
    private FileBlockDevice metadataDevice;
    private EraMetadata era;
    boolean writesArrive = true;
    Runnable afterCheckpoint = () -> {};
    Runnable afterSnapshot = () -> {};
    /** What somebody else does just before the next one is taken, or null. */
    Step beforeNextTake;
    /** What happens just before the next one is dropped, or null. */
    Step beforeNextDrop;
    /** What happens once while the snapshot is held and copied from, or null. */
    Runnable whileCopying;

    /** Something that somebody does to the device. */
    interface Step {
        void run() throws IOException;
    }

    FileEraDevice(Path dir, long sizeBytes) throws IOException {
        metadata = dir.resolve("metadata");
        metadataAsTold = metadata;
        origin = dir.resolve("origin");
        setLength(origin, sizeBytes);
        setLength(metadata, 2 << 20);
        openMetadata();
    }

    private static void setLength(Path file, long bytes) throws IOException {
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
            f.setLength(bytes);
        }
    }

    private void openMetadata() throws IOException {
        metadataDevice = FileBlockDevice.open(metadata, true);
        era = EraMetadata.openOrFormat(metadataDevice, BLOCK_BYTES / 512);
        era.resize((sizeBytes() + BLOCK_BYTES - 1) / BLOCK_BYTES);
        era.commit();
        rollover();
    }

    private void rollover() throws IOException {
        era.rollover();
        era.commit();
    }

    /** Somebody zeroes the metadata: eras begin again at 1. */
    void makeMetadataAnew() throws IOException {
        metadataDevice.close();
        setLength(metadata, 0);
        setLength(metadata, 2 << 20);
        openMetadata();
    }

    /** The host goes back to what it was, as a virtual machine does to a snapshot of its own. */
    void goBackTo(Path savedMetadata, Path savedOrigin) throws IOException {
        metadataDevice.close();
        Files.copy(savedMetadata, metadata, StandardCopyOption.REPLACE_EXISTING);
        Files.copy(savedOrigin, origin, StandardCopyOption.REPLACE_EXISTING);
        openMetadata();
    }

    void resize(long bytes) throws IOException {
        setLength(origin, bytes);
        era.resize((bytes + BLOCK_BYTES - 1) / BLOCK_BYTES);
        era.commit();
        rollover();
    }

    /** One write through the device. */
    void write(long offset, byte[] bytes) {
        try {
            for (long b = offset / BLOCK_BYTES; b <= (offset + bytes.length - 1) / BLOCK_BYTES; b++) {
                era.mark(b);
            }
            era.commit();
            writeBehind(offset, bytes);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    /** A change of the origin that no mark tells of. */
    void writeBehind(long offset, byte[] bytes) throws IOException {
        try (RandomAccessFile f = new RandomAccessFile(origin.toFile(), "rw")) {
            f.seek(offset);
            f.write(bytes);
        }
    }

    @Override
    public String name() {
        return "dev";
    }

    @Override
    public Path metadata() {
        return metadataAsTold;
    }

    @Override
    public Path origin() {
        return origin;
    }

    @Override
    public long sizeBytes() {
        Runnable step = whileCopying;
        if (step != null && snapshotBlock() >= 0) {
            whileCopying = null;
            step.run();
        }
        try {
            return Files.size(origin);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Override
    public long currentEra() {
        return era.currentEra();
    }

    @Override
    public long checkpoint() throws IOException {
        rollover();
        long now = era.currentEra();
        afterCheckpoint.run();
        return now;
    }

    @Override
    public boolean awaitEarlierWrites() {
        return writesArrive;
    }

    @Override
    public long snapshotBlock() {
        return era.metadataSnap() == 0 ? -1 : era.metadataSnap();
    }

    @Override
    public void takeSnapshot() throws IOException {
        Step before = beforeNextTake;
        beforeNextTake = null;
        if (before != null) {
            before.run();
        }
        try {
            era.takeSnapshot();
        } catch (RefusedException e) {
            throw new IOException(e);
        }
        era.commit();
        afterSnapshot.run();
    }

    @Override
    public void dropSnapshot() throws IOException {
        Step before = beforeNextDrop;
        beforeNextDrop = null;
        if (before != null) {
            before.run();
        }
        try {
            era.dropSnapshot();
        } catch (RefusedException e) {
            throw new IOException(e);
        }
        era.commit();
    }

    @Override
    public void close() throws IOException {
        metadataDevice.close();
    }
}
