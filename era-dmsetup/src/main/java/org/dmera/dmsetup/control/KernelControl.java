// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.dmera.core.file.FileErrors;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.Ioctl;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmIoctl;

/** The kernel's device-mapper, by ioctl(2) on its control device. */
public final class KernelControl implements Control {
    /** Where the control device is on every current system, and where kernels without udev put it. */
    private static final Path[] NODES = {Path.of("/dev/mapper/control"), Path.of("/dev/device-mapper")};

    private final Path node;
    private final int fd;

    private KernelControl(Path node, int fd) {
        this.node = node;
        this.fd = fd;
    }

    /**
     * Opens the control device, and makes sure that its interface is of version 4.
     *
     * @throws NoDriverException when there is none, or it can't be opened
     * @throws IOException when it speaks another version
     */
    public static KernelControl open() throws IOException {
        Path node = Files.exists(NODES[0]) || !Files.exists(NODES[1]) ? NODES[0] : NODES[1];
        requireDriver(node);
        return new KernelControl(node, FileDescriptors.open(node.toString(), FileDescriptors.O_RDWR));
    }

    /** Where there is no driver, this says so without the C library, whose loading takes longer than all the rest. */
    private static void requireDriver(Path node) throws IOException {
        try {
            FileChannel.open(node, StandardOpenOption.READ, StandardOpenOption.WRITE)
                    .close();
        } catch (FileSystemException e) {
            throw new NoDriverException(node + ": open failed: " + FileErrors.reason(e), e);
        }
    }

    /** There is no device-mapper in this kernel, or none for this user. */
    public static final class NoDriverException extends IOException {
        private static final long serialVersionUID = 1L;

        public NoDriverException(String message, Throwable cause) {
            super(message, cause);
        }
    }

    @Override
    public int call(int command, ByteBuffer buffer) throws IOException {
        if (command == DmCommand.VERSION.number() && buffer.limit() < DmIoctl.USED_HEADER_BYTES) {
            throw new IllegalArgumentException("buffer of " + buffer.limit() + " bytes");
        }
        // The request number is the same for every size of buffer: it names the header's size alone.
        return Ioctl.call(fd, DmCommand.VERSION.request() | command, buffer);
    }

    @Override
    public String describe() {
        return "kernel by " + node;
    }

    @Override
    public boolean isKernel() {
        return true;
    }

    @Override
    public void close() throws IOException {
        FileDescriptors.close(fd);
    }
}
