// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.StorageAreas;

/** A loop device over a file that is served through FUSE. */
record FuseLoop(Path file, FuseFile fuse, LoopDevice loop, Consumer<String> log) implements Attachment {
    /** Serves {@code io} at {@code file}, which is made for that, and sets a loop device up over it. */
    static FuseLoop over(DeviceIo io, Path file, Served served, Supplier<StorageAreas> storage, Consumer<String> log)
            throws IOException {
        Files.deleteIfExists(file);
        Files.createFile(file);
        FuseFile fuse = null;
        try {
            fuse = new FuseFile(io, file, served, storage, log);
            return new FuseLoop(file, fuse, LoopDevice.over(file, io.isReadOnly()), log);
        } catch (IOException | RuntimeException | Error e) {
            try {
                end(fuse, file);
            } catch (IOException after) {
                e.addSuppressed(after);
            }
            throw e;
        }
    }

    private static void end(FuseFile fuse, Path file) throws IOException {
        if (fuse != null) {
            fuse.close();
        }
        Files.deleteIfExists(file);
    }

    @Override
    public String node() {
        return loop.node();
    }

    @Override
    public void resized() throws IOException {
        loop.resized(file);
    }

    @Override
    public void requireUnclaimed() throws IOException {
        loop.requireUnclaimed();
    }

    @Override
    public void sync() throws IOException {
        loop.sync();
    }

    @Override
    public void detach() throws IOException {
        loop.detach();
        try {
            end(fuse, file);
        } catch (IOException e) {
            // The node is gone, whatever stays behind until the next engine comes.
            log.accept("detach: " + e.getMessage());
        }
    }

    @Override
    public void abandon() throws IOException {
        try {
            loop.abandon();
        } finally {
            end(fuse, file);
        }
    }
}
