// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.apply;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.dmera.core.file.FileErrors;
import org.dmera.tools.backup.copy.MetadataView;
import org.dmera.tools.backup.stream.StreamReader;

/**
 * Whether a target is still what its state says. A state may outlive its target: a file is cut or replaced, a device's
 * name goes to another disk.
 */
final class TargetCheck {
    private static final String OF_SIZE = "device of ";

    private TargetCheck() {}

    /**
     * Tells targets apart: a file by file system and inode; a device by its own identification, or by its size if it has
     * none, for its name may be another disk's tomorrow.
     */
    static String idOf(Path path, boolean device) throws IOException {
        if (!device) {
            return "file " + Files.getAttribute(path, "unix:dev") + ":" + Files.getAttribute(path, "unix:ino");
        }
        String id = MetadataView.identityOf(path);
        return id.startsWith("/") ? OF_SIZE + sizeOf(path) + " bytes" : "device " + id;
    }

    private static long sizeOf(Path device) throws IOException {
        try (FileChannel channel = FileChannel.open(device, StandardOpenOption.READ)) {
            return channel.size();
        } catch (IOException e) {
            throw FileErrors.named(device, e);
        }
    }

    /** Refuses a device that is too small for one of the streams that are going to be applied to it. */
    static void requireRoom(Path path, boolean device, List<StreamReader> streams) throws IOException {
        long size = device ? sizeOf(path) : Long.MAX_VALUE;
        for (StreamReader stream : streams) {
            long wanted = stream.header().originSizeBytes();
            if (wanted > size) {
                throw new IOException("Output file too small: " + path + " has " + size + " bytes, the origin of "
                        + stream.name() + " " + wanted);
            }
        }
    }

    /** Whether there may be another target with the same {@link #idOf}, as there is of a device without an identification. */
    static boolean isKnownBySizeAlone(String id) {
        return id.startsWith(OF_SIZE);
    }

    /**
     * Whether a file is the one with the {@link #idOf} that a state noted. The number of its file system may be another after
     * a restart; one that the state lies on as well is the same.
     */
    private static boolean isFile(String noted, Path path, Path stateFile) throws IOException {
        String id = idOf(path, false);
        return noted.equals(id)
                || noted.endsWith(id.substring(id.indexOf(':')))
                        && Files.getAttribute(path, "unix:dev").equals(Files.getAttribute(stateFile, "unix:dev"));
    }

    /** Why the state, which is that of {@code stateFile}, is no longer the target's, or null when it is. */
    static String whyUnfit(Path path, boolean device, TargetState state, Path stateFile) throws IOException {
        if (state.pending() == null && !state.isWhole()) {
            return null;
        }
        if (device && !state.targetId().equals(idOf(path, true))) {
            return "is not the device that its state is about (it is \"" + idOf(path, true) + "\", the state is of \""
                    + state.targetId() + "\")";
        }
        if (state.isWhole()) {
            return state.mark() == Target.mark(path, device, state.sizeBytes())
                    ? null
                    : "has been written to since a stream was last applied to it";
        }
        TargetState.Pending half = state.pending();
        if (device) {
            return null;
        }
        // The size is set after the state is written; what a power cut leaves of that is known when chunks are durable.
        long size = Files.size(path);
        boolean sized = size == half.sizeBytes()
                || half.chunksDone() == 0 && size >= Math.min(half.holeFromBytes(), half.sizeBytes());
        return sized && isFile(state.targetId(), path, stateFile)
                ? null
                : "has been cut or replaced since " + half.name() + " was interrupted on it";
    }
}
