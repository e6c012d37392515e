// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.IOException;
import java.util.List;
import org.dmera.core.EraPoint;
import org.dmera.core.EraToken;
import org.dmera.tools.backup.Base;
import org.dmera.tools.backup.copy.MetadataView;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamReader;

/** Whether the next stream of a device can be an increment, and of what. */
final class Succession {
    private final Backup.Options options;
    private final BackupState state;
    private final PointFile pointFile;
    /** The newest stream of this device in the folder, which an increment would follow; null when that is not whole, or earlier. */
    private StreamHeader followed;
    /** Its own; null for none. */
    private EraToken token;

    /** {@code streams}: those in the folder, in the order of the chain; some may be another device's of the same name. */
    Succession(
            Backup.Options options,
            BackupState state,
            PointFile pointFile,
            List<StreamNames.Named> streams,
            Backup.Log log)
            throws IOException {
        this.options = options;
        this.state = state;
        this.pointFile = pointFile;
        try {
            findFollowed(streams);
        } catch (IOException e) {
            log.say(e.getMessage());
        }
    }

    /** What an increment holds the changes to, if nothing is against one. */
    Base base() {
        return new Base(
                state.era(), state.sizeBytes(), state.blockSizeBytes(), state.identity(), followed.history(), null);
    }

    private void findFollowed(List<StreamNames.Named> streams) throws IOException {
        // The number is that of the next one. A merged stream has the number of the newest that is in it.
        for (int i = streams.size() - 1; i >= 0 && streams.get(i).number() >= state.number() - 1; i--) {
            try (StreamReader stream = StreamReader.open(streams.get(i).file().toString(), null)) {
                stream.requireComplete();
                if (stream.header().identity().equals(state.identity())) {
                    token = stream.header().eraToken(stream.name());
                    followed = stream.header();
                    return;
                }
            }
        }
    }

    /** Why an increment won't do, or null. {@code sizeBytes}: of the device now. */
    String whyFull(MetadataView metadata, String identity, long sizeBytes) throws IOException {
        if (options.full()) {
            return "it was asked for";
        }
        if (!state.hasBase()) {
            return "there is no backup yet";
        }
        if (followed == null) {
            return "stream " + (state.number() - 1) + ", which an increment would follow, is not in " + options.folder()
                    + ", or not whole";
        }
        if (options.fullEvery() > 0 && state.increments() + 1 >= options.fullEvery()) {
            return "there are " + state.increments() + " increments since the last";
        }
        if (!identity.equals(state.identity())) {
            return "the metadata was \"" + state.identity() + "\" and now is \"" + identity + "\"";
        }
        EraPoint then = pointFile.read(state);
        if (then == null) {
            return "the file is gone or damaged, or of a later version, that tells whether the metadata is that of then";
        }
        // The checkpoint of this backup and its snapshot have begun an era each since then.
        if (metadata.roots().currentEra() < then.era() + 2) {
            return "the era was " + then.era() + " then and is "
                    + metadata.roots().currentEra() + " now: the metadata was made anew";
        }
        String contradiction = then.contradiction(metadata.device(), metadata.roots());
        if (contradiction != null) {
            return "the metadata was made anew, or the origin shrank in between: " + contradiction;
        }
        // The state may have gone back with the device, as a virtual machine does, and know nothing of streams made
        // since.
        String other = token == null ? null : token.contradiction(metadata.device(), metadata.roots());
        if (other != null) {
            return "the newest stream is not of what the metadata knows: " + other;
        }
        long smallest = metadata.fewestBlocksSince(state.era());
        return smallest * metadata.blockSizeBytes() < Math.min(state.sizeBytes(), sizeBytes)
                ? "the origin had but " + smallest + " blocks in between"
                : null;
    }
}
