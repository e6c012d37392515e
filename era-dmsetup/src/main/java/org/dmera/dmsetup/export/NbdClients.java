// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.dmera.core.linux.PeerPoll;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.StorageAreas;

/**
 * The clients of a server that have chosen a device. Before a new one's first request, and the first after a pause, those
 * of the same storage that have left are waited for: what they sent is done by then, or dropped.
 */
final class NbdClients {
    private final Map<Client, ExportSource.OpenDevice> open = new ConcurrentHashMap<>();
    private volatile boolean ending;

    /** The client at the other end of {@code poll}'s socket, who uses {@code device} until {@link #remove}. */
    Client add(ExportSource.OpenDevice device, PeerPoll poll) {
        Client client = new Client(new Client.Line() {
            @Override
            public boolean isCut() {
                return poll.isCut();
            }

            @Override
            public boolean isEnding() {
                // When the server closes, it is the server that has ended the input.
                return ending ? poll.isCut() : poll.hasEnded();
            }
        });
        open.put(client, device);
        return client;
    }

    void remove(Client client) {
        open.remove(client);
    }

    /** The server ends what it is sent. */
    void end() {
        ending = true;
    }

    /** Returns when no request of a client that has left is on its way to what lies beneath the device of {@code client}. */
    void awaitThoseGone(Client client) {
        if (open.size() == 1) {
            return;
        }
        StorageAreas mine = null;
        for (Map.Entry<Client, ExportSource.OpenDevice> other : open.entrySet()) {
            if (other.getKey() == client || !other.getKey().hasLeft()) {
                continue;
            }
            if (mine == null) {
                mine = open.get(client).storage();
            }
            if (mine.overlaps(other.getValue().storage())) {
                other.getKey().awaitGone(client);
            }
        }
    }
}
