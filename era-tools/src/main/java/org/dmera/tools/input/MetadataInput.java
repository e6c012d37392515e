// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.input;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.read.MetadataRoots;

/** Opens the metadata that a tool reads, and refuses what can't be any in the words that users know. */
public final class MetadataInput {
    private MetadataInput() {}

    /**
     * Opens a block device or regular file for reading.
     *
     * @param shared whether it may be in use: only the held metadata snapshot is read then
     */
    public static FileBlockDevice open(Path path, boolean shared) throws IOException {
        return open(path, false, shared);
    }

    /** As {@link #open(Path, boolean)}, also for mending it where it is. */
    public static FileBlockDevice open(Path path, boolean writable, boolean shared) throws IOException {
        if (!Files.exists(path)) {
            throw new IOException("Couldn't find input file " + path);
        }
        FileBlockDevice device =
                DeviceOpener.open(path, writable, shared ? DeviceOpener.Claim.SHARED : DeviceOpener.Claim.EXCLUSIVE);
        if (device.sizeBlocks() == 0) {
            device.close();
            throw new IOException(
                    holdsXml(path)
                            ? "This looks like XML.  This tool only supports the binary metadata format."
                            : "Metadata device/file too small.  Is this binary metadata?");
        }
        return device;
    }

    private static boolean holdsXml(Path path) throws IOException {
        try (InputStream in = Files.newInputStream(path)) {
            return MetadataRoots.looksLikeXml(ByteBuffer.wrap(in.readNBytes(4096)));
        }
    }
}
